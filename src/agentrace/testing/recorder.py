"""A recorder that keeps a run in memory, and a clock that ticks evenly, so that whole traces can be compared."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Raw

from agentrace import config, events, runtime
from agentrace.canonical import Reader, loaded_types
from agentrace.capture.scope import FLOW
from agentrace.errors import AgentraceError
from agentrace.fold import StepState, Trace, fold
from agentrace.ids import Clock, uuid7
from agentrace.runtime.assembly import Runtime

START_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01 00:00:00 UTC, when a :class:`TickingClock` begins unless it is told otherwise."""
TICK_NS: Final = 1_000_000


class TickingClock:
    """A clock that is one millisecond later at each reading and gives the same run ids every time.

    Args:
        start_ns: Unix time of its beginning, in nanoseconds.
    """

    def __init__(self, start_ns: int = START_NS) -> None:
        self._start_ns = start_ns
        self._readings = itertools.count(1)
        self._runs = itertools.count(1)

    def wall_ns(self) -> int:
        """Unix time in nanoseconds."""
        return self._start_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock began."""
        return next(self._readings) * TICK_NS

    def run_id(self) -> bytes:
        """The next run id, 16 bytes: that of the n-th run is the same in every test."""
        return uuid7(self._start_ns // 1_000_000, next(self._runs).to_bytes(10, "big"))


class MemoryRecorder:
    """The record of one run, in memory. It is a :class:`~agentrace.capture.recording.Recorder`."""

    def __init__(self, run_id: bytes = b"") -> None:
        self.run_id = run_id
        """16 bytes; empty until the run begins."""
        self.written: list[bytes] = []
        """The encoded events in the order in which they were written."""
        self.payloads: dict[bytes, bytes] = {}
        """What was stored beside the events, by its digest (blake3, 32 bytes)."""
        self.runs: list[MemoryRecorder] = []
        """Of what :func:`recorded` gives: the records of all runs of the block, itself the first."""
        self.over = False
        """Whether the run has ended."""

    def event(self, data: bytes, /) -> None:
        """Keep one encoded event."""
        self.written.append(data)

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep a payload."""
        self.payloads[digest] = data

    def finished(self) -> None:
        """Nothing more is written."""
        self.over = True

    @property
    def events(self) -> list[Any]:
        """The events, decoded, in the order of ``seq``."""
        return sorted(map(events.decode, self.written), key=lambda event: event.seq)

    @property
    def trace(self) -> Trace:
        """What the events add up to: the states of the run and of its steps."""
        return fold(self.run_id, self.events)

    @property
    def steps(self) -> list[StepState]:
        """The steps in the order in which they were dispatched."""
        return list(self.trace.steps.values())

    @property
    def reader(self) -> Reader:
        """Reads the recorded values; classes are those that the program has imported."""
        return Reader(self._payload, loaded_types)

    def python(self, value: Raw) -> Any:
        """A recorded value, such as an event's ``input`` or ``output``, as it was.

        Raises ``ValueUndecodable`` where the record has only a description of it.
        """
        return self.reader.python(value)

    def json(self, value: Raw) -> Any:
        """A recorded value as JSON-able data, tagged with ``$``-keys where JSON has no word for it."""
        return self.reader.json(value)

    def everything(self) -> bytes:
        """All bytes that were written: what a test looks for secrets in."""
        return b"\n".join([*self.written, *self.payloads.values()])

    def _payload(self, digest: bytes) -> bytes:
        try:
            return self.payloads[digest]
        except KeyError:
            raise AgentraceError("the record refers to a payload that was not written") from None


@contextmanager
def recorded(*, clock: Clock | None = None, **settings: object) -> Generator[MemoryRecorder]:
    """Record the block in memory and give its record, which is complete when the block is left.

    Args:
        clock: where times and run ids come from; a :class:`TickingClock` unless given.
        settings: those of docs/settings.md, as for :func:`agentrace.init`; the environment is not asked.

    Raises ``AgentraceError`` if this process is being recorded already. Of several runs in the block (see
    :class:`agentrace.run`) it gives the first; ``runs`` has all.
    """
    first = MemoryRecorder()

    def open_recorder(run_id: bytes) -> MemoryRecorder:
        recorder = MemoryRecorder() if first.runs else first
        recorder.run_id = run_id
        first.runs.append(recorder)
        return recorder

    # Child processes of the block have a store of their own for as long as it lasts.
    with tempfile.TemporaryDirectory(prefix="agentrace-") as home:
        loaded = config.load({"home": home, **settings}, environ={}, cwd=Path.cwd())
        outside = FLOW.get()
        FLOW.set(None)
        runtime.start(Runtime(loaded, clock=clock or TickingClock(), open_recorder=open_recorder))
        try:
            yield first
        finally:
            runtime.shutdown()
            FLOW.set(outside)
