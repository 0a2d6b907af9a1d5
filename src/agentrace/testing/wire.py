"""What the stub's engine and a provider's wire say to each other.

The engine decides what to answer and delivers it; a wire knows one provider's paths, bodies, events,
headers and errors. A wire is one file that defines one `Wire`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from .answers import Failure, Reply
from .mint import Mint, estimate

Kind = Literal["model", "embedding", "list", "none"]
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request offers: its name and the JSON schema of its arguments."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for, in no provider's words.

    ``text`` and ``role`` are those of the last message. ``must_call`` names the tools of which one has to
    be called. ``schema`` is the shape the answer must have ({} is any JSON object). ``limit`` is the most
    tokens it may have. ``input_tokens`` is an estimate; ``resumed`` says that the model has spoken before, ``caches``
    that what it was told then is cached.
    ``inputs`` are the texts to embed, ``dimensions`` the length of their vectors. ``body`` is the decoded
    request.
    """

    body: dict[str, Any]
    model: str = ""
    stream: bool = False
    text: str = ""
    role: str = ""
    tools: tuple[Tool, ...] = ()
    must_call: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    limit: int | None = None
    choices: int = 1
    thinks: bool = False
    input_tokens: int = 0
    resumed: bool = False
    caches: bool = True
    inputs: tuple[str, ...] = ()
    dimensions: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the stub received.

    ``number`` counts from 1; ``time`` is seconds since 1970; header names are in lower case; ``endpoint`` is
    "chat", "responses", "embeddings", "messages", "count_tokens", "models" or "" for a path nobody serves.
    ``text`` and ``role`` are those of the last message, ``tools`` the names of the tools on offer.
    """

    number: int
    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    text: str = ""
    role: str = ""
    tools: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is empty or not JSON."""
        return decoded(self.body)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a provider.

    ``read`` turns a decoded body and the groups of ``path`` into what is asked, or into the error that the
    provider gives for such a request. ``whole`` is the answer as one object. ``events`` is the same answer
    as a stream, each item one event's bytes; given a failure with ``after_chunks`` it breaks off there with
    the provider's error event. For an endpoint of kind "list" the reply is None, for one of kind "embedding"
    ``whole`` gets a vector for each input.
    """

    name: str
    kind: Kind
    method: str
    path: re.Pattern[str]
    read: Callable[[dict[str, Any], dict[str, str | None]], Ask | Failure]
    whole: Callable[[Ask, Any, Mint], dict[str, Any] | Failure]
    events: Callable[[Ask, Reply, Mint, Failure | None], Iterator[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's protocol.

    ``headers`` are those of every answer, given the seconds it took. ``failure`` gives an error's content
    type and body. ``unknown`` is the error for a method and path that no endpoint serves, ``unreadable`` the
    one for a body that is not a JSON object. ``marked_by`` is a header that only this provider's clients send, for
    paths that several providers have.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    headers: Callable[[Ask, Mint, float], Headers]
    failure: Callable[[Failure, Ask, Mint], tuple[str, bytes]]
    unknown: Callable[[str, str], Failure]
    unreadable: Failure
    marked_by: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The token counts of an answer; ``cached`` and ``written`` are parts of ``input``, ``reasoning`` of ``output``."""

    input: int
    output: int
    cached: int
    reasoning: int
    written: int


def decoded(body: bytes) -> Any:
    """``body`` as JSON, None if it is not."""
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return None


def arguments_of(arguments: dict[str, Any] | str) -> str:
    """A tool call's arguments as they stand on a wire that sends them as a string."""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def tokens(ask: Ask, replies: list[Reply], mint: Mint) -> Tokens:
    """What the answer is said to have used: the script's numbers, and estimates for the rest.

    A prompt of 1,024 tokens or more in a conversation that goes on is cached in blocks of 128, as
    providers do.
    """
    given = replies[0].usage
    told = (given.input, given.output, given.cached, given.reasoning) if given else (None,) * 4
    written = given.written if given is not None and given.written is not None else 0
    reads = ask.input_tokens if told[0] is None else told[0]
    thinks = ask.thinks or replies[0].reasoning is not None
    thoughts = told[3] if told[3] is not None else 64 * mint.whole(1, 6) if thinks else 0
    writes = thoughts + sum(estimate(_length(reply)) for reply in replies) if told[1] is None else told[1]
    block = (reads // 128 - 1) * 128 if ask.resumed and ask.caches and reads >= 1024 else 0
    return Tokens(reads, writes, block if told[2] is None else told[2], thoughts, written)


def _length(reply: Reply) -> int:
    calls = sum(len(call.name) + len(arguments_of(call.arguments)) + 16 for call in reply.tool_calls)
    return len(reply.text or "") + len(reply.refusal or "") + calls
