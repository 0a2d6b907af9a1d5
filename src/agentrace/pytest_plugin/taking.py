"""The two things that are done with the calls of a test: they are recorded, or they are answered from a record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agentrace import archive, events, runtime
from agentrace.config import Settings
from agentrace.errors import ConfigError, RecordingFailed, TraceFileError
from agentrace.fold import boundaries
from agentrace.query import Runs
from agentrace.replay.manner import Manner
from agentrace.runtime.assembly import Runtime
from agentrace.runtime.children import BOOT_DIRECTORY
from agentrace.runtime.replaying import Replaying, as_recorded

BODY_OVER: Final = "the test's body is over; what follows is torn down"
"""A note in the record of a test that makes calls while its fixtures are torn down."""


class Recorded:
    """A test that is recorded. Its trace file is written, as a whole, if it passes."""

    def __init__(self, path: Path, name: str, settings: Settings, written: set[Path]) -> None:
        if settings.disabled:
            raise ConfigError(
                "a test cannot be recorded: agentrace is disabled here", do="take AGENTRACE_DISABLED away"
            )
        self._path = path
        self._written = written
        self._store = tempfile.TemporaryDirectory(prefix="agentrace-test-")
        self._runtime = Runtime(replace(settings, home=Path(self._store.name), seal=False))
        self._runtime.boot = BOOT_DIRECTORY  # child processes are recorded too
        recording = self._runtime.recording
        recording.parent, recording.name, recording.is_one_run = events.Parent(), name, True
        self._steps: int | None = None

    def begin(self) -> None:
        """Record, into a store that only this test has."""
        try:
            runtime.start(self._runtime)
        except BaseException:
            self._store.cleanup()
            raise
        self._run = self._runtime.recording.implicit()
        self._run.open()

    @property
    def has_calls(self) -> bool:
        """Whether anything was recorded."""
        return self._run.steps > 0

    def body_over(self, error: BaseException | None) -> None:
        """Note how the body ended: so does the run."""
        self._steps = self._run.steps
        self._run.exit_code = 0 if error is None else 1
        if error is not None and not self._run.closed:
            self._run.failure = self._run.describe_failure(error)

    def end(self, passed: bool) -> None:
        """Write the file if the test passed."""
        with self._store:
            if self._steps is not None and self._run.steps > self._steps and not self._run.closed:
                self._run.emit(events.Logged, events.RUN_STEP, BODY_OVER)
            runtime.shutdown()
            if passed and self._run.lost:
                raise RecordingFailed(
                    f"{self._run.lost} event(s) of the test could not be kept, so its trace is not written",
                    do="make room in the directory for temporary files",
                )
            if passed:
                self._write()

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TraceFileError(
                f"{self._path.parent} cannot be made: {error.strerror}", do="name a directory that you may write"
            ) from error
        archive.export(Runs(Path(self._store.name)), [self._run.id], self._path)
        self._written.add(self._path)


class Replayed:
    """A test that is answered from its trace file. Nothing is kept."""

    def __init__(self, path: Path, manner: Manner, settings: Settings) -> None:
        runs = archive.runs_at(path)
        self.source = runs.record(archive.only_run(runs))
        """The recorded run."""
        self._store = tempfile.TemporaryDirectory(prefix="agentrace-test-")
        settings = replace(as_recorded(settings, self.source), home=Path(self._store.name))
        self.replaying = Replaying(runs, self.source, settings, manner, "unkept block")
        self.replaying.runtime.recording.is_one_run = True
        self.tape = self.replaying.tape
        self._is_whole = False

    def begin(self) -> None:
        """Answer, and refuse the network."""
        try:
            self.replaying.begin_block()
        except BaseException:
            self._store.cleanup()
            raise

    def body_over(self, error: BaseException | None) -> None:
        """A body that ended by itself has made all its calls, unless the recorded one made some afterwards."""
        self._is_whole = error is None
        if error is None and self.tape.answered < len(boundaries(self.source.trace.steps)) and not self._goes_on():
            self.tape.finish()

    def end(self, passed: bool) -> None:
        """Everything has been asked for."""
        with self._store:  # of child processes: this one writes nothing
            try:
                if passed and self._is_whole:
                    self.tape.finish()
            finally:
                self.replaying.end_block()

    def _goes_on(self) -> bool:
        return any(isinstance(e, events.Logged) and e.message == BODY_OVER for e in self.source.events)
