"""A run while it is written: its sequence, its steps, its encoder and what was lost.

Capture knows what it needs of storage as the small protocol :class:`Recorder`; the journal's writer is one, the
in-memory recorder of ``agentrace.testing`` another.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from msgspec import Raw

from agentrace import events
from agentrace.canonical import Encoder
from agentrace.capture.behind import Behind
from agentrace.capture.failure import describe
from agentrace.capture.guard import RunOver, faults
from agentrace.capture.ordinals import ProcessScope
from agentrace.capture.scope import Flow
from agentrace.capture.texts import as_sayable, encoded
from agentrace.ids import Clock, SystemClock
from agentrace.redact import Redactor


class Recorder(Protocol):
    """Where the events and payloads of one run go."""

    def event(self, data: bytes, /) -> None:
        """Keep one encoded event."""
        ...

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep a payload under its digest."""
        ...

    def finished(self) -> None:
        """There will be no more."""
        ...


class TimersTape(Protocol):
    """What becomes on a replay of the timers of an event loop, and of what other threads give it.

    Each is told by its flow, and by how many that flow made or gave before.
    """

    def made(self, timer: Any, told: tuple[str, int], /) -> None:
        """The program made a timer."""
        ...

    def called(self, told: tuple[str, int], /) -> None:
        """The loop calls it now."""
        ...

    def posting(self, told: tuple[str, int], /) -> None:
        """A thread of the program gives a callback to the loop."""
        ...

    def posted(self, told: tuple[str, int], call: Callable[[], None], /) -> bool:
        """The loop calls it now; whether ``call`` does so later instead."""
        ...


class Tape(Protocol):
    """Who answers the boundary steps of a replay."""

    def began(self, step: Any, /) -> None:
        """A step is being dispatched."""
        ...

    def ended(self, step: Any, /) -> None:
        """A step ended."""
        ...

    def answer(self, call: Any, /) -> Any:
        """What the record holds for ``call`` (an ``Answer``), or ``None`` if the step is to be executed."""
        ...

    def value(self, flow: str, source: str, label: str, /) -> Raw:
        """The recorded value that the program asks for, encoded."""
        ...

    def read(self, value: Raw, /) -> Any:
        """A recorded value as a Python value."""
        ...

    def timers(self, loop: Any, /) -> TimersTape | None:
        """What becomes of the timers of an event loop; ``None`` if they stay as they are."""
        ...

    def stopped(self) -> BaseException | None:
        """What to raise if the replay has diverged."""
        ...

    def diverged(self, code: str, report: str, step: Any, /) -> BaseException:
        """Latch the replay as diverged and return what to raise."""
        ...

    def caveat(self, text: str, /) -> None:
        """Note what keeps the replay from being called exact."""
        ...

    def verdict(self) -> tuple[str, list[str]]:
        """``exact``, ``exact_with_caveats`` or ``diverged``, and the caveats."""
        ...


class RunRecording:
    """One run that is being recorded. Nothing is written before its first event."""

    said = 0
    """What the program said to its log or terminal and was noted by itself."""
    sampled = True
    """Whether the run is written; see ``sampling``. Decided before its first step."""
    tags: Sequence[str] = ()
    """Labels besides those of the settings; given before its first event."""
    sample_rate = 1.0
    """The share of root runs like it that are written."""
    timers = timers_since = 0
    """Timers and callbacks of loops that were told since the step of this number."""

    def __init__(
        self,
        process: ProcessScope,
        clock: Clock,
        redactor: Redactor,
        open_recorder: Callable[[bytes], Recorder],
        describe: Callable[[RunRecording], events.WorkflowStarted],
        tape: Tape | None = None,
        behind: Behind | None = None,
    ) -> None:
        self.process = process
        self.clock = clock
        self.redactor = redactor
        self.tape = tape
        self.behind = behind
        """The thread that writes what wires carry; ``None``: it is written at once."""
        self.id = clock.run_id()
        self.root = Flow(self, events.RUN_STEP, "")
        self.next_seq: Callable[[], int] = itertools.count(1).__next__
        self.next_step = itertools.count(1).__next__
        self.started_ns = clock.monotonic_ns()
        self.steps = 0
        self.lost = 0
        self.opened = False
        self.closed = False
        self.failure: events.Failure | None = None
        """What ended the run, where that was told before its end."""
        self.exit_code: int | None = None
        self.health: set[str] = set()
        self.unfinished: dict[object, Callable[[], None]] = {}
        """How to end what the program may leave open, such as a stream that it does not read to its end."""
        self.random = 0
        """Where the generator of the module ``random`` stood when it was told last."""
        self.left_out: Counter[str] = Counter()
        """Requests that are not recorded, by host."""
        self.offered: set[str] = set()
        """Names of the tools that its requests have offered to models, where somebody wants to know."""
        self.headers: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        """Headers that were seen, as they are told."""
        self._faults_before = faults()
        self._open_recorder = open_recorder
        self._describe = describe
        self._opening = threading.RLock()
        self._remarks: list[tuple[type[events.Event], int, tuple[Any, ...]]] = []
        self._recorder: Recorder
        self.encoder: Encoder
        self.write: Callable[[bytes], None] = self._first_write

    def open(self) -> None:
        """Write ``WorkflowStarted``, once."""
        with self._opening:
            if self.opened or self.closed or not self.sampled:
                return
            recorder = self._open_recorder(self.id)
            self._recorder = recorder
            self.encoder = Encoder(self.redactor, recorder)
            # Nobody writes before this is written: it is the first event in every sense.
            try:
                recorder.event(encoded(self._describe(self)))
            except BaseException:
                self.next_seq = itertools.count(1).__next__
                raise
            self.write = recorder.event
            self.opened = True
            remarks, self._remarks = self._remarks, []
            for kind, step_id, fields in remarks:
                self.emit(kind, step_id, *fields)

    def emit(self, kind: type[events.Event], step_id: int, *fields: Any) -> None:
        """Write one event: stamped, encoded and kept before this returns."""
        if not self.sampled:
            return
        if not self.opened:
            self.open()
        seq = self.next_seq()
        try:
            data = encoded(kind(seq, step_id, self.clock.wall_ns(), *fields))
        except BaseException:
            self.give_up(seq)
            raise
        self.write(data)

    def remark(self, kind: type[events.Event], step_id: int, *fields: Any) -> None:
        """The same for what is no reason to open the run: it is written once there is one, or is much by itself."""
        if not self.sampled:
            return
        with self._opening:
            if not self.opened and not self.closed and len(self._remarks) < _MOST_REMARKS:
                self._remarks.append((kind, step_id, fields))
                return
        self.emit(kind, step_id, *fields)

    def tell(self, tag: Any, step_id: int, ts: int, *fields: Any) -> None:
        """The same for an event given by its tag and fields, of a run that is open, at the time when it happened."""
        if self.closed or not self.sampled:
            return
        seq = self.next_seq()
        told = (tag, seq, step_id, ts, *fields)
        try:
            try:
                data = events.encode_fields(told)
            except UnicodeEncodeError:
                data = events.encode_fields(as_sayable(told))
        except BaseException:
            self.give_up(seq)
            raise
        self.write(data)

    def give_up(self, seq: int) -> None:
        """The event of this position cannot be told: say so, because a hole in the sequence would hide all after it."""
        self.write(events.tombstone(seq, seq, "fault", SystemClock.wall_ns()))

    def clean(self, text: str) -> str:
        """``text`` without secrets."""
        found = self.redactor.text(text)
        return text if found is None else found.text

    def value(self, value: object) -> tuple[Raw, str]:
        """The canonical form of ``value`` in this run, and its fidelity."""
        if not self.opened:
            self.open()
        return self.encoder.encode(value)

    def last_seq(self) -> int:
        """The position of the run's end. Nobody is given one after it: other threads may still be at work."""
        last, self.next_seq = self.next_seq, _no_seq
        return last()

    def end_unfinished(self) -> None:
        """End what the program left open."""
        for leave in list(self.unfinished.values()):
            leave()

    def close(self, ending: events.WorkflowCompleted | events.WorkflowFailed | None) -> None:
        """Write the end, unless the run was never opened or belongs to another process."""
        with self._opening:
            if self.closed:
                return
            if self.opened and ending is not None:
                self.write(encoded(ending))
            self.closed = True
            if self.opened and ending is not None:
                self._recorder.finished()

    def abandon(self) -> None:
        """In a forked child: this run is the parent's."""
        self.closed = True
        self.write = _nowhere

    def stopped(self, code: str, report: str, step: Any) -> BaseException:
        """What to raise when a replay cannot go on at ``step``."""
        assert self.tape is not None
        return self.tape.diverged(code, report, step)

    def describe_failure(self, error: BaseException) -> events.Failure:
        """``error`` as the record tells it."""
        return describe(error, self.encoder.encode, self.clean)

    def own_faults(self) -> int:
        """Faults of agentrace since the run began."""
        return faults() - self._faults_before

    def _first_write(self, data: bytes) -> None:
        self.open()
        self.write(data)


_MOST_REMARKS: Final = 100


def _no_seq() -> int:
    raise RunOver


def _nowhere(_: bytes) -> None:
    """Where events go that belong to another process's run."""
