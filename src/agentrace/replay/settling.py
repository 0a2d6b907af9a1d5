"""Whether the thread that was answered last, and every other, has done what it can before the next is answered."""

from __future__ import annotations

from typing import Final

from agentrace.replay import waiting

POLL: Final = 0.0005
"""Seconds between two times that it is asked."""
_POLL_NS: Final = int(POLL * 1e9)
_SETTLE_NS: Final = 50_000_000
"""How long a thread that got its answer may go on before another gets its own. It is told by how often that was asked,
since on a machine that is busy both take longer."""
_AT_ONCE_NS: Final = 30_000
"""What came sooner than this after the answer before it left other threads no time for anything."""
_ALLOWANCE_NS: Final = 30_000_000
"""How much longer than in the recorded run threads may take until an answer does not wait for them."""
_SHORT_ALLOWANCE_NS: Final = 1_000_000
_MOST_WAITED_NS: Final = 5_000_000_000
"""From then on it is the short one: there is a thread that is always at work."""


class Settling:
    """The threads of a process; used under the turnstile's lock."""

    __slots__ = ("_asked", "_running", "_waited_ns")

    def __init__(self) -> None:
        self._waited_ns = 0
        """How long answers have waited in vain for threads that were at work."""
        self._running = 0
        """The thread that was answered last, until it has come to its next mark; 0 for none."""
        self._asked = 0
        """How often it was asked since."""

    def answered(self, thread: int) -> None:
        """``thread`` goes on now."""
        self._running, self._asked = thread, 0

    def arrived(self, thread: int) -> bool:
        """``thread`` has come to its next mark; whether others may have waited for that."""
        if self._running != thread:
            return False
        self._running = 0
        return True

    def settled(self, me: int, gap_ns: int, asked: int) -> bool:
        """Whether every thread but ``me`` has had the time that it had since the answer before: ``gap_ns``.

        ``asked`` is how often that was asked since the turn of ``me`` came.
        """
        running = self._running
        if running and running != me:
            self._asked += 1
            if self._asked * _POLL_NS < _SETTLE_NS and not waiting.blocked(running):
                return False
            self._running = 0
        if gap_ns < _AT_ONCE_NS or waiting.others_blocked():
            return True
        waited = asked * _POLL_NS
        allowance = _ALLOWANCE_NS if self._waited_ns < _MOST_WAITED_NS else _SHORT_ALLOWANCE_NS
        if waited <= min(2 * gap_ns + allowance, _SETTLE_NS):
            return False
        self._waited_ns += waited
        return True
