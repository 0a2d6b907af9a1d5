"""What ``agentrace replay`` starts inside the program's process: a tape instead of the world, and no network."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, cast

from msgspec import Raw
from msgspec.structs import replace

from agentrace import config, events, runtime
from agentrace.archive import runs_at
from agentrace.canonical import Reader
from agentrace.capture import process
from agentrace.capture.call import call_site
from agentrace.capture.guard import fault, say
from agentrace.capture.recording import Recorder
from agentrace.capture.scope import Apart
from agentrace.capture.step import Step
from agentrace.errors import AgentraceError, CorruptRecord
from agentrace.ids import format_run_id, parse_run_id
from agentrace.query import RunRecord, Runs, inferred, replayable
from agentrace.replay.calls import taped
from agentrace.replay.causes import Circumstances
from agentrace.replay.manner import Manner
from agentrace.replay.offline import refuse_network
from agentrace.replay.report import UNKNOWN, coded
from agentrace.replay.tape import Divergence, ExactTape
from agentrace.runtime import children, surroundings
from agentrace.runtime.assembly import Runtime
from agentrace.runtime.comparing import circumstances, entry_differences, other_end

SOURCE: Final = "AGENTRACE_REPLAY"
"""``RUN_ID@PLACE``: the run that answers this process, and the store or trace file that holds it."""
MANNER: Final = "AGENTRACE_REPLAY_MANNER"
"""``ORDER,SPEED,OBSERVE``: how it answers."""
DIVERGED: Final = 3
"""Exit code of a program whose replay diverged."""
NOT_STARTED: Final = 2
"""Exit code when the replay could not begin."""


class _Remembering:
    """A recorder that also keeps payloads at hand, so that live arguments can be read back and compared."""

    def __init__(self, inner: Recorder, payloads: dict[bytes, bytes]) -> None:
        self.event = inner.event
        self.finished = inner.finished
        self._keep = inner.payload
        self._payloads = payloads

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep a payload on disk and in memory."""
        self._payloads[digest] = data
        self._keep(digest, data)


class _Unkept:
    """The writer of a replay of which nothing is kept."""

    @staticmethod
    def event(_: bytes, /) -> None:
        """Drop an event."""

    @staticmethod
    def payload(_: bytes, __: bytes, /) -> None:
        """Drop a payload."""

    @staticmethod
    def finished() -> None:
        """Nothing is there to be finished."""


Extent = Literal["process", "block", "unkept block"]
"""What is replayed: a whole program, or a part of one that goes on afterwards, of which a record is kept or is not."""


class Replaying:
    """The replay of one process, or of a block in one."""

    def __init__(
        self,
        runs: Runs,
        source: RunRecord,
        settings: config.Settings,
        manner: Manner = Manner(),  # noqa: B008  (frozen)
        extent: Extent = "process",
    ) -> None:
        self._runs = runs
        self._source = source
        self._manner = manner
        self._payloads: dict[bytes, bytes] = {}
        self._allow_network: Callable[[], None] = lambda: None
        self._is_block = extent != "process"
        self._is_kept = extent != "unkept block"
        self._credentials: Mapping[str, str] = {}
        self.diverged_at = ""
        """``file:line function`` of the program where a block first diverged; empty if that is not known."""
        self.runtime = Runtime(settings, open_recorder=self._recorder, origin=_origin(source), answering=True)
        self.tape = self.runtime.tape = self._tape(source)
        self.runtime.forked = self._forked
        self.runtime.describes = self._is_kept

    def _tape(self, source: RunRecord | None) -> ExactTape:
        found = None if source is None else replayable(source, inferred(source))
        return ExactTape(
            None if source is None else taped(source),
            Reader(self._payload),
            caveats=[] if found is None else coded([*found.because, *found.caveats]),
            manner=self._manner,
            circumstances=UNKNOWN if source is None else self._circumstances(source),
            on_divergence=self._diverged,
            give_up=self._leave,
            whole=not self._runs.store.notices,
        )

    def _circumstances(self, source: RunRecord) -> Circumstances:
        found = circumstances(source, self.runtime.redactor)
        # A block may be run by any program, with whatever command line that has.
        return replace(found, entry=()) if self._is_block else found

    def _forked(self, place: events.Parent) -> None:
        """This is a forked child: it is answered from the run that the recorded child wrote, if it wrote one."""
        self.answer_from(recorded_child(self._runs, self._source.run_id, place.flow))

    def answer_from(self, source: RunRecord | None) -> None:
        """Answer from another run; from none at all if there is none."""
        self.tape = self.runtime.tape = self._tape(source)
        self._source = self._source if source is None else source
        self.runtime.origin = _origin(source)

    def begin(self) -> None:
        """Answer from now on; nothing goes out any more."""
        self._sign_in()
        runtime.start(self.runtime)
        self._allow_network = refuse_network(self._refused)
        recording = process.current
        if recording is not None and not recording.parent.run_id:
            recording.implicit().open()
            for what in entry_differences(self._source, self.runtime.redactor):
                self.tape.caveat(f"ENTRY_INPUT_CHANGED: {what}")
        self.runtime.before_close = self._finished
        self.runtime.after_close = self._exit_code

    def _sign_in(self) -> Mapping[str, str]:
        """Set what clients insist on and the environment lacks; returns what was set."""
        needed = self.runtime.instrumentation.credentials()
        missing = {name: value for name, value in needed.items() if name not in os.environ}
        os.environ.update(missing)
        return missing

    def begin_block(self) -> None:
        """The same for a part of a program, which goes on when it is over."""
        # A child process is answered as well, and does not go out.
        self.runtime.boot = children.BOOT_DIRECTORY
        self.runtime.child_variables = told_children(self._runs, self._source, self.runtime.settings, self._manner)
        runtime.start(self.runtime)
        self._credentials = self._sign_in()
        self._allow_network = refuse_network(self._refused)

    def end_block(self) -> None:
        """The block is over: the program is as it was before."""
        try:
            runtime.shutdown()
        finally:
            self.tape.end()
            self._allow_network()
            for name, value in self._credentials.items():
                if os.environ.get(name) == value:
                    del os.environ[name]

    def _payload(self, digest: bytes) -> bytes:
        try:
            return self._payloads[digest]
        except KeyError:
            raise CorruptRecord("a payload of the replay itself is missing", do="report this") from None

    def _recorder(self, run_id: bytes) -> Recorder:
        if not self._is_kept:
            return _Remembering(_Unkept, self._payloads)
        writer = cast("Recorder", self.runtime.journal().writer(run_id))  # its methods are attributes
        return _Remembering(writer, self._payloads)

    def _refused(self, what: str) -> BaseException:
        recording = process.current
        if recording is not None and isinstance(recording.flow_given(), Apart):
            return ConnectionRefusedError(errno.ECONNREFUSED, "a replay reaches nobody")
        step = None if recording is None else recording.enclosing()
        report = f"the program reaches for the network past everything that is recorded: {what}"
        return self.tape.diverged("UNPATCHED_NETWORK", report, step)

    def _diverged(self, found: Divergence, step: Step | None) -> None:
        """Written before it is raised: a program may swallow what is raised."""
        at_the_end = step is None and found.code == "CALL_MISSING"
        if self._is_block and not at_the_end and not self.diverged_at:
            self.diverged_at = call_site(sys._getframe(1))
        recording = process.current
        if recording is None:
            return
        run = recording.implicit() if step is None else step.run
        try:
            observed: Raw = events.NO_VALUE if step is None else step.input
            run.emit(
                events.ReplayDiverged,
                found.step_id,
                found.code,
                found.expected_step,
                events.NO_VALUE,
                observed,
                run.clean(found.report),
            )
        except Exception as error:
            fault(error)
        if self._is_block:
            return  # it is raised when the block ends
        goes_on = self._manner.observe
        say(f"agentrace: {'divergence' if goes_on else 'the replay stops'}: {found.code}: {found.report}")
        if goes_on:
            return
        # A program that swallows the divergence and spins would never end.
        timer = threading.Timer(5.0, self._leave)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the interpreter is ending: so is the program
            timer.start()

    def _leave(self) -> None:
        if self._is_block:
            return
        self.runtime.close()
        self._exit_code()

    def _exit_code(self) -> None:
        """A diverged replay ends with its own exit code, whatever the program made of the divergence."""
        if self.tape.latched is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(DIVERGED)

    def _finished(self) -> None:
        """At the program's end: what was left unanswered is a divergence too, and the exit code says so."""
        self.tape.finish()
        other = other_end(self._source, self.runtime.ending) if self.tape.latched is None else None
        if other is not None:
            self.tape.diverged(*other, None)


def _origin(source: RunRecord | None) -> events.Origin:
    return events.Origin("replay") if source is None else events.Origin("replay", source.run_id, source.chain)


def as_recorded(settings: config.Settings, source: RunRecord) -> config.Settings:
    """The settings that decide what is recorded, as they were when ``source`` was."""
    started = source.trace.run.started
    if started is None:
        return settings
    return replace(
        settings,
        patch=tuple(started.patched),
        exclude_urls=tuple(started.excluded),
        tools=tuple(started.tools) or settings.tools,
        retrievers=tuple(started.retrievers) or settings.retrievers,
    )


def told_children(runs: Runs, source: RunRecord, settings: config.Settings, how: Manner) -> dict[str, str]:
    """The variables with which a child process is answered from what the children of ``source`` recorded."""
    variables = {
        SOURCE: f"{format_run_id(source.run_id)}@{runs.store.root.absolute()}",
        MANNER: f"{how.order},{how.speed},{'observe' if how.observe else ''}",
        "AGENTRACE_PATCH": ",".join(settings.patch),
        "AGENTRACE_EXCLUDE_URLS": ",".join(settings.exclude_urls),
        "AGENTRACE_TOOLS": ",".join(settings.tools),
        "AGENTRACE_RETRIEVERS": ",".join(settings.retrievers),
    }
    return {name: value for name, value in variables.items() if value}


def manner(text: str) -> Manner:
    """The manner that the command line has handed over as ``order,speed,observe``."""
    order, speed, observe = text.split(",")
    return Manner(order, float(speed), observe == "observe")


def recorded_child(runs: Runs, source: bytes, flow: str) -> RunRecord | None:
    """The run of the process that ``source`` started at ``flow``."""
    for run_id in runs.started_by(source):
        record = runs.record(run_id)
        started = record.trace.run.started
        if started is not None and started.parent.flow == flow:
            return record
    return None


def begin() -> None:
    """Replay as the environment says; a replay that cannot start ends the process, since nothing may go live."""
    if surroundings.is_own_command():
        return
    try:
        run_id, _, home = os.environ[SOURCE].partition("@")
        settings = config.load({}, environ=os.environ, cwd=Path.cwd())
        runs = runs_at(Path(home))
        source = runs.record(parse_run_id(run_id))
        how = manner(os.environ.get(MANNER, "recorded,0,"))
        place = children.parent_of(os.environ)
        if place.run_id:
            child = recorded_child(runs, source.run_id, place.flow)
            if child is not None:
                os.environ[SOURCE] = f"{format_run_id(child.run_id)}@{home}"
            # A child that recorded nothing has nothing to be answered from: a call it makes is one too many.
            replaying = Replaying(runs, source, settings, how)
            replaying.answer_from(child)
        else:
            replaying = Replaying(runs, source, settings, how)
        replaying.begin()
    except (AgentraceError, ValueError, OSError) as error:
        say(f"agentrace: the replay cannot start: {error}")
        sys.stderr.flush()
        os._exit(NOT_STARTED)
