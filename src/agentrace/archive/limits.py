"""How much a trace file may hold for its size: what its writer keeps to, and its reader asks before it allocates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentrace.archive.layout import RunMember

RAW_FREELY: Final = 4 << 20
RAW_RATIO: Final = 64
"""Decompressed, all runs of a file may have 4 MiB, and 64 times the bytes of the file."""
EVENTS_FREELY: Final = 20_000
EVENT_BYTES: Final = 16
"""They may have 20,000 events, and one for every 16 bytes of the file. (One that is stored as it is has more.)"""
RUNS_AT_MOST: Final = 10_000
MANIFEST_AT_MOST: Final = 8 << 20


class Budget:
    """What the runs of one file have taken so far."""

    def __init__(self) -> None:
        self.stored = self.raw = self.events = 0

    def allows(self, stored: int, raw: int, events: int) -> bool:
        """Whether a chunk of this size may follow."""
        return within(self.stored + stored, self.raw + raw, self.events + events)

    def spend(self, stored: int, raw: int, events: int) -> None:
        """Count a chunk."""
        self.stored += stored
        self.raw += raw
        self.events += events


def within(stored: int, raw: int, events: int) -> bool:
    """Whether that many raw bytes and events may stand in that many stored bytes."""
    return raw <= RAW_FREELY + RAW_RATIO * stored and events <= EVENTS_FREELY + stored // EVENT_BYTES


def plausible(runs: Iterable[RunMember], size: int) -> bool:
    """Whether a file of that size may hold what its manifest says of these runs."""
    found = list(runs)
    figures = [figure for run in found for figure in (run.length, run.raw, run.events, run.last_seq, run.payloads)]
    if len(found) > RUNS_AT_MOST or not all(0 <= figure < 1 << 63 for figure in figures):
        return False
    return within(size, sum(run.raw for run in found), sum(run.events for run in found))
