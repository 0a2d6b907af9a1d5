"""What could not be written: counted by run and seq, so that the record says so once the disk takes writes again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from agentrace.journal.frames import (
    EVENT,
    HEADER,
    HEADER_SIZE,
    LAST_LOST,
    TOMBSTONE,
    frame,
    head,
)

Tombstone = Callable[[int, int, str, int], bytes]
"""(first lost seq, last lost seq, reason, ts in ns) -> the event that stands for them, with the first as its seq."""

DISK: Final = "disk"
CRASH: Final = "crash"
DAMAGE: Final = "damage"
UNWRITTEN: Final = "unwritten"
"""Why events are lost: the disk took no writes, the process died, the bytes were damaged, or nobody wrote them."""

_LOOK_BACK: Final = 16


class Gap(NamedTuple):
    """Events of one run that were lost, from ``first`` to ``last``, both included."""

    first: int
    last: int
    reason: str


class Losses:
    """The events that this process could not write and has not yet said so in the record."""

    def __init__(self, lane: str, tombstone: Tombstone) -> None:
        self._lane = lane
        self._tombstone = tombstone
        self._gaps: dict[bytes, list[Gap]] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def add(self, unwritten: bytes, failure: BaseException) -> int:
        """Note that this frame is lost; the number of events that are lost with it (0 for a payload)."""
        _, kind, _, _, _, run_id = HEADER.unpack_from(unwritten)
        if kind != EVENT:
            return 0
        lost = head(unwritten[HEADER_SIZE:])
        if lost is not None:
            reason = DISK if isinstance(failure, OSError) else UNWRITTEN
            _extend(self._gaps.setdefault(run_id, []), Gap(lost.seq, lost.seq, reason))
        return 1

    def take(self) -> dict[bytes, list[Gap]]:
        """All gaps by run, which are forgotten here."""
        taken, self._gaps = self._gaps, {}
        return taken

    def put_back(self, taken: dict[bytes, list[Gap]]) -> None:
        """What take() returned could not be written after all."""
        for run_id, gaps in taken.items():
            self._gaps[run_id] = gaps + self._gaps.get(run_id, [])

    def frames(self, taken: dict[bytes, list[Gap]]) -> bytes:
        """The frames that stand for these gaps."""
        now = time.time_ns()
        return b"".join(
            tombstone_frame(self._lane, run_id, gap, self._tombstone, now)
            for run_id, gaps in taken.items()
            for gap in gaps
        )


def _extend(gaps: list[Gap], new: Gap) -> None:
    """Merge with a gap it touches. Threads lose events nearly in order, so only the last few are looked at."""
    for index in range(len(gaps) - 1, max(-1, len(gaps) - _LOOK_BACK), -1):
        near = gaps[index]
        if near.reason == new.reason and near.last + 1 >= new.first and near.first <= new.last + 1:
            del gaps[index]
            _extend(gaps, Gap(min(near.first, new.first), max(near.last, new.last), new.reason))
            return
    gaps.append(new)


def tombstone_frame(lane: str, run_id: bytes, gap: Gap, tombstone: Tombstone, ts: int) -> bytes:
    """The frame that stands for a gap."""
    body = LAST_LOST.pack(gap.last) + tombstone(gap.first, gap.last, gap.reason, ts)
    return frame(lane, TOMBSTONE, run_id, body)
