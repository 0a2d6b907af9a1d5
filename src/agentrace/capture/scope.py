"""Where in the program a step happens: flows, told by creation order and never by timing.

A :class:`Flow` is one line of control under one enclosing step: the step's own, that of a task, or that of a thread.
Its path counts creations within its parent, which is program order, so the same program gives the same paths under any
schedule. Flows travel in one context variable of ours; no other state of the user's contexts is touched.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from agentrace import events

if TYPE_CHECKING:
    from agentrace.capture.recording import RunRecording

_ident = threading.get_ident


TURN: Final = "_agentrace_turn"
"""The attribute in which a loop whose iterations are counted keeps their number."""
FIRED: Final = "_agentrace_fired"
"""The attribute that holds the iterations in which it called timers of the program since this was told."""
BEFORE: Final = "_agentrace_before"
"""The attribute of such a loop that holds what is called at the beginning of each iteration, on a replay."""
AFTER: Final = "_agentrace_after"
"""The same at its end."""
ON_TIMER: Final = "_agentrace_on_timer"
"""The attribute that holds what is called for each of them, on a replay."""
_MOST_FIRED: Final = 100
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


class Flow:
    """One line of control under one enclosing step."""

    __slots__ = (
        "_derived",
        "_task",
        "answered",
        "branches",
        "loop",
        "ordinals",
        "owner",
        "parent",
        "path",
        "run",
        "shared",
        "step",
        "step_path",
        "task",
        "thread",
        "values",
    )

    def __init__(
        self, run: RunRecording, parent: int, path: str, step_path: str = "", task: int = 0, shared: bool = False
    ) -> None:
        self.run = run
        self.parent = parent
        """The enclosing step, 0 for none."""
        self.path = path
        """Hops from the enclosing step, e.g. ``task:2/thread:0``."""
        self.step_path = step_path
        """The full path of the enclosing step."""
        self.task = task
        """Ordinal of the asyncio task, 0 outside."""
        self._task: Any = None
        self.shared = shared
        self.owner = 0
        """Identity of the thread that uses the flow; 0 until one does."""
        self.thread = 0
        self.ordinals = itertools.count()
        """Ordinals of the steps dispatched in this flow."""
        self.branches: dict[str, int] = {}
        self.values = 0
        """Values of the outside world that this flow has asked for."""
        self.loop: LoopState | None = None
        self._derived: dict[int, Flow] | None = None
        self.step: Any = None
        """The enclosing step while it is open."""
        self.answered = False
        """Whether it is inside a step that a replay answers."""

    def branch(self, kind: str, task: int = 0, shared: bool = False) -> Flow:
        """The flow of a ``task``, ``thread`` or other child that is created here, now."""
        count = self.branches.get(kind, 0)
        self.branches[kind] = count + 1
        path = f"{self.path}/{kind}:{count}" if self.path else f"{kind}:{count}"
        child = Flow(self.run, self.parent, path, self.step_path, task, shared or self.shared)
        child.step, child.answered = self.step, self.answered
        return child

    def inside(self, step_id: int, name: str, ordinal: int) -> Flow:
        """The flow inside a step that this flow dispatched."""
        hops = f"/{self.path}" if self.path else ""
        inner = Flow(self.run, step_id, "", f"{self.step_path}{hops}/{name}#{ordinal}", self.task)
        inner.owner, inner.thread, inner.loop = self.owner, self.thread, self.loop
        inner._task, inner.answered = self._task, self.answered
        return inner

    def used_by(self, task: Any) -> None:
        """Note the asyncio task that takes a step: a second one beside it makes the order a matter of timing."""
        owner = None if self._task is None else self._task()
        if owner is None or (owner is not task and owner.done()):
            self._task = None if task is None else ref(task)
        elif owner is not task:
            self.shared = True

    def here(self) -> Flow:
        """This flow, or the one derived from it for a thread that it was not made for."""
        ident = _ident()
        if self.owner == ident:
            return self
        if not self.owner:
            self.owner = ident
            self.thread = self.run.process.thread_ordinal(ident)
            return self
        derived = self._derived = {} if self._derived is None else self._derived
        found = derived.get(ident)
        if found is None:
            found = derived[ident] = self.branch("worker", shared=True)
            found.owner = ident
            found.thread = self.run.process.thread_ordinal(ident)
        return found


FLOW: ContextVar[Any] = ContextVar("agentrace_flow", default=None)
"""Where the calling code is: a ``Flow``, a ``Step`` (standing for the flow inside it), or ``None``."""


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

    def fired(self, loop: Any, run: RunRecording | None, *, is_the_programs: bool) -> None:
        """A timer is called by ``loop``; ``run`` is that of the flow that made it."""
        turn = getattr(loop, TURN, 0)
        if not turn:
            return
        told = getattr(loop, ON_TIMER, None)
        if told is not None and is_the_programs:
            told()
        fired_in(loop).add(turn, run, is_the_programs=is_the_programs)

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


class Fired:
    """The timers that one loop has called since it told them."""

    __slots__ = ("_others", "_skipped", "_timers", "_turn")

    def __init__(self) -> None:
        self._timers: deque[tuple[int, int, int, RunRecording | None]] = deque(maxlen=_MOST_FIRED)
        """Of each its iteration, when it was called, how many others were called before it, and whose it is."""
        self._skipped = 0
        self._turn = 0
        self._others = 0
        """Timers that belong to calls, in that iteration."""

    def __bool__(self) -> bool:
        return bool(self._timers)

    def add(self, turn: int, run: RunRecording | None, *, is_the_programs: bool) -> None:
        """A timer is called in this iteration."""
        if turn != self._turn:
            self._turn, self._others = turn, 0
        if is_the_programs:
            self._skipped += len(self._timers) == _MOST_FIRED
            self._timers.append((turn, time.monotonic_ns(), self._others, run))
        else:
            self._others += 1

    def of(self, run: RunRecording) -> tuple[list[events.Timer], int]:
        """Takes out those of ``run``, and of none; and how many were forgotten."""
        since = run.clock.wall_ns() - time.monotonic_ns()
        told = [events.Timer(turn, since + at, others) for turn, at, others, of in self._timers if of in (run, None)]
        left = [timer for timer in self._timers if timer[3] not in (run, None)]
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


def _no_loop() -> None:
    return None
