"""How a stub is told what to answer: the words in Python, and the same words in a JSON file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, Unpack

import msgspec

from agentrace.errors import ConfigError

from .answers import (
    WORDS,
    Answer,
    AnswerOptions,
    DropOptions,
    FailureOptions,
    Pause,
    ReplyOptions,
    said,
)
from .wire import Request

T = TypeVar("T")

Answerer: TypeAlias = Callable[[Request], "Answer | str | Awaitable[Answer | str | None] | None"]
"""What a rule may be: a function, also an async one, that answers a request or passes it on with None."""


class Words(ABC, Generic[T]):
    """The words with which an answer is told. Each returns what the next word is said to."""

    @abstractmethod
    def answer(self, answer: Answer) -> T:
        """Answers with a `Reply`, `Vectors`, `Failure` or `Drop` made by hand."""

    def reply(self, text: str | dict[str, Any] | list[Any], **options: Unpack[ReplyOptions]) -> T:
        """Answers with text; a dict or list is sent as its JSON. Keywords: see `Reply`."""
        return self.answer(said("reply", text, {**options}))

    def tool_calls(self, *calls: tuple[str, Mapping[str, Any] | str], **options: Unpack[ReplyOptions]) -> T:
        """Answers with tool calls, each ``(name, arguments)``; several are parallel calls of one answer."""
        return self.answer(said("tool_calls", calls, {**options}))

    def refusal(self, text: str, **options: Unpack[ReplyOptions]) -> T:
        """Answers with a refusal."""
        return self.answer(said("refusal", text, {**options}))

    def embedding(self, *vectors: list[float] | tuple[float, ...], **options: Unpack[AnswerOptions]) -> T:
        """Answers an embeddings request with these vectors, one per input."""
        return self.answer(said("embedding", vectors, {**options}))

    def error(self, status: int, **options: Unpack[FailureOptions]) -> T:
        """Answers with an HTTP error, or with an error event in the stream. Keywords: see `Failure`."""
        return self.answer(said("error", status, {**options}))

    def drop(self, after_chunks: int | None = None, **options: Unpack[DropOptions]) -> T:
        """Breaks the connection: before the first byte, or after some of the answer. Keywords: see `Drop`."""
        return self.answer(said("drop", after_chunks, {**options}))


class When(Words[T]):
    """Waits for the word that says what to answer when a condition holds."""

    def __init__(self, tell: Callable[[Answer], T]) -> None:
        self._tell = tell

    def answer(self, answer: Answer) -> T:
        return self._tell(answer)


@dataclass(slots=True)
class Rule:
    """An answer for every request of a sort; ``left`` is how many times it still holds, None for always."""

    condition: Callable[[Request], bool]
    answerer: Answer | Answerer
    left: int | None = None


class ScriptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A script as a JSON file; the items of ``script`` are words (see docs/testing.md)."""

    script: list[dict[str, Any]] = []
    seed: int | None = None
    latency: Pause = 0.0
    chunk_latency: Pause = 0.0


def read_script(path: Path) -> ScriptFile:
    """The script in a JSON file. Raises `ConfigError` if it cannot be read or is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ScriptFile)
    except (OSError, msgspec.MsgspecError) as wrong:
        raise ConfigError(
            f"the script {path} cannot be read: {wrong}",
            do='write {"script": [{"reply": "Hello"}, {"error": 429}]}',
        ) from wrong


def word_of(item: dict[str, Any]) -> tuple[Answer, str | None, int | None]:
    """What an item of a script file says: the answer, and for a rule its ``when`` and ``times``."""
    rest = dict(item)
    when, times = rest.pop("when", None), rest.pop("times", None)
    words = [name for name in rest if name in WORDS]
    if len(words) != 1:
        raise ConfigError(
            f"an item of the script has to have one word, this has {len(words)}: {item}",
            do=f"use one of: {', '.join(WORDS)}",
        )
    if not isinstance(when, str | None) or not isinstance(times, int | None) or (times and when is None):
        raise ConfigError(
            f"a rule of the script cannot be read: {item}",
            do='write "when": "text of the last message", and "times": a number or nothing',
        )
    value = rest.pop(words[0])
    return said(words[0], value, rest), when, times
