"""The composition root: settings, journal, redaction, capture and integrations put together, and taken apart again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from agentrace import events
from agentrace.capture import carriers, competing, gevent_carriers, loop_carriers, patches, process, trio_carriers
from agentrace.capture.behind import Behind
from agentrace.capture.guard import fault, guarded, say
from agentrace.capture.hearing import Hearing
from agentrace.capture.ordinals import ProcessScope
from agentrace.capture.process import Recording
from agentrace.capture.recording import Recorder, RunRecording, Tape
from agentrace.capture.runs import place_from
from agentrace.capture.sampling import Unwritten, is_drawn
from agentrace.config import Settings
from agentrace.errors import ConfigError, RecordingFailed, StoreVersion
from agentrace.ids import Clock, SystemClock
from agentrace.integrations.imports import ImportWatch
from agentrace.integrations.registry import Instrumentation
from agentrace.integrations.telemetry import leaving_out
from agentrace.integrations.unrecorded import watch_clusters
from agentrace.journal import Journal
from agentrace.patterns import AUTO
from agentrace.redact import environment_secrets, redactor
from agentrace.runtime import children
from agentrace.runtime.lifecycle import Ending, Hooks, Signals, let_writers_finish
from agentrace.runtime.telling import End, Telling, end_of

_hooks = Hooks()


class Runtime:
    """Everything that records in this process. One exists at a time; see ``init`` and ``shutdown``."""

    before_close: Callable[[], None] | None = None
    """Called when the program ended and its runs are about to."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        open_recorder: Callable[[bytes], Recorder] | None = None,
        tape: Tape | None = None,
        origin: events.Origin = events.Origin(),  # noqa: B008  (frozen)
        answering: bool = False,
    ) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock() if clock is None else clock
        self.redactor = redactor(settings.redact, settings.redact_patterns, environment_secrets(os.environ))
        self.scope = ProcessScope()
        self.recording = Recording(self.scope, self._new_run)
        self.recording.parent = children.parent_here()
        self.recording.end_run = self._end
        self.recording.leave_out = leaving_out(self.recording, settings.exclude_urls)
        self.tape = tape
        self.origin = origin
        self.watch = ImportWatch()
        self.greenlets = gevent_carriers.Greenlets()
        self.instrumentation = Instrumentation(
            self.watch,
            {"tool": [tool for tool in settings.tools if tool != AUTO], "retriever": settings.retrievers},
            offered=AUTO in settings.tools,
            answering=answering or tape is not None,
        )
        self.behind = Behind() if open_recorder is None else None
        """Writes what wires carry. In memory, where tests compare whole records, everything is written in its turn."""
        self.describes = True
        """Whether runs tell at their end what they ran on, for which the program's source is read."""
        self.telling = Telling(settings)
        self.hearing = Hearing(settings)
        self.boot = ""
        """Directory from which child processes begin, though this one was not started by the command."""
        self.child_variables: Mapping[str, str] = {}
        """What else they are told."""
        self.ending = Ending(self._child_raised)
        self.signals = Signals(self._terminated)
        self._given_recorder = open_recorder
        self._journal: Journal | None = None
        self._making_journal = threading.RLock()
        self._told_loss = False
        self._begun = False
        self._forking: events.Parent | None = None
        self.forked: Callable[[events.Parent], None] | None = None
        """Called in a forked child with its place in the parent, before it records anything."""
        self.after_close: Callable[[], None] | None = None
        """Called when everything is written."""

    # -- beginning and end ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to record. What was put in place is taken back if that fails."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._begun = True
        process.install(self.recording)
        _hooks.register()
        _hooks.at_exit, _hooks.before_fork, _hooks.after_fork = self._over, self._before_fork, self._after_fork
        self.watch.install()
        carriers.carry_threads()
        self.watch.when("queue", competing.watch_queues)
        carriers.carry_execs(self._environment, self.close)
        self.watch.when("asyncio.base_events", loop_carriers.carry_asyncio)
        self.watch.when("uvloop", loop_carriers.carry_uvloop)
        self.watch.when("anyio.to_thread", loop_carriers.carry_worker_threads)
        self.watch.when("trio._core._run", trio_carriers.carry_trio)
        self.watch.when("trio._core._run", self._know_trio)
        self.watch.when("trio.to_thread", trio_carriers.carry_trio_threads)
        self.watch.when("gevent", self._know_gevent)
        self.watch.when("gevent.threadpool", gevent_carriers.carry_gevent_threads)
        self.watch.when("asyncio.tasks", self._know_asyncio)
        self.watch.when("asyncio.tasks", loop_carriers.carry_completions)
        self.watch.when("concurrent.futures.thread", carriers.carry_pools)
        self.watch.when("subprocess", lambda module: carriers.carry_subprocesses(module, self._environment))
        self.watch.when("multiprocessing.util", self._know_multiprocessing)
        self.watch.when("multiprocessing.spawn", self._know_fork_servers)
        self.watch.when("multiprocessing.process", self.ending.watch_children)
        self.watch.when("distributed.client", watch_clusters)
        for name in carriers.LOKY:
            self.watch.when(name, lambda module: carriers.carry_loky(module, self._environment))
        self._patch()
        self.instrumentation.install()
        self.recording.tools_offered = self.instrumentation.tools_offered()
        self.recording.main_may_be_ready = self.instrumentation.main_may_be_ready
        self.hearing.begin(self.watch.when, self.recording)
        self.ending.watch()
        self.signals.install()

    def _over(self) -> None:
        """The process ends, whatever some of its threads are still in the middle of."""
        self._cut_short()
        self.close()

    @guarded
    def _cut_short(self) -> None:
        for run in self.recording.parts():
            if run.opened:
                run.emit(events.ExecutionAborted, events.RUN_STEP, "process", "exit", "the process ended before it did")

    def close(self) -> None:
        """End every run, write out what is pending, and leave the program as it was before :meth:`start`."""
        if not self._begun:
            return
        before, self.before_close = self.before_close, None
        if before is not None:
            before()
        # Other threads may be taking steps: first nobody begins one, then the runs end.
        self.recording.over = True
        if process.current is self.recording:
            process.install(None)
        try:
            error = self.ending.error()
            for run in self.recording.runs():
                self._end(run, error if run.exit_code is None else None)
        finally:
            if self.behind is not None:
                self.behind.close()  # first: its thread counts as one that writes
            self._leave()
            if self._journal is not None:
                self._journal.close(timeout=self.settings.exit_timeout)
        if self.after_close is not None:
            self.after_close()

    def _leave(self) -> None:
        """Take back everything that :meth:`start` put in place."""
        self._begun = False
        let_writers_finish()
        _hooks.at_exit = _hooks.before_fork = _hooks.after_fork = None
        self.signals.remove()
        self.hearing.end()
        self.instrumentation.remove()
        self.watch.remove()
        self.greenlets.remove()
        patches.restore_types()
        carriers.restore_all()

    def _patch(self) -> None:
        for kind in self.settings.patch:
            if kind not in patches.KINDS:
                known = ", ".join(patches.KINDS)
                raise ConfigError(f"there is nothing to patch that is called {kind!r}", do=f"take some of {known}")
            for module, put_in_place in patches.KINDS[kind]:
                self.watch.when(module, put_in_place)

    def flush(self) -> None:
        """Return when everything recorded so far is as safe as the settings promise."""
        if self._journal is not None:
            self._journal.flush()

    def _end(self, run: RunRecording, error: BaseException | None) -> None:
        try:
            if run.opened:
                self._describe(run)
            run.close(self._end_of(run, error) if run.opened else None)
        except Exception as ours:
            fault(ours)
        finally:
            if not run.closed:
                run.abandon()

    @guarded
    def _describe(self, run: RunRecording) -> None:
        run.end_unfinished()
        if self.describes:
            run.emit(events.WorkflowDescribed, events.RUN_STEP, *self.telling.described(run, self.instrumentation))

    @guarded
    def _child_raised(self, error: BaseException) -> None:
        for run in self.recording.runs():
            if run.opened:
                run.failure = run.describe_failure(error)

    def _end_of(self, run: RunRecording, error: BaseException | None) -> End:
        code = self.ending.exit_code() if run.exit_code is None else run.exit_code
        return end_of(run, code, run.failure if error is None else run.describe_failure(error))

    @guarded
    def _terminated(self, signal_name: str) -> None:
        for run in self.recording.runs():
            if run.opened:
                run.emit(events.ExecutionAborted, events.RUN_STEP, "signal", signal_name, "the process was told to end")
            run.exit_code, run.failure = 143, None
        self.close()

    # -- runs ----------------------------------------------------------------------------------------------------

    def _new_run(self, parent: events.Parent, name: process.RunName, sample: bool | None) -> RunRecording:
        def started(run: RunRecording) -> events.WorkflowStarted:
            told = run.clean(name() if callable(name) else name)
            return self.telling.started(run, parent, told, self.origin, self._durability())

        run = RunRecording(self.scope, self.clock, self.redactor, self._recorder, started, self.tape, self.behind)
        if self.tape is None and not self.recording.is_one_run:  # what is replayed, and a test with a trace, is whole
            self._sample(run, parent, sample)
        run.root.shared = children.shares_jobs()
        return run

    def _sample(self, run: RunRecording, parent: events.Parent, sample: bool | None) -> None:
        """Decide whether a run is written; one below another goes with that one."""
        if parent.run_id:
            run.sampled = not isinstance(parent, Unwritten)
        elif sample is not None:
            run.sampled = sample
        else:
            run.sample_rate = self.settings.sample_rate
            run.sampled = is_drawn(run.id, run.sample_rate)

    def _recorder(self, run_id: bytes) -> Recorder:
        if self._given_recorder is not None:
            return self._given_recorder(run_id)
        return cast("Recorder", self.journal().writer(run_id))  # its methods are attributes

    def journal(self) -> Journal:
        """The process's journal, opened when first needed."""
        with self._making_journal:
            if self._journal is None:
                self._journal = Journal(
                    self.settings.home,
                    durability=self.settings.durability,
                    on_failure=self._lost,
                    tombstone=events.tombstone,
                    seal=self.settings.seal,
                )
            return self._journal

    def _durability(self) -> str:
        if self._journal is None:
            return "memory"
        return self.settings.durability if self._journal.mode == "mmap" else f"buffered: {self._journal.why}"

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def _lost(self, error: BaseException, count: int) -> None:
        if not self._begun and isinstance(error, ValueError):
            return  # a thread that goes on after the end; what it wanted to write belongs to no run
        for run in self.recording.runs():
            run.lost += count
            run.health.add("incomplete")
            if run.opened:
                run.encoder.forget()
        told, do = str(error), f"make room or make {self.settings.home} writable"
        if isinstance(error, StoreVersion):
            told, do = error.what, error.do
        if self.settings.on_error == "raise":
            raise RecordingFailed(
                f"{f'{count} event(s)' if count else 'a payload'} could not be kept in {self.settings.home}: {told}",
                do=f"{do}; on_error='warn' lets the program go on unrecorded",
            ) from error
        if not self._told_loss:
            self._told_loss = True
            say(
                f"agentrace: events are being lost, the program goes on: {told}\n"
                f"  what to do: {do}; `agentrace doctor` tells more"
            )

    # -- other processes -----------------------------------------------------------------------------------------

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        return {
            **children.environment(self.recording, str(self.settings.home), given, self.boot),
            **self.child_variables,
        }

    @guarded
    def _before_fork(self) -> None:
        self._forking = children.branch_process(self.recording)

    @guarded
    def _after_fork(self) -> None:
        self._making_journal = threading.RLock()
        journal, self._journal = self._journal, None
        self.behind = Behind() if self.behind is not None else None
        self.instrumentation.forked()
        self.recording.abandon()
        self.hearing.forget()
        if journal is not None:
            journal.forget()
        besides = self.scope.besides
        self.scope = self.recording.scope = ProcessScope()
        self.scope.besides = besides
        if "asyncio.tasks" in sys.modules:
            self._know_asyncio(sys.modules["asyncio.tasks"])
        if self._forking is not None:
            self.recording.parent = self._forking
            if self.forked is not None:
                self.forked(self._forking)

    def _know_multiprocessing(self, module: Any) -> None:
        # A forked multiprocessing child leaves by os._exit, without atexit; its own finalizers do run. They are
        # cleared when the child begins, right before these callbacks.
        module.register_after_fork(self, Runtime._end_with_child)
        if sys.argv[1:2] == ["--multiprocessing-fork"]:  # a spawned child; it runs no such callbacks
            self._end_with_child()
        carriers.carry_spawns(module, self._environment)

    def _know_fork_servers(self, module: Any) -> None:
        carriers.carry_fork_servers(module, lambda: children.place(self.recording), self._asked_for_at)

    def _asked_for_at(self, told: str) -> None:
        place = self.recording.parent = place_from(told)
        if self.forked is not None:
            self.forked(place)

    def _end_with_child(self) -> None:
        sys.modules["multiprocessing.util"].Finalize(None, self._close_in_child, exitpriority=-100)

    def _close_in_child(self) -> None:
        self.ending.note_passing()
        self._over()

    def _know_asyncio(self, module: Any) -> None:
        self.scope.running_loop = module.events._get_running_loop
        self.scope.current_task = module.current_task

    def _know_trio(self, module: Any) -> None:
        self.scope.besides.append(trio_carriers.others_in_trio(module))

    def _know_gevent(self, module: Any) -> None:
        self.greenlets.carry(module)
        self.scope.besides.append(self.greenlets.beside_others)
