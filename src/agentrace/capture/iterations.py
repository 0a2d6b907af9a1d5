"""The iterations of asyncio's loops: what is kept of them in the loops, and whose the callbacks are."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from agentrace import events
from agentrace.capture.scope import FLOW, Flow

if TYPE_CHECKING:
    from agentrace.capture.recording import RunRecording

TURN: Final = "_agentrace_turn"
"""The attribute in which a loop whose iterations are counted keeps their number."""
FIRED: Final = "_agentrace_fired"
"""The attribute that holds the iterations in which it called timers of the program since this was told."""
LAST: Final = "_agentrace_last"
"""The attribute that holds the last callback that was ready when the iteration began."""
BEFORE: Final = "_agentrace_before"
"""The attribute of such a loop that holds what is called at the beginning of each iteration, on a replay."""
AFTER: Final = "_agentrace_after"
"""The same at its end."""
ON_TIMER: Final = "_agentrace_on_timer"
"""The attribute that holds what is called for each of them, on a replay."""
_MOST_FIRED: Final = 100
_MOST_BEHIND: Final = 64


def is_ours(handle: Any) -> bool:
    """Whether a callback in a loop is agentrace's."""
    return (getattr(handle._callback, "__module__", None) or "").startswith("agentrace.")


def is_the_programs(handle: Any) -> bool:
    """Whether a callback in a loop is not ours, and not of what works on a call that is answered on a replay."""
    if is_ours(handle):
        return False
    found = handle._context.get(FLOW)  # a flow, or a step that stands for the flow inside
    return found is None or not (found.answered if isinstance(found, Flow) else found.inner.answered)


def behind(loop: Any) -> int:
    """How many callbacks of the program follow in this iteration that were ready when it began; 0 if unknown."""
    last, ready = getattr(loop, LAST, None), getattr(loop, "_ready", None)
    if last is None or not ready:
        return 0
    count = 0
    for handle in islice(ready, _MOST_BEHIND):
        count += is_the_programs(handle)
        if handle is last:
            return count
    return 0  # it was called before, or is far away


class Fired:
    """The timers of the program that one loop has called since it told them."""

    __slots__ = ("_skipped", "_timers", "count")

    def __init__(self) -> None:
        self._timers: deque[tuple[int, int, RunRecording | None]] = deque(maxlen=_MOST_FIRED)
        """Of each its iteration, when it was called, and whose it is."""
        self.count = 0
        """How many there were in all."""
        self._skipped = 0

    def __bool__(self) -> bool:
        return bool(self._timers)

    def add(self, turn: int, run: RunRecording | None) -> None:
        """A timer is called in this iteration."""
        self.count += 1
        self._skipped += len(self._timers) == _MOST_FIRED
        self._timers.append((turn, time.monotonic_ns(), run))

    def of(self, run: RunRecording) -> tuple[list[events.Timer], int]:
        """Takes out those of ``run``, and of none; and how many were forgotten."""
        since = run.clock.wall_ns() - time.monotonic_ns()
        told = [events.Timer(turn, since + at) for turn, at, of in self._timers if of in (run, None)]
        left = [timer for timer in self._timers if timer[2] not in (run, None)]
        self._timers.clear()
        self._timers.extend(left)
        skipped, self._skipped = self._skipped, 0
        return told, skipped


def fired_in(loop: Any) -> Fired:
    """The timers that ``loop`` has called."""
    fired: Fired | None = getattr(loop, FIRED, None)
    if fired is None:
        fired = Fired()
        setattr(loop, FIRED, fired)
    return fired
