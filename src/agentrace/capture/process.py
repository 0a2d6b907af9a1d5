"""What is recorded in this process: the open runs, and the flow that the calling code is in.

``current`` is the process's one :class:`Recording`, or ``None`` while nothing is recorded. Wrapped functions look it up
at each call, so they close over nothing of ours and can be pickled and copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from agentrace.capture.guard import RunOver
from agentrace.capture.ordinals import ProcessScope
from agentrace.capture.recording import RunRecording
from agentrace.capture.scope import FLOW, Flow
from agentrace.capture.step import Step
from agentrace.events import RUN_STEP, Parent

RunName: TypeAlias = str | Callable[[], str]


class Recording:
    """All runs that this process records."""

    def __init__(self, scope: ProcessScope, new_run: Callable[[Parent, RunName], RunRecording]) -> None:
        self.scope = scope
        self._new_run = new_run
        self._lock = threading.RLock()
        self._implicit: RunRecording | None = None
        self._runs: list[RunRecording] = []
        self.over = False
        """Whether nothing is recorded any more, though other threads may not know it yet."""
        self.parent = Parent()
        """The place in another process from which this one was started."""
        self.name = ""
        self.is_one_run = False
        """Whether blocks that would be runs of their own belong to the run of the process, as in a test."""
        self.end_run: Callable[[RunRecording, BaseException | None], None] = _nobody_ends
        """Ends one run of several, with the exception that left it."""
        self.leave_out: Callable[[Any], Any] = _nothing
        """What becomes of a request that is about to go out and is not recorded; ``None`` for all others."""
        self.main_may_be_ready: Callable[[], bool] | None = None
        """Asked before calls and new tasks until it says that there is nothing to wait for."""
        self.tools_offered: Callable[[Collection[str]], None] | None = None
        """Told the names of the tools that a request is about to offer to a model, if anybody wants to know."""

    def implicit(self) -> RunRecording:
        """The run of the process itself, for steps outside any other."""
        run = self._implicit
        if run is None or run.closed:
            with self._lock:
                run = self._implicit
                if run is None or run.closed:
                    run = self._implicit = self.open_run(self.name, self.parent)
        return run

    def open_run(self, name: RunName, parent: Parent = Parent()) -> RunRecording:  # noqa: B008  (frozen)
        """A new run of this process; it is written, under the name it then has, from its first event on."""
        if self.over:
            raise RunOver
        run = self._new_run(parent, name)
        with self._lock:
            self._runs = [known for known in self._runs if not known.closed]
            self._runs.append(run)
        return run

    def runs(self) -> Iterable[RunRecording]:
        """The runs that are not closed, oldest first."""
        with self._lock:
            return [run for run in self._runs if not run.closed]

    def parts(self) -> Iterable[RunRecording]:
        """Of these, the ones that are a part of the process."""
        return [run for run in self.runs() if run is not self._implicit]

    def flow(self) -> Flow:
        """The flow that the calling code is in."""
        held = FLOW.get()
        if held is None or held.run.closed:
            return self.implicit().root.here()
        return (held.inner if type(held) is Step else held).here()

    def flow_of_timers(self) -> Flow | None:
        """The same, but ``None`` in a thread that has not made a step and may not belong to the program."""
        held = FLOW.get()
        if held is None or held.run.closed:
            known = threading.main_thread().ident, self.implicit().root.owner
            if threading.get_ident() not in known:
                return None
        return self.flow()

    def flow_given(self) -> Flow | None:
        """The same, where what called the code has given it one."""
        held = FLOW.get()
        if held is None or held.run.closed:
            return None
        return held.inner if type(held) is Step else held

    def enclosing(self) -> Step | None:
        """The open step that the calling code is in."""
        held = FLOW.get()
        step: Step | None = held if type(held) is Step else getattr(held, "step", None)
        return None if step is None or step.ended or step.run.closed else step

    def place(self) -> tuple[RunRecording, int]:
        """The run that the calling code is in, and the step, 0 for none. Unlike :meth:`flow` it makes no flow."""
        held = FLOW.get()
        if held is None or held.run.closed:
            return self.implicit(), RUN_STEP
        return held.run, held.id if type(held) is Step else held.parent

    def prepare(self) -> None:
        """Give configured functions of ``__main__`` their wrappers, if they are defined by now."""
        ready = self.main_may_be_ready
        if ready is not None and not ready():
            self.main_may_be_ready = None

    def offer(self, tools: Collection[str]) -> None:
        """A request of the run that the calling code is in is about to offer these tools to a model."""
        if self.tools_offered is not None and tools:
            self.flow().run.offered.update(tools)
            self.tools_offered(tools)

    def abandon(self) -> None:
        """In a forked child: every open run is the parent's."""
        self._lock = threading.RLock()
        for run in self._runs:
            run.abandon()
        self._runs = []
        self._implicit = None


def _nothing(_: object) -> None:
    """Every request is recorded, unless whoever put the recording together says which are not."""


def _nobody_ends(_: RunRecording, __: BaseException | None) -> None:
    """Runs end with the process, unless whoever put the recording together says how."""


current: Recording | None = None


def install(recording: Recording | None) -> None:
    """Make ``recording`` the one of this process."""
    global current
    current = recording
