"""Searching in a run: where a text stands in what a row did, whatever its letters' case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from agentrace.cli.escaping import plain
from agentrace.cli.selecting import Test
from agentrace.events import Failure, Logged
from agentrace.query import InferredRow, Note, ProcessRow, Row, RunRecord, StepRow, input_of, json_of, output_of

PLACES: Final = "names, arguments, results, errors and notes"
"""What is searched, in words."""
_AROUND: Final = 30
"""Characters that are shown before and after a match."""

_encode = msgspec.json.Encoder().encode


def holding(text: str, record_of: Callable[[bytes], RunRecord]) -> Test:
    """Rows that hold ``text``, each with the places where it stands."""
    wanted = text.lower()
    escaped = _encode(wanted).decode()[1:-1]

    def told(row: Row) -> Sequence[str] | None:
        found = [
            f"{place}: {_excerpt(hay, needle)}"
            for place, hay, needle in _texts(row, record_of, wanted, escaped)
            if needle in hay.lower()
        ]
        return found or None

    return told


def _texts(
    row: Row, record_of: Callable[[bytes], RunRecord], wanted: str, escaped: str
) -> Iterator[tuple[str, str, str]]:
    """Every place of a row with its text, and how the wanted one would be spelled there."""
    yield "name", _name(row), wanted
    if isinstance(row, InferredRow):
        yield "arguments", _json(row.call.arguments), escaped
        yield "result", _json(row.call.result), escaped
        return
    record = record_of(row.run_id)
    if isinstance(row, StepRow):
        yield "arguments", _json(input_of(record, row.state)), escaped
        yield "result", _json(output_of(record, row.state)), escaped
        failure = row.state.failure
    else:
        failure = row.run.failure
    if failure is not None:
        yield "error", _error(failure), wanted
    for note in row.notes:
        yield "note", _note(note, record), wanted


def _name(row: Row) -> str:
    if isinstance(row, StepRow):
        sent = row.state.dispatched
        return " ".join(part for part in (sent.kind, sent.name, row.model, sent.operation) if part)
    return f"{row.kind} {row.run.name}" if isinstance(row, ProcessRow) else f"tool {row.call.name}"


def _json(value: Any) -> str:
    return "" if value is None else _encode(value).decode("utf-8", "surrogatepass")


def _error(failure: Failure) -> str:
    causes = [f"{cause.type}: {cause.message}" for cause in failure.causes]
    return "\n".join([f"{failure.type}: {failure.message}", *failure.notes, *causes])


def _note(note: Note, record: RunRecord) -> str:
    if isinstance(note, Logged):
        return f"{note.logger} {note.message} {_json(json_of(record, note.fields))}"
    return f"{note.name} {note.comment} {note.source}"


def _excerpt(hay: str, needle: str) -> str:
    """What stands around the first match, in one line."""
    at = hay.lower().find(needle)
    begin, end = max(0, at - _AROUND), at + len(needle) + _AROUND
    head, tail = "..." if begin else "", "..." if end < len(hay) else ""
    return plain(f"{head}{hay[begin:end]}{tail}")
