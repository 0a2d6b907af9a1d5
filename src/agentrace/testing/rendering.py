"""From an answer to the bytes of one provider's wire."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice
from typing import Any

import msgspec

from .answers import Answer, Drop, Failure, Reply, Vectors
from .defaults import reply_to, vector_of
from .delivery import Outgoing
from .mint import Mint
from .routing import Turn
from .wire import Ask, Endpoint, Headers


def rendered(turn: Turn, answer: Answer | None, mint: Mint, took: float) -> Outgoing:
    """``answer`` (None: the stub's own) as the provider sends it; it ``took`` so many seconds."""
    endpoint, ask = turn.endpoint, turn.ask
    events = endpoint.events if ask.stream else None
    broken = answer if isinstance(answer, Failure) else None
    if broken is not None and (broken.after_chunks is None or events is None):
        return _refused(turn, broken, mint, took)
    content = _content(endpoint, ask, answer, mint)
    if events is not None:
        headers = [*turn.wire.headers(ask, mint, took), ("content-type", "text/event-stream; charset=utf-8")]
        return Outgoing(200, _told(headers, answer), events(ask, content, mint, broken), stream=True)
    whole = endpoint.whole(ask, content, mint)
    if isinstance(whole, Failure):
        return _refused(turn, whole, mint, took)
    headers = [*turn.wire.headers(ask, mint, took), ("content-type", "application/json")]
    return Outgoing(200, _told(headers, answer), (msgspec.json.encode(whole),), stream=False)


def _refused(turn: Turn, failure: Failure, mint: Mint, took: float) -> Outgoing:
    """An error as the provider answers it."""
    content_type, body = turn.wire.failure(failure, turn.ask, mint)
    waits = (("retry-after", failure.retry_after), ("retry-after-ms", failure.retry_after_ms))
    retry = [(name, f"{wait:g}") for name, wait in waits if wait is not None]
    headers = [*turn.wire.headers(turn.ask, mint, took), ("content-type", content_type), *retry]
    return Outgoing(failure.status, _told(headers, failure), (body,), stream=False)


def _content(endpoint: Endpoint, ask: Ask, answer: Answer | None, mint: Mint) -> Any:
    """What the endpoint is to send: a reply, the vectors, or nothing for a list."""
    if endpoint.kind == "list":
        return None
    if endpoint.kind == "embedding":
        own: Iterable[tuple[float, ...]] = (vector_of(text, ask.dimensions) for text in ask.inputs)
        return list(islice(cycle(answer.vectors), len(ask.inputs)) if isinstance(answer, Vectors) else own)
    begun = answer.of if isinstance(answer, Drop | Failure) else answer
    return begun if isinstance(begun, Reply) else reply_to(ask, mint)


def _told(headers: Headers, answer: Answer | None) -> Headers:
    """``headers`` with those of the script added, or in the place of theirs."""
    told = {name.lower(): value for name, value in (answer.headers if answer else {}).items()}
    return [pair for pair in headers if pair[0] not in told] + list(told.items())
