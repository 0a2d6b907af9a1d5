"""What went into a step and what came out of it, as JSON data."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from agentrace.canonical import Reader
from agentrace.errors import AgentraceError
from agentrace.events import StepCompleted, Value
from agentrace.exchanges import Recorded
from agentrace.fold import StepState
from agentrace.store import Facts, RunRecord, responses

UNREADABLE: Final = "$unreadable"
"""The key under which a value that cannot be read says why."""


def json_of(record: RunRecord, value: Value) -> Any:
    """An encoded value of a run, such as the fields of a note."""
    return _read(lambda: record.values.json(value))


def json_read_by(reader: Reader, value: Value) -> Any:
    """The same of a run whose record is not read as a whole."""
    return _read(lambda: reader.json(value))


def input_of(record: RunRecord, step: StepState) -> Any:
    """The arguments of a step: by parameter, or the JSON of a provider's request."""
    return _read(lambda: record.values.json(step.dispatched.input))


def output_of(record: RunRecord, step: StepState) -> Any:
    """What a step returned; of a stream what it yielded; of a model call what the response means.

    ``None`` while it runs, and where it failed before anything came.
    """
    return _read(lambda: _output(record, step))


def body_of(exchange: Recorded) -> Any:
    """The body of a response: its JSON, the JSON of its events, or its text."""
    parts = responses(exchange)
    if parts:
        return parts if len(parts) > 1 else parts[0]
    body = b"".join(exchange.body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(body).decode()}


def _output(record: RunRecord, step: StepState) -> Any:
    yielded = [{chunk.op: record.values.json(chunk.data)} for chunk in record.elements(step.id)]
    if isinstance(step.ended, StepCompleted) and step.ended.fidelity != "exchange":
        returned = record.values.json(step.ended.output)
        if not yielded:
            return returned
        return [*yielded, {"return": returned}] if returned is not None else yielded
    if yielded:
        return yielded
    facts = record.facts(step.id, request=False)
    if facts is not None and (facts.text or facts.tool_calls):
        return meaning(facts)
    exchanges = record.exchanges(step.id)
    return body_of(exchanges[-1]) if exchanges and exchanges[-1].body else None


def meaning(facts: Facts) -> dict[str, Any]:
    """What a model answered, without what it does not have."""
    told = {
        "text": facts.text,
        "tool_calls": [{"name": call.name, "arguments": call.arguments, "id": call.id} for call in facts.tool_calls],
        "finish_reason": facts.finish_reason,
    }
    return {name: value for name, value in told.items() if value}


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except AgentraceError as error:
        return {UNREADABLE: error.what}
    except (msgspec.DecodeError, ValueError, TypeError, LookupError) as error:
        # The payload of a hostile record need not decode as what its tag says.
        return {UNREADABLE: f"{type(error).__name__}: {error}"}
