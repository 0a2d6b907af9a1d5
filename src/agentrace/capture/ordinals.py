"""Ordinals of threads, tasks and event loops in a process, and the iterations in which something comes about."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from agentrace import events
from agentrace.capture.iterations import (
    TIMERS,
    TURN,
    Posted,
    Timers,
    behind,
    is_counted,
    is_our_own,
    is_ours,
    timers_of,
)

if TYPE_CHECKING:
    from agentrace.capture.recording import RunRecording
    from agentrace.capture.scope import Flow

_ident = threading.get_ident
MOST_BETWEEN_STEPS: Final = 10_000
"""Timers and callbacks of a run that are told between two of its steps."""
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
        if is_counted(loop):
            turn: int = getattr(loop, TURN)
            timers: Timers | None = getattr(loop, TIMERS, None)
            if timers is not None and timers.any:
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

    def timer_made(self, timer: Any, loop: Any, flow: Flow) -> None:
        """A timer of ``loop`` was made in ``flow``."""
        if flow.answered or is_ours(timer) or not hasattr(loop, "_run_once"):
            return
        made = timers_of(loop).make(timer, flow)
        held = None if flow.run.tape is None else flow.run.tape.timers(loop)
        if held is not None:
            held.made(timer, made.told)

    def timer_called(self, timer: Any) -> None:
        """A timer is called by its loop."""
        loop = timer._loop
        timers: Timers | None = getattr(loop, TIMERS, None)
        made = None if timers is None else timers.call(timer, getattr(loop, TURN, 0))
        if timers is None or made is None:
            return
        run = made.flow.run
        held = None if run.tape is None else run.tape.timers(loop)
        if held is not None:
            held.called(made.told)
        if timers.many and not run.closed:
            self._tell_timers(loop, run)

    def post(self, callback: Any, loop: Any, flow: Flow) -> Any:
        """What the thread that runs ``flow`` gives to ``loop`` in place of a callback."""
        if flow.answered or is_our_own(callback):
            return callback
        posted = Posted(callback, loop, flow, self._posted)
        held = None if flow.run.tape is None else flow.run.tape.timers(loop)
        if held is not None:
            held.posting(posted.told)
        return posted

    def _posted(self, loop: Any, posted: Posted, call: Callable[[], Any]) -> bool:
        """A loop calls what a thread gave it; whether that is put off."""
        run = posted.flow.run

        def now() -> None:
            timers_of(loop).note(posted, getattr(loop, TURN, 0))
            if timers_of(loop).many and not run.closed:
                self._tell_timers(loop, run)

        def later() -> None:
            now()
            call()

        held = None if run.tape is None else run.tape.timers(loop)
        if held is not None and held.posted(posted.told, later):
            return True
        now()
        return False

    def closing(self, loop: Any) -> None:
        """``loop`` is closed: what it has not told yet is all there is."""
        timers, state = getattr(loop, TIMERS, None), self._loops.get(loop)
        runs = set() if timers is None else timers.runs()
        latest = None if state is None or state.run is None else state.run()
        for run in runs if latest is None else {latest, *runs}:
            if not run.closed:
                self._tell_timers(loop, run, over=True)

    def _tell_timers(self, loop: Any, run: RunRecording, *, over: bool = False) -> None:
        timers: Timers | None = getattr(loop, TIMERS, None)
        told = [] if timers is None else timers.take(run)
        if run.timers_since != run.steps:
            run.timers_since, run.timers = run.steps, 0
        run.timers += len(told)
        # Whoever does nothing but sleep, as a server that nobody asks, does not fill the disk with that.
        if over or (told and run.timers <= MOST_BETWEEN_STEPS):
            run.remark(events.CallbacksRun, 0, self.loop_state(loop).ordinal, told, over)


def _no_loop() -> None:
    return None
