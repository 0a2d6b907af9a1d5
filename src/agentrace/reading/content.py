"""One run that is being read: its record, and what is worked out of it once, for threads that take turns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from agentrace.errors import AgentraceError
from agentrace.events import Failure, Logged, Scored, WorkflowStarted, type_name
from agentrace.fold import ExchangeState, StepState
from agentrace.ids import format_run_id
from agentrace.index.bodies import Teller
from agentrace.query import (
    MEANT,
    Conversations,
    RunRecord,
    Runs,
    StepMeaning,
    Summary,
    input_of,
    output_of,
    status_of,
    step_meaning,
)
from agentrace.reading.parts import Event, Exchange, Message, Note, Score, exchange, message, moment
from agentrace.reading.parts import note as note_of
from agentrace.reading.parts import score as score_of


class RunContent:
    """What the record of one run holds. Everything raises ``CorruptRecord`` where it cannot be read."""

    def __init__(self, runs: Runs, run_id: bytes, lock: threading.RLock) -> None:
        self.runs = runs
        self.run_id = run_id
        self.id = format_run_id(run_id)
        self._lock = lock
        self._meanings: dict[int, StepMeaning] = {}

    @cached_property
    def summary(self) -> Summary:
        """The run in short."""
        with self._lock:
            return self.runs.summary(self.run_id)

    @cached_property
    def started(self) -> WorkflowStarted | None:
        """Its first event; ``None`` if that is lost."""
        with self._lock:
            try:
                head = self._record.head
            except AgentraceError:
                return None
            return head if isinstance(head, WorkflowStarted) else None

    @cached_property
    def failure(self) -> Failure | None:
        """The exception that ended it; ``None`` for none, and where it cannot be read."""
        with self._lock:
            return None if self.summary.status == "unreadable" else self._record.trace.run.failure

    @cached_property
    def steps(self) -> Mapping[int, StepState]:
        """All steps by id, in dispatch order."""
        with self._lock:
            return self._record.trace.steps

    @cached_property
    def children(self) -> Mapping[int, Sequence[int]]:
        """The ids of what each step encloses; under 0 what no step does."""
        steps, found = self.steps, dict[int, list[int]]()
        for step in steps.values():
            found.setdefault(self.parent(step), []).append(step.id)
        return found

    def parent(self, step: StepState) -> int:
        """The enclosing step; 0 for none, and where the record names one that cannot be."""
        outer = step.dispatched.parent
        return outer if 0 < outer < step.id and outer in self.steps else 0

    def status(self, step: StepState) -> str:
        """How a step is, where it is known whether its run goes on."""
        with self._lock:
            record = self._record
            over = status_of(record.trace.run, record.interrupted) not in ("pending", "running")
        return "interrupted" if over and step.status == "running" else step.status

    def meaning(self, step: StepState) -> StepMeaning:
        """What a model step meant."""
        if step.kind not in MEANT and step.usage is None:
            return _NOTHING
        with self._lock:
            if step.id not in self._meanings:
                self._meanings[step.id] = step_meaning(self._record, step)
            return self._meanings[step.id]

    def input(self, step: StepState) -> Any:
        """What went in, as JSON data."""
        with self._lock:
            return input_of(self._record, step)

    def output(self, step: StepState) -> Any:
        """What came out, as JSON data."""
        with self._lock:
            return output_of(self._record, step)

    def python(self, value: msgspec.Raw) -> Any:
        """A value as the program had it. Raises ``ValueUndecodable``."""
        with self._lock:
            return self._record.values.python(value)

    def yielded(self, step: StepState) -> Sequence[msgspec.Raw]:
        """What a generator handed over."""
        with self._lock:
            return [chunk.data for chunk in self._record.elements(step.id) if chunk.op == "yield"]

    def exchanges(self, step: StepState) -> Sequence[Exchange]:
        """What went over wires."""
        with self._lock:
            return tuple(map(exchange, self._record.exchanges(step.id)))

    def exchange_states(self, step_id: int) -> Sequence[ExchangeState]:
        """The same, without bodies."""
        with self._lock:
            return tuple(self._record.trace.exchanges.get(step_id, {}).values())

    def notes(self, step_id: int) -> Sequence[Note]:
        """What was logged in a step; under 0 what was outside of all."""
        with self._lock:
            record = self._record
            return tuple(note_of(record, one) for one in record.notes(step_id) if isinstance(one, Logged))

    def scores(self, step_id: int) -> Sequence[Score]:
        """The scores of a step, or of the run."""
        with self._lock:
            return tuple(score_of(one) for one in self._record.notes(step_id) if isinstance(one, Scored))

    @cached_property
    def messages(self) -> Mapping[int, Sequence[Message]]:
        """What each model step that is over added to the conversations of the run, by step."""
        with self._lock:
            record = self._record
            conversations, found = Conversations(record), dict[int, Sequence[Message]]()
            for step in record.trace.steps.values():
                if step.kind in MEANT and not (record.live and step.ended is None):
                    told = self._added(conversations, step)
                    if told:
                        found[step.id] = told
            return found

    def _added(self, conversations: Conversations, step: StepState) -> Sequence[Message]:
        try:
            found = conversations.added(step)
        except AgentraceError:
            return ()  # the step's input says what cannot be read
        if found is None:
            return ()
        asked = [message(self.id, step.id, one.position, "input", one.message) for one in found.asked]
        answer = enumerate(found.answer, found.length)
        return (*asked, *(message(self.id, step.id, at, "output", told) for at, told in answer))

    @cached_property
    def events(self) -> Sequence[Event]:
        """All events, in the order of seq."""
        with self._lock:
            teller, found = Teller(), list[Event]()
            for event in self._record.events:
                body = teller.body(event, {})
                told = {} if body is None else msgspec.json.decode(bytes(body))
                found.append(Event(self.id, event.seq, event.step_id, type_name(event), moment(event.ts), told))
            return found

    def below(self) -> Sequence[bytes]:
        """The runs of processes that it started and of jobs that it sent, the oldest first."""
        with self._lock:
            return self.runs.started_by(self.run_id)

    @cached_property
    def _record(self) -> RunRecord:
        return self.runs.store.record(self.run_id)


_NOTHING = StepMeaning()
