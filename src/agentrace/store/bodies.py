"""What came back over a wire, as JSON: one whole answer, or the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agentrace.exchanges import Recorded

_decode = msgspec.json.decode


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event of an event stream."""

    event: str
    """Its type; ``message`` if the stream does not say."""
    data: str
    id: str = ""
    """The last id that the stream gave, up to this event."""


def responses(exchange: Recorded) -> list[Any]:
    """The response's JSON: of a stream, every event's, in order; empty if the body is neither.

    Of a body that broke off, what had come: the whole events of a stream, nothing of a whole answer.
    """
    body = body_of(exchange)
    kind = media_type(exchange)
    if kind == "text/event-stream":
        found = (_json(event.data) for event in server_sent_events(body.decode("utf-8", "replace")))
        return [part for part in found if part is not _NO_JSON]
    if kind in ("application/jsonl", "application/x-ndjson"):
        return [part for line in body.splitlines() if (part := _json(line)) is not _NO_JSON]
    part = _json(body) if body else _NO_JSON
    return [] if part is _NO_JSON else [part]


def body_of(exchange: Recorded) -> bytes:
    """The whole body, without its content encoding where a recorder could not take that off."""
    return b"".join(exchange.body)


def media_type(exchange: Recorded) -> str:
    """The ``Content-Type`` without its parameters, in lower case; empty if there is none."""
    for name, value in exchange.headers:
        if name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return ""


def server_sent_events(text: str) -> Iterator[ServerSentEvent]:
    """The events of a stream as https://html.spec.whatwg.org/multipage/server-sent-events.html reads it.

    An event that the text breaks off in is not one.
    """
    kind, last_id = "", ""
    data: list[str] = []
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        if not line:
            if data:
                yield ServerSentEvent(kind or "message", "\n".join(data), last_id)
            kind, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            last_id = value


_NO_JSON = object()


def _json(text: str | bytes) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _lenient_json(text)


def _lenient_json(text: str | bytes) -> Any:
    """What Python's own reader takes and the quick one does not: numbers of any size, ``NaN``."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NO_JSON
