"""What a stub provider can answer: a reply, vectors, an error, or a connection that breaks."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

import msgspec

from agentrace.errors import ConfigError

Pause: TypeAlias = float | tuple[float, float]
"""Seconds to wait; a pair is a range to draw from."""


class ToolCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One tool call, written ``(name, arguments)``.

    ``arguments`` that are a string are sent as they are, so that malformed JSON can be tested too.
    """

    name: str
    arguments: dict[str, Any] | str = {}


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Token counts to report; what is left out is estimated from the texts.

    ``cached`` (read from the provider's cache) and ``written`` (to it) are parts of ``input``, ``reasoning`` is part
    of ``output``, whatever a provider's own counts include.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    written: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every answer has.

    ``on`` keeps it for one endpoint ("chat", "responses", "embeddings", "messages", "count_tokens",
    "models"). ``delay`` is the wait before the first byte, ``chunk_delay`` the wait between two chunks of a
    stream, both in seconds; left out, they are the provider's ``latency`` and ``chunk_latency``.
    ``headers`` are added to the usual ones, or replace them.
    """

    on: str | None = None
    delay: Pause | None = None
    chunk_delay: Pause | None = None
    headers: dict[str, str] = {}


class Reply(Answer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's answer: text, tool calls, or a refusal.

    ``reasoning`` is a summary of the model's thoughts. ``finish_reason`` ("length", "content_filter", ...)
    replaces the one that follows from the rest. ``pieces`` are the exact deltas of the text when it is
    streamed. ``model`` replaces the model name that the answer carries.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    reasoning: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    pieces: tuple[str, ...] = ()


class Vectors(Answer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Embeddings, one per input and in its order; begun again when there are more inputs."""

    vectors: tuple[tuple[float, ...], ...]


class Failure(Answer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error answer; what is left out is what the provider says with that status.

    ``body`` replaces the error's JSON with this text. ``retry_after`` is in seconds, ``retry_after_ms``
    in milliseconds. With ``after_chunks`` the error is an event inside a stream which began as ``of``.
    """

    status: int
    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    retry_after_ms: float | None = None
    body: str | None = None
    content_type: str | None = None
    after_chunks: int | None = None
    of: Reply | None = None


class Drop(Answer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer that stops short, by default before its first byte.

    ``after_chunks`` counts the events of a stream (an answer in one piece is broken in its middle),
    ``after_bytes`` counts bytes of the body. ``how``: the connection is "reset" (TCP RST) or "close"d (FIN),
    or the body "end"s properly, only without its rest. ``of`` is the answer which is interrupted.
    """

    after_chunks: int | None = None
    after_bytes: int | None = None
    how: Literal["reset", "close", "end"] = "reset"
    of: Reply | None = None


class AnswerOptions(TypedDict, total=False):
    """The keywords of every word of a script (see `Answer`)."""

    on: str
    delay: Pause
    chunk_delay: Pause
    headers: dict[str, str]


class ReplyOptions(AnswerOptions, total=False):
    """The keywords of a reply (see `Reply`)."""

    reasoning: str
    finish_reason: str
    usage: Usage
    model: str
    pieces: tuple[str, ...]


class FailureOptions(AnswerOptions, total=False):
    """The keywords of an error (see `Failure`)."""

    message: str
    type: str
    code: str
    param: str
    retry_after: float
    retry_after_ms: float
    body: str
    content_type: str
    after_chunks: int
    of: Reply


class DropOptions(AnswerOptions, total=False):
    """The keywords of a broken connection (see `Drop`)."""

    after_bytes: int
    how: Literal["reset", "close", "end"]
    of: Reply


WORDS: dict[str, tuple[type[Answer], str]] = {
    "reply": (Reply, "text"),
    "tool_calls": (Reply, "tool_calls"),
    "refusal": (Reply, "refusal"),
    "embedding": (Vectors, "vectors"),
    "error": (Failure, "status"),
    "drop": (Drop, "after_chunks"),
}
"""The words of a script: what each makes, and the field that its own value fills."""


def said(word: str, value: object, options: dict[str, Any]) -> Answer:
    """The answer that ``word`` with its value and keywords means. Raises `ConfigError` if it means none."""
    kind, field = WORDS[word]
    fields = {field: value, **options}
    if kind is Reply and not isinstance(fields.get("text", ""), str):
        fields["text"] = msgspec.json.encode(fields["text"]).decode()
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as wrong:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(
            f"the script says {word}({value!r}), which cannot be answered: {wrong}",
            do=f"use these fields: {known}",
        ) from wrong
