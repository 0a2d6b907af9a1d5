"""The last look at a run: up to which event of it, and of the runs below it, this user has seen it.

It is a small private file of the store. A trace file, and a store that may only be read, keep none.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec
from msgspec import Struct

from agentrace.query.sources import RunsSource
from agentrace.query.trees import ProcessRow, Tree

STAMP: Final = "look 1"
SUFFIX: Final = ".seen-by-"


class Look(Struct, frozen=True):
    """One look at a run."""

    at_ns: int
    """When, in Unix nanoseconds."""
    seen: dict[bytes, int]
    """The last event that was there, by run."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Look).decode


def look_at(tree: Tree, now_ns: int) -> Look:
    """What somebody who is shown the whole tree has seen."""
    below = {row.run_id: row.run.last_seq for row in tree.rows if isinstance(row, ProcessRow)}
    return Look(now_ns, {tree.run.id: tree.run.last_seq, **below})


def last_look(store: RunsSource, run_id: bytes) -> Look | None:
    """The one that was kept; ``None`` if there was none."""
    data = store.derived.get(_name(run_id), STAMP)
    try:
        return None if data is None else _decode(data)
    except msgspec.DecodeError:
        return None


def keep_look(store: RunsSource, run_id: bytes, look: Look) -> bool:
    """Keep it for the next time; whether that was possible."""
    return store.derived.put(_name(run_id), STAMP, _encode(look))


def _name(run_id: bytes) -> str:
    return f"{run_id.hex()}{SUFFIX}{os.getuid() if hasattr(os, 'getuid') else 0}"
