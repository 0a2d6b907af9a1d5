"""The time of the event loops on a replay: at each mark of the recorded order it is what it was there.

A replay is quicker than the recorded run, since answers take no time. What is done with a timer, a sleep or a timeout,
would take longer beside it than it did. So where an answer comes early, the time goes on to when it came, and nobody
waits for a sleep that nothing else goes on beside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

from agentrace.replay.marks import Mark

_monotonic = time.monotonic
_UNSEEN: Final = math.inf


class Clock:
    """The time of all event loops of a process, in seconds; changed under the turnstile's lock."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self._recorded: list[float] = []
        """When each mark came about, since the first."""
        at = 0.0
        for mark in marks:
            at += mark.gap_ns / 1e9
            self._recorded.append(at)
        self._shift = 0.0
        self._start = _UNSEEN
        """The time of the first mark."""
        self._furthest = -1

    def time(self) -> float:
        """What ``loop.time()`` gives: monotonic."""
        return _monotonic() + self._shift

    def passed(self, index: int, may_jump: bool) -> None:
        """A mark has come about. With ``may_jump``, it is as late as it was then."""
        if index <= self._furthest:
            return
        self._furthest = index
        now = self.time()
        if may_jump and now < self.at(index) < _UNSEEN:
            self.jump(self.at(index))
        else:
            self._start = now - self._recorded[index]

    def at(self, index: int) -> float:
        """When a mark comes about, or came."""
        return self._start + self._recorded[index]

    def jump(self, when: float) -> None:
        """It is ``when``, if that is later than now."""
        self._shift += max(0.0, when - self.time())
