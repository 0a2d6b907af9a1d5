"""What runs and steps are made of, as frozen objects: messages, notes, scores, exchanges, errors, events, matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from agentrace.events import Failure, Logged, Scored
from agentrace.exchanges import Recorded
from agentrace.ids import format_run_id
from agentrace.query import Media, RunRecord, ServedCall, ToolCall, body_of, json_of
from agentrace.query import Message as Told
from agentrace.reading.drawing import brief

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ns: int) -> datetime:
    """Unix nanoseconds as an aware datetime in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def span(ns: int) -> timedelta:
    """Nanoseconds as a duration, to the microsecond."""
    return timedelta(microseconds=ns // 1_000)


class Message(Struct, frozen=True):
    """A message of a conversation, told with the step whose request, or answer, was the first to hold it.

    Fields are those of the view ``messages``; what its provider does not tell is empty.
    """

    run_id: str
    step_id: int
    position: int
    """Which of the messages of its step's request it is, from 0; the answer comes behind them."""
    direction: str
    """``input`` (sent to the model) or ``output`` (its answer)."""
    role: str
    """``system``, ``developer``, ``user``, ``assistant`` or ``tool``."""
    text: str = ""
    reasoning: str = ""
    """Thoughts before the answer, where they are told."""
    refusal: str = ""
    """Why the model does not answer."""
    name: str = ""
    """Who says it, where there are several of a role."""
    tool_call_id: str = ""
    """Of a tool's result: the call that it answers."""
    failed: bool = False
    """Whether it tells that a tool failed."""
    tool_calls: Sequence[ToolCall] = ()
    """Calls of the program's tools that the model asks for: ``id``, ``name``, ``arguments`` (JSON data)."""
    served: Sequence[ServedCall] = ()
    """Calls of tools that the provider ran itself."""
    citations: Sequence[str] = ()
    media: Sequence[Media] = ()
    """What else is in it (``kind``, ``mime``, ``size``, ``source``), never the bytes."""

    def __repr__(self) -> str:
        calls = "".join(f" calls {brief(call.name)}" for call in self.tool_calls[:3])
        return f"<Message {brief(self.role)}{f' {self.text[:80]!r}' if self.text else ''}{calls}>"


class Note(Struct, frozen=True):
    """What was logged in a step, or in a run outside of its steps."""

    message: str
    level: str
    """``debug``, ``info``, ``warning`` or ``error``."""
    time: datetime
    fields: Mapping[str, Any] = {}
    """What was given beside the text, as JSON data."""
    logger: str = ""
    """The logger it came through; ``<stdout>`` or ``<stderr>`` for what was printed, empty for ``agentrace.log``."""

    def __repr__(self) -> str:
        return f"<Note {brief(self.level)} {self.message[:80]!r}>"


class Score(Struct, frozen=True):
    """A score of a step or run."""

    name: str
    value: float
    """On the scale of whoever gave it."""
    time: datetime
    comment: str = ""
    source: str = ""
    """Who or what gave it."""

    def __repr__(self) -> str:
        return f"<Score {brief(self.name)} {self.value:g}>"


class Error(Struct, frozen=True):
    """An exception, as far as it can be told without its class."""

    type: str
    """``module.qualname`` of its class."""
    message: str
    traceback: str = ""
    """Formatted; empty if there was none."""
    notes: Sequence[str] = ()
    """What ``add_note`` added."""
    causes: Sequence[Error] = ()
    """What caused it, what caused that, and so on; the nearest first."""

    def __str__(self) -> str:
        return f"{self.type.rpartition('.')[2]}: {self.message}" if self.message else self.type.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<Error {brief(self.type)} {self.message[:80]!r}>"


class Exchange(Struct, frozen=True):
    """A request that a step sent, and what came back."""

    number: int
    """Which of its step's, from 1."""
    method: str
    url: str
    status: int
    """Of the response, as in HTTP; 0 if there was none."""
    headers: Sequence[tuple[str, str]]
    """Of the response."""
    body: bytes
    """Of the response, without its content coding; as far as it came."""
    data: Any
    """The same as JSON data: that of the body, the list of those of its events, or its text."""
    exception: Error | None = None
    """How the transport failed, before the response or in it."""

    def __repr__(self) -> str:
        return f"<Exchange {brief(self.method)} {brief(self.url)} {self.status or 'unanswered'}>"


class Event(Struct, frozen=True):
    """A fact of the record. Fields are those of the view ``events``."""

    run_id: str
    seq: int
    """Its position in the run, from 1."""
    step_id: int
    """0 for the run itself."""
    type: str
    """As in the trace specification, e.g. ``StepDispatched``."""
    time: datetime
    body: Mapping[str, Any]
    """The fields that are not at their defaults; values of more than 200 characters in short:
    ``{"$short": ..., "characters": ...}``. They are whole in ``Step.input`` and ``Step.output``."""

    def __repr__(self) -> str:
        return f"<Event {self.seq} {brief(self.type)}>"


class Match(Struct, frozen=True):
    """A text in which something was found."""

    run_id: str
    step_id: int
    """0 for the run itself."""
    part: str
    """``input``, ``output``, ``error`` or ``note``."""
    excerpt: str
    """Up to 100 characters on each side of the first place."""
    kind: str
    """Of the step; empty for the run itself, and so is ``name``."""
    name: str
    started: datetime | None
    """When the step, or the run, began."""
    run_name: str

    def __repr__(self) -> str:
        return f"<Match {self.run_id[:12]}:{self.step_id} {brief(self.name)} {self.part} {self.excerpt[:80]!r}>"


# --- made of what a record holds ----------------------------------------------------------------------------


def message(run_id: str, step_id: int, position: int, direction: str, told: Told) -> Message:
    """A message as its provider's integration tells it."""
    return Message(
        run_id,
        step_id,
        position,
        direction,
        told.role,
        told.text,
        told.reasoning,
        told.refusal,
        told.name,
        told.tool_call_id,
        told.failed,
        tuple(told.tool_calls),
        tuple(told.served),
        tuple(told.citations),
        tuple(told.media),
    )


def message_of_row(row: Mapping[str, Any]) -> Message:
    """A message as the index tells it."""
    named = {name: row[name] for name in Message.__struct_fields__ if row[name] is not None}
    for name, kind in (("tool_calls", ToolCall), ("served", ServedCall), ("media", Media)):
        if name in named:
            named[name] = msgspec.json.decode(named[name], type=tuple[kind, ...])  # type: ignore[valid-type]
    if "citations" in named:
        named["citations"] = tuple(named["citations"])
    return Message(**named)


def event_of_row(row: Mapping[str, Any]) -> Event:
    """An event as the index tells it."""
    body = {} if row["body"] is None else msgspec.json.decode(row["body"])
    return Event(row["run_id"], row["seq"], row["step_id"], row["type"], row["time"], body)


def match_of_row(row: Mapping[str, Any]) -> Match:
    """A match as the index tells it."""
    of_step = row["kind"] or "", row["name"] or ""
    return Match(
        row["run_id"], row["step_id"], row["part"], row["excerpt"], *of_step, row["started"], row["run_name"] or ""
    )


def note(record: RunRecord, event: Logged) -> Note:
    """A note with its fields."""
    fields = json_of(record, event.fields)
    told = fields if isinstance(fields, dict) else {}
    return Note(event.message, event.level, moment(event.ts), told, event.logger)


def score(event: Scored) -> Score:
    """A score."""
    return Score(event.name, event.value, moment(event.ts), event.comment, event.source)


def error(failure: Failure) -> Error:
    """An exception with what caused it."""
    causes = tuple(map(error, failure.causes))
    return Error(failure.type.replace(":", "."), failure.message, failure.traceback, tuple(failure.notes), causes)


def exchange(recorded: Recorded) -> Exchange:
    """An exchange as it would be played back."""
    failure = recorded.error or recorded.broken
    body = b"".join(recorded.body)
    return Exchange(
        recorded.number,
        recorded.method,
        recorded.url,
        recorded.status,
        tuple((name, value) for name, value in recorded.headers),
        body,
        body_of(recorded) if body else None,
        None if failure is None else error(failure),
    )


def id_text(run_id: bytes) -> str | None:
    """The text of a run id; ``None`` if there is none."""
    return format_run_id(run_id) if len(run_id) == 16 else None
