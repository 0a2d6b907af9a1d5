"""Whether the thread that was answered last, and every other, has done what it can before the next is answered."""

from __future__ import annotations

from typing import Final

from agentrace.replay import waiting

_SETTLE_NS: Final = 50_000_000
"""How long a thread that got its answer may go on before another gets its own."""
_AT_ONCE_NS: Final = 30_000
"""What came sooner than this after the answer before it left other threads no time for anything."""
_ALLOWANCE_NS: Final = 30_000_000
"""How much longer than in the recorded run threads may take until an answer does not wait for them."""
_SHORT_ALLOWANCE_NS: Final = 1_000_000
_MOST_WAITED_NS: Final = 5_000_000_000
"""From then on it is the short one: there is a thread that is always at work."""


class Settling:
    """The threads of a process; used under the turnstile's lock."""

    __slots__ = ("_running", "_waited_ns")

    def __init__(self) -> None:
        self._waited_ns = 0
        """How long answers have waited in vain for threads that were at work."""
        self._running: tuple[int, int] | None = None
        """The thread that was answered last, and when; until it has come to its next mark."""

    def answered(self, thread: int) -> None:
        """``thread`` goes on now."""
        self._running = (thread, waiting.now_ns())

    def arrived(self, thread: int) -> bool:
        """``thread`` has come to its next mark; whether others may have waited for that."""
        if self._running is None or self._running[0] != thread:
            return False
        self._running = None
        return True

    def settled(self, me: int, gap_ns: int, came_ns: int) -> bool:
        """Whether every thread but ``me`` has had the time that it had since the answer before: ``gap_ns``.

        ``came_ns`` is when the turn of ``me`` came; 0 if it is only just here.
        """
        running = self._running
        if running is not None and running[0] != me:
            if waiting.now_ns() - running[1] < _SETTLE_NS and not waiting.blocked(running[0]):
                return False
            self._running = None
        if gap_ns < _AT_ONCE_NS or waiting.others_blocked():
            return True
        waited = waiting.now_ns() - came_ns if came_ns else 0
        allowance = _ALLOWANCE_NS if self._waited_ns < _MOST_WAITED_NS else _SHORT_ALLOWANCE_NS
        if waited <= min(2 * gap_ns + allowance, _SETTLE_NS):
            return False
        self._waited_ns += waited
        return True
