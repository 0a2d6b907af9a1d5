"""The iterations of asyncio's loops: what is kept of them in the loops, and whose the callbacks are."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from agentrace import events
from agentrace.capture.guard import fault
from agentrace.capture.scope import FLOW, Flow, at_work_for

if TYPE_CHECKING:
    from agentrace.capture.recording import RunRecording

TURN: Final = "_agentrace_turn"
"""The attribute in which a loop whose iterations are counted keeps their number."""
TIMERS: Final = "_agentrace_timers"
"""The attribute that holds its timers."""
LAST: Final = "_agentrace_last"
"""The attribute that holds the last callback that was ready when the iteration began."""
BEFORE: Final = "_agentrace_before"
"""The attribute of such a loop that holds what is called at the beginning of each iteration, on a replay."""
_MOST_CALLED: Final = 100
_MOST_BEHIND: Final = 64


def is_ours(handle: Any) -> bool:
    """Whether a callback in a loop is agentrace's."""
    return is_our_own(handle._callback)


def is_our_own(callback: Any) -> bool:
    """Whether what is, or is to be, called by a loop is agentrace's."""
    return (getattr(callback, "__module__", None) or "").startswith("agentrace.")


def is_the_programs(handle: Any) -> bool:
    """Whether a callback in a loop is not ours, and not of what works on a call that is answered on a replay."""
    if is_ours(handle):
        return False
    found = handle._context.get(FLOW)  # a flow, or a step that stands for the flow inside
    return found is None or not (found.answered if isinstance(found, Flow) else found.inner.answered)


def is_counted(loop: Any) -> bool:
    """Whether a loop, which runs, counts its iterations; from now on, if that was not asked before."""
    if not hasattr(loop, TURN) and hasattr(loop, "_run_once"):
        setattr(loop, TURN, 1)
    return hasattr(loop, TURN)


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


class Made(ref[Any]):
    """A timer of the program, known by what made it, in the order in which that made timers."""

    __slots__ = ("flow", "key", "ordinal")

    flow: Flow
    ordinal: int
    key: int

    @property
    def told(self) -> tuple[str, int]:
        """The same under any schedule: the flow, with the steps around it, and how many timers it made before."""
        return f"{self.flow.step_path}|{self.flow.path}", self.ordinal


class Posted:
    """What a thread gave to a loop in place of a callback: known by the thread's flow, and noted when it is called."""

    __slots__ = ("_callback", "_loop", "_note", "flow", "ordinal")

    def __init__(self, callback: Callable[..., Any], loop: Any, flow: Flow, note: Callable[..., bool]) -> None:
        self._callback = callback
        self._loop = loop
        self._note = note
        """Told of the call: the loop, this, and what calls it later; whether that is to be done."""
        self.flow = flow
        self.ordinal, flow.timers = flow.timers, flow.timers + 1

    @property
    def told(self) -> tuple[str, int]:
        """As in :class:`Made`."""
        return f"{self.flow.step_path}|{self.flow.path}", self.ordinal

    def __call__(self, *args: Any) -> Any:
        """Called by the loop."""
        try:
            # Where it is put off, it is called by the loop in another context than that of whoever gave it.
            later = self._note(self._loop, self, partial(copy_context().run, self._call, *args))
        except Exception as error:
            fault(error)
            later = False
        return None if later else self._call(*args)

    def _call(self, *args: Any) -> Any:
        with at_work_for(self.flow, self.flow.beside(f"posted:{self.ordinal}")):
            return self._callback(*args)


class Timers:
    """The timers of the program in one loop: those that it may call, and those it has called and not told."""

    __slots__ = ("_called", "_made")

    def __init__(self) -> None:
        self._made: dict[int, Made] = {}
        """By identity of the timer, which has no place for anything of ours."""
        self._called: list[tuple[int, int, Made | Posted]] = []
        """Of each its iteration, and when it was called; also what threads gave to the loop."""

    def make(self, timer: Any, flow: Flow) -> Made:
        """A timer was made."""
        made = self._made[id(timer)] = Made(timer, self._forget)
        made.flow, made.key = flow, id(timer)
        made.ordinal, flow.timers = flow.timers, flow.timers + 1
        return made

    def made(self, timer: Any) -> Made | None:
        """What is known of a timer that was not called yet; ``None`` if it is not the program's."""
        return self._made.get(id(timer))

    def call(self, timer: Any, turn: int) -> Made | None:
        """A timer is called in this iteration."""
        made = self._made.pop(id(timer), None)
        if made is not None:
            self.note(made, turn)
        return made

    def note(self, made: Made | Posted, turn: int) -> None:
        """It is called in this iteration."""
        self._called.append((turn, time.monotonic_ns(), made))

    @property
    def any(self) -> bool:
        """Whether there is one to tell."""
        return bool(self._called)

    @property
    def many(self) -> bool:
        """Whether it is time to tell them."""
        return len(self._called) >= _MOST_CALLED

    def runs(self) -> set[RunRecording]:
        """The runs that those belong to that were called."""
        return {made.flow.run for _, _, made in self._called}

    def take(self, run: RunRecording) -> list[events.Callback]:
        """Those of ``run`` that were called, which are told now."""
        since = run.clock.wall_ns() - time.monotonic_ns()
        told, left = [], []
        for called in self._called:
            turn, at, made = called
            flow = made.flow
            if flow.run is run:
                place = flow.parent, flow.path, made.ordinal
                told.append(events.Callback(turn, since + at, *place, isinstance(made, Posted)))
            elif not flow.run.closed:
                left.append(called)
        self._called = left
        return told

    def _forget(self, made: Made) -> None:
        if self._made.get(made.key) is made:
            del self._made[made.key]


def timers_of(loop: Any) -> Timers:
    """The timers of the program in ``loop``."""
    timers: Timers | None = getattr(loop, TIMERS, None)
    if timers is None:
        timers = Timers()
        setattr(loop, TIMERS, timers)
    return timers
