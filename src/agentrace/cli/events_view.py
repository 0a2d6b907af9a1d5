"""Events as they are in a record: one line each, or one JSON object each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from agentrace.canonical import Reader
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import duration, iso
from agentrace.errors import AgentraceError
from agentrace.events import AnyEvent, UnknownEvent, type_name
from agentrace.query import UNREADABLE, RunRecord

_HEAD = ("seq", "step_id", "ts")


def event_lines(record: RunRecord, step_id: int, terminal: Terminal) -> Iterator[str]:
    """The events of a run, or of one of its steps: position, time since the start, step, type, content."""
    start = record.events[0].ts if record.events else 0
    for event in _of(record, step_id):
        fields = event_json(event, record.values)
        content = {name: value for name, value in fields.items() if name not in (*_HEAD, "type", "time")}
        step = str(event.step_id) if event.step_id else ""
        kind = terminal.paint(f"{type_name(event):<17}", "bold")
        told = " ".join(f"{name}={_short(value)}" for name, value in content.items())
        yield f"{event.seq:>6}  {duration(max(0, event.ts - start)):>9}  {step:>5}  {kind}  {told}".rstrip()


def event_json_lines(record: RunRecord, step_id: int) -> Iterator[str]:
    """The same as JSON, one event on each line."""
    return (json_text(event_json(event, record.values)) for event in _of(record, step_id))


def event_json(event: AnyEvent | UnknownEvent, values: Reader) -> dict[str, Any]:
    """An event with its type's name, without the fields that are at their defaults."""
    told: dict[str, Any] = {"type": type_name(event), "seq": event.seq, "step_id": event.step_id}
    told["ts"], told["time"] = event.ts, iso(event.ts)
    return told | {name: _json(value, values) for name, value in _fields(event) if name not in _HEAD}


def _of(record: RunRecord, step_id: int) -> Iterator[AnyEvent | UnknownEvent]:
    return (event for event in record.events if not step_id or event.step_id == step_id)


def _fields(struct: Struct) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if not _same(value, default):
            yield field.name, value


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, Raw):
        return isinstance(default, Raw) and bytes(value) == bytes(default)
    return bool(value == default)


def _json(value: Any, values: Reader) -> Any:
    if isinstance(value, Raw):
        try:
            return values.json(value)
        except (AgentraceError, msgspec.DecodeError, ValueError, TypeError, LookupError) as error:
            return {UNREADABLE: str(getattr(error, "what", error))}
    if isinstance(value, Struct):
        return {name: _json(item, values) for name, item in _fields(value)}
    if isinstance(value, (list, tuple)):
        return [_json(item, values) for item in value]
    if isinstance(value, Mapping):
        return {key: _json(item, values) for key, item in value.items()}
    return value.hex() if isinstance(value, bytes) else value


def _short(value: Any) -> str:
    return plain(value) if isinstance(value, str) and value and " " not in value else json_text(value)
