"""Which runs are written: decided once, at the root, from its id; every run below a root follows it.

A run that is not written has flows and steps like any other: each call still begins and ends in ``call``, so whoever
counts calls counts those too. Only nothing of it is encoded and nothing reaches a journal.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from agentrace import events


class Unwritten(events.Parent, frozen=True):
    """The place in a run that is not written, from which another was started: that one is not written either."""


_ALL: Final = 2**32


def is_drawn(run_id: bytes, rate: float) -> bool:
    """Whether a root run is among the share ``rate``, 0 to 1, of runs that are written; the same wherever asked."""
    return crc32(run_id) < rate * _ALL
