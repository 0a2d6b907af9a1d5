"""A run's record, or what is new of it, as rows: folded, with what the integrations tell of its calls."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from agentrace.errors import AgentraceError
from agentrace.events import (
    NO_VALUE,
    RUN_STEP,
    AnyEvent,
    EventsLost,
    ExecutionAborted,
    Failure,
    Logged,
    ReplayDiverged,
    StepCompleted,
    StepFailed,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowDescribed,
    WorkflowFailed,
    WorkflowStarted,
    type_name,
)
from agentrace.fold import StepState, retries
from agentrace.ids import format_run_id
from agentrace.index.bodies import Teller, Told, json_text, preview
from agentrace.index.rows import EventRow, MarkRow, MessageRow, OpenRow, RunRow, StepRow, TextRow, or_none
from agentrace.query import (
    MEANT,
    Conversations,
    InputTexts,
    Message,
    RunRecord,
    StepMeaning,
    Summary,
    in_one_line,
    output_of,
    step_meaning,
)

_NOTHING: Final = StepMeaning()
_OF_THE_RUN: Final = frozenset(
    {
        *(WorkflowStarted, WorkflowDescribed, WorkflowCompleted, WorkflowFailed),
        *(ExecutionAborted, ReplayDiverged, EventsLost),
    }
)
"""What a run as a whole is told by."""


class Before(Struct, frozen=True):
    """What was told of a run that goes on."""

    paths: Mapping[int, str] = {}
    """Where steps are that enclose new ones, and that nothing new belongs to."""
    messages: Collection[bytes] = ()
    """Marks of the messages that were told."""
    texts: Collection[bytes] = ()
    """The same of the texts of inputs."""


_NOTHING_BEFORE: Final = Before()


class Rows(Struct):
    """The rows of one run, or of a stretch of it."""

    steps: list[StepRow] = []
    events: list[EventRow] = []
    texts: list[TextRow] = []
    messages: list[MessageRow] = []
    marks: list[MarkRow] = []
    open: list[OpenRow] = []


def rows_of(
    run_key: int,
    record: RunRecord,
    after: int = 0,
    *,
    meanings: Mapping[int, StepMeaning] | None = None,
    before: Before = _NOTHING_BEFORE,
) -> Rows:
    """The rows of what comes after the seq ``after``. Raises ``CorruptRecord``.

    ``meanings`` are those of the model steps, where they are known already.
    """
    reading = _Reading(run_key, record, after, before)
    steps = record.trace.steps
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for event in record.events:
        first.setdefault(event.step_id, event.seq)
        last[event.step_id] = event.seq
        if event.seq > after:
            reading.event(event)
    for step in steps.values():
        if last.get(step.id, 0) > after:
            meant = _meaning(record, step, meanings)
            reading.step(step, meant, first.get(step.id), last.get(step.id))
    if record.live:
        reading.rows.open += _open(run_key, record, after)
    return reading.rows


def _open(run_key: int, record: RunRecord, after: int) -> Iterator[OpenRow]:
    """The events beyond ``after`` that may be needed to tell what comes after them."""
    steps = record.trace.steps
    for event, encoded in zip(record.events, record.encoded(), strict=True):
        if event.seq > after:
            step = steps.get(event.step_id)
            if type(event) in _OF_THE_RUN if event.step_id == RUN_STEP else step is not None and step.ended is None:
                yield OpenRow(run_key, event.seq, event.step_id, encoded)


def _meaning(record: RunRecord, step: StepState, known: Mapping[int, StepMeaning] | None) -> StepMeaning:
    if known is not None:
        return known.get(step.id, _NOTHING)
    if step.kind in MEANT or step.usage is not None:
        return step_meaning(record, step)
    return _NOTHING


class _Reading:
    def __init__(self, run_key: int, record: RunRecord, after: int, before: Before) -> None:
        self.rows = Rows()
        self._after = after
        self._paths = before.paths
        self._conversations = Conversations(record, before.messages)
        self._texts = InputTexts(record, before.texts)
        self._run_key = run_key
        self._record = record
        self._teller = Teller()
        self._inputs: dict[int, Told] = {}
        self._add_event = self.rows.events.append
        self._add_step = self.rows.steps.append

    def event(self, event: AnyEvent | UnknownEvent) -> None:
        body = self._teller.body(event, self._inputs)
        self._add_event(EventRow(self._run_key, event.seq, event.step_id, type_name(event), event.ts, body))
        if isinstance(event, Logged):
            self._text(event.step_id, "note", event.message)

    def step(self, step: StepState, meant: StepMeaning, first: int | None, last: int | None) -> None:
        sent, ended, usage = step.dispatched, step.ended, meant.usage
        failure = ended.failure if isinstance(ended, StepFailed) else None
        exchanges = self._record.trace.exchanges.get(step.id)
        self._add_step(
            StepRow(
                self._run_key,
                step.id,
                or_none(sent.parent),
                or_none(sent.kind),
                sent.name,
                or_none(sent.operation),
                self._path(step),
                step.status,
                None if ended is None else ended.outcome,
                sent.ts,
                step.duration_ns,
                or_none(step.first_chunk_ns),
                or_none(step.chunks),
                or_none(step.exchanges),
                or_none(retries(exchanges.values())) if exchanges is not None and len(exchanges) > 1 else None,
                or_none(meant.model),
                or_none(meant.finish_reason),
                None if usage is None else usage.input_fresh,
                None if usage is None else usage.cache_read,
                None if usage is None else usage.cache_write,
                None if usage is None else usage.output_visible,
                None if usage is None else usage.reasoning,
                or_none(step.cost_nano_usd),
                None if failure is None else in_one_line(failure),
                self._input(step),
                self._output(step),
                or_none(sent.integration),
                or_none(sent.call_site),
                "shared" if sent.shared else "exact",
                or_none(sent.thread),
                or_none(sent.task),
                or_none(step.notes),
                first,
                last,
            )
        )
        if step.kind in MEANT:
            self._messages(step)
        if failure is not None and step.ended is not None and step.ended.seq > self._after:
            self._text(step.id, "error", error_text(failure))

    def _path(self, step: StepState) -> str:
        """Where a step is; the steps that enclose it may have been told before, and not be in the record given here."""
        hops: list[str] = []
        steps, paths = self._record.trace.steps, self._paths
        while step.dispatched.parent in steps and step.dispatched.parent not in paths and paths:
            hops.append(step.place.hop)
            step = steps[step.dispatched.parent]
        outer = paths.get(step.dispatched.parent)
        found = step.path if outer is None else outer + step.place.hop
        return found + "".join(reversed(hops))

    def _input(self, step: StepState) -> str | None:
        told = self._inputs.get(step.id)
        if told is not None:
            self._text(step.id, "input", self._new_input(step))
        elif bytes(step.dispatched.input) != bytes(NO_VALUE):
            told = self._teller.value(step.dispatched.input)  # its beginning was told before
        return None if told is None else preview(told.text)

    def _new_input(self, step: StepState) -> str:
        try:
            found = self._texts.new(step)
        except AgentraceError as error:
            return error.what
        self._mark("texts", found.seen)
        return found.text

    def _messages(self, step: StepState) -> None:
        """The messages that a model step added, once it is over: the record of a live run may have more of it."""
        if self._record.live and (step.ended is None or step.ended.seq <= self._after):
            return
        try:
            found = self._conversations.added(step)
        except AgentraceError:
            return  # `texts` says what cannot be read
        if found is None:
            return
        self._mark("messages", found.seen)
        told = [(placed.position, "input", placed.message) for placed in found.asked]
        told += [(found.length + at, "output", message) for at, message in enumerate(found.answer)]
        self.rows.messages += [_message_row(self._run_key, step.id, *one) for one in told]

    def _mark(self, of: str, marks: Iterable[bytes]) -> None:
        if self._record.live:
            self.rows.marks += [MarkRow(self._run_key, of, mark) for mark in marks]

    def _output(self, step: StepState) -> str | None:
        if step.ended is None:
            return None
        if not isinstance(step.ended, StepCompleted) and not step.exchanges and not step.chunks:
            return None
        output = output_of(self._record, step)
        if output is None:
            return None
        text = output if isinstance(output, str) else json_text(output)
        if step.ended.seq > self._after:
            self._text(step.id, "output", text)
        return preview(text)

    def _text(self, step_id: int, part: str, text: str) -> None:
        if text:
            self.rows.texts.append(TextRow(self._run_key, step_id, part, text))


def _message_row(run_key: int, step_id: int, position: int, direction: str, message: Message) -> MessageRow:
    return MessageRow(
        run_key,
        step_id,
        position,
        direction,
        message.role,
        or_none(message.text),
        or_none(message.reasoning),
        or_none(message.refusal),
        or_none(message.name),
        or_none(message.tool_call_id),
        message.failed,
        json_text(message.tool_calls) if message.tool_calls else None,
        json_text(message.served) if message.served else None,
        or_none(message.citations),
        json_text(message.media) if message.media else None,
    )


def error_text(failure: Failure) -> str:
    """Everything that a failure says: the exception, its notes, its causes, its traceback."""
    causes = (f"{cause.type}: {cause.message}" for cause in failure.causes)
    return "\n".join([f"{failure.type}: {failure.message}", *failure.notes, *causes, failure.traceback])


# --- the run itself -----------------------------------------------------------------------------------------


def run_row(run_key: int, record: RunRecord, summary: Summary) -> RunRow:
    """The row of a run. Raises ``CorruptRecord``."""
    run = record.trace.run
    row = RunRow(
        run_key,
        format_run_id(record.run_id),
        name=or_none(summary.name),
        status=summary.status,
        health=or_none(list(summary.health)),
        started_ts=or_none(summary.started_ts),
        duration_ns=summary.duration_ns if summary.started_ts else None,
        exit_code=summary.exit_code,
        error=or_none(summary.error),
        mode=summary.mode,
        source_run_id=_id(summary.source),
        verdict=or_none(summary.verdict),
        parent_run_id=_id(summary.parent),
        parent_step_id=or_none(run.parent.step_id),
        is_job=run.parent.is_of_a_job,
        sample_rate=summary.sample_rate,
        replayable=summary.replayable.yes,
        because=or_none(list(summary.replayable.because)),
        caveats=or_none(list(summary.replayable.caveats)),
        inferred=summary.inferred,
    )
    for state, names in ((run.started, _STARTED), (run.described, _DESCRIBED)):
        for name in names if state is not None else ():
            setattr(row, name, _plain(getattr(state, name)))
    return row


def unreadable_row(run_key: int, run_id: bytes, why: str) -> RunRow:
    """The row of a run whose record cannot be read."""
    return RunRow(run_key, format_run_id(run_id), error=why, because=["its record cannot be read"])


_STARTED: Final = (
    *("workflow", "agent", "session_id", "tenant", "workspace", "project", "operator", "tags", "argv", "cwd", "pid"),
    *("python", "platform", "timezone", "sdk", "format", "redaction", "durability"),
)
_DESCRIBED: Final = ("git_commit", "git_dirty", "libraries")


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return or_none(json_text(value) if isinstance(value, dict) and value else value)


def _id(run_id: bytes) -> str | None:
    return format_run_id(run_id) if len(run_id) == 16 else None
