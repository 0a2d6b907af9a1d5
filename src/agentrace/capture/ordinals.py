"""Ordinals of threads, tasks and event loops in a process, and the iterations in which something comes about."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from agentrace import events
from agentrace.capture.iterations import FIRED, ON_TIMER, TURN, behind, fired_in

if TYPE_CHECKING:
    from agentrace.capture.recording import RunRecording
    from agentrace.capture.scope import Flow

_ident = threading.get_ident
UNCOUNTED: Final = 1000
"""By how much the tick of a loop whose iterations are not counted rises: how many lie between is not known."""


class LoopState:
    """One event loop: its ordinal in the process and, if nobody counts its iterations, how many ended a step."""

    __slots__ = ("armed", "context", "of", "ordinal", "run", "ticks")

    def __init__(self, loop: Any, ordinal: int) -> None:
        self.of = ref(loop)
        """The loop, while it lives."""
        self.ordinal = ordinal
        self.run: ref[RunRecording] | None = None
        """The run of the latest step in it."""
        self.ticks = 0
        self.armed = False
        self.context = Context()  # of its own: a context can be entered by one thread at a time

    def disarm(self) -> None:
        """Called by the loop in its next iteration: what ends now belongs to another tick."""
        self.armed = False


class ProcessScope:
    """Ordinals of threads, tasks and loops in this process."""

    def __init__(self) -> None:
        self._threads: dict[int, int] = {}
        self._thread_count = itertools.count()
        self.tasks = itertools.count(1)
        self._loops: WeakKeyDictionary[Any, LoopState] = WeakKeyDictionary()
        self._loop_count = itertools.count(1)
        self.running_loop: Callable[[], Any] = _no_loop
        self.current_task: Callable[[], Any] = _no_loop

    def thread_ordinal(self, ident: int) -> int:
        """The ordinal of a thread; an identity is given again to a new thread only by :meth:`thread_started`."""
        found = self._threads.get(ident)
        return self._threads.setdefault(ident, next(self._thread_count)) if found is None else found

    def thread_started(self) -> None:
        """The calling thread is new, whatever its identity was used for before."""
        self._threads[_ident()] = next(self._thread_count)

    def thread_ended(self) -> None:
        """The calling thread is about to end."""
        self._threads.pop(_ident(), None)

    def loop_state(self, loop: Any) -> LoopState:
        """The state of an event loop, made when first seen."""
        found = self._loops.get(loop)
        return self._loops.setdefault(loop, LoopState(loop, next(self._loop_count))) if found is None else found

    def tick(self, flow: Flow) -> int:
        """The iteration of the running loop in which something ends now; 0 outside loops."""
        loop = self.running_loop()
        if loop is None:
            return 0
        turn: int = getattr(loop, TURN, 0)
        if turn:
            if getattr(loop, FIRED, None):
                self._tell_timers(loop, flow.run)
            return turn
        state = flow.loop
        if state is None or state.of() is not loop:
            state = flow.loop = self.loop_state(loop)
        if not state.armed:
            state.armed = True
            state.ticks += UNCOUNTED
            try:
                loop.call_soon(state.disarm, context=state.context)
            except RuntimeError:  # the loop is closing
                state.armed = False
        return state.ticks

    def place(self, flow: Flow) -> tuple[int, int]:
        """The same, and how many callbacks of the program follow in that iteration."""
        tick = self.tick(flow)
        return tick, behind(self.running_loop()) if tick else 0

    def fired(self, loop: Any, run: RunRecording | None) -> None:
        """A timer of the program is called by ``loop``; ``run`` is that of the flow that made it."""
        turn = getattr(loop, TURN, 0)
        if not turn:
            return
        told = getattr(loop, ON_TIMER, None)
        if told is not None:
            told()
        fired_in(loop).add(turn, run)

    def closing(self, loop: Any) -> None:
        """``loop`` is closed: what it has not told yet is all there is."""
        state = self._loops.get(loop)
        run = None if state is None or state.run is None else state.run()
        if run is not None and not run.closed:
            self._tell_timers(loop, run, over=True)

    def _tell_timers(self, loop: Any, run: RunRecording, *, over: bool = False) -> None:
        fired = getattr(loop, FIRED, None)
        timers, skipped = ([], 0) if fired is None else fired.of(run)
        if timers or over:
            run.emit(events.TimersFired, 0, self.loop_state(loop).ordinal, timers, skipped, over)


def _no_loop() -> None:
    return None
