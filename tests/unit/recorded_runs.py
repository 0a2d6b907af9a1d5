"""Runs written through a real journal, with ids, times and contents that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from agentrace import events
from agentrace.canonical import Encoder
from agentrace.events import Failure, Parent
from agentrace.ids import uuid7
from agentrace.journal import Journal

START_MS: Final = 1_795_180_000_000
"""2026-11-20 13:06:40 UTC, when the first run of a store begins."""
MS: Final = 1_000_000


class Redaction:
    """Takes out what a test marks as secret."""

    def text(self, s: str, /) -> msgspec.Struct | None:
        """A text without its secrets."""
        return _Text(s.replace("SECRET", "⟨redacted:test⟩")) if "SECRET" in s else None

    def data(self, b: bytes, /) -> msgspec.Struct | None:
        """Bytes without their secrets."""
        return _Data(b.replace(b"SECRET", "⟨redacted:test⟩".encode())) if b"SECRET" in b else None

    def field(self, _: str, /) -> str | None:
        """No field is secret by its name."""
        return None

    def perhaps(self, _: str, /) -> bool:
        """Nor may one be."""
        return False

    def member(self, _: str, text: str, /) -> msgspec.Struct | None:
        """So its name makes no difference."""
        return self.text(text)


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Data(msgspec.Struct, frozen=True):
    data: bytes


class Process:
    """A process that records into ``root``: closed it is over, and after :meth:`die` it was killed."""

    def __init__(self, root: Path) -> None:
        self.journal = Journal(root, tombstone=events.tombstone, on_failure=_failed)
        self.runs = 0

    def run(
        self, name: str, *, after_ms: int = 0, after_ns: int = 0, number: int | None = None, **started: Any
    ) -> Writing:
        """A run that begins ``after_ms``, and ``after_ns``, the first one; ``number`` (by default counted) makes its
        id.
        """
        self.runs += 1
        run_id = uuid7(START_MS + after_ms, (self.runs if number is None else number).to_bytes(10, "big"))
        return Writing(self.journal, run_id, START_MS + after_ms, name, started, after_ns)

    def close(self) -> None:
        """End in good order: everything is sealed."""
        self.journal.close(timeout=30)

    def die(self) -> None:
        """Leave everything as ``kill -9`` does."""
        self.journal.forget()


def _failed(error: BaseException, count: int) -> None:
    raise AssertionError(f"{count} events could not be written") from error


class Writing:
    """One run that is being written. Times are milliseconds since its start."""

    def __init__(
        self, journal: Journal, run_id: bytes, start_ms: int, name: str, started: dict[str, Any], after_ns: int = 0
    ) -> None:
        self.id = run_id
        self.start_ns = start_ms * MS + after_ns
        self.writer = journal.writer(run_id)
        self.encoder = Encoder(Redaction(), self.writer)  # type: ignore[arg-type]
        self.seq = 0
        self.steps = 0
        self.began: dict[int, float] = {}
        self.exchanges: dict[int, int] = {}
        about = {"argv": ["python", "agent.py"], "python": "CPython 3.11.7", "hash_seed": "7", **started}
        self.event(events.WorkflowStarted, 0, 0, name=name, **about)

    def event(self, kind: type[events.Event], step: int, at: float, *fields: Any, **named: Any) -> None:
        """Any event."""
        self.seq += 1
        ts = self.start_ns + round(at * MS)
        self.writer.event(events.encode(kind(self.seq, step, ts, *fields, **named)))

    def lose(self, count: int) -> None:
        """Events that were given a number and never written."""
        self.seq += count

    def step(self, kind: str, name: str, at: float = 0, given: Any = None, **fields: Any) -> int:
        """A step begins; its ordinal in the run."""
        self.steps += 1
        self.began[self.steps] = at
        value, fidelity = self.encoder.encode({} if given is None else given)
        about = {"input": value, "fidelity": fidelity, "call_site": "agent.py:7 main", **fields}
        self.event(events.StepDispatched, self.steps, at, kind, name, **about)
        return self.steps

    def done(self, step: int, at: float, returned: Any = None, **fields: Any) -> None:
        """A step ends well."""
        value, fidelity = self.encoder.encode(returned)
        about = {"output": value, "fidelity": fidelity, **self._times(step, at), **fields}
        self.event(events.StepCompleted, step, at, **about)

    def failed(self, step: int, at: float, error: str, message: str = "", outcome: str = "error") -> None:
        """A step ends with an exception."""
        self.event(events.StepFailed, step, at, outcome, failure(error, message), **self._times(step, at))

    def yielded(self, step: int, at: float, index: int, *items: Any) -> None:
        """A generator step hands over elements."""
        chunks = [events.Chunk(round((at - self.began[step]) * MS), "yield", self.encoder.encode(i)[0]) for i in items]
        self.event(events.StreamChunks, step, at, 0, index, chunks)

    def exchange(self, step: int, at: float, until: float, status: int = 200, body: Any = None) -> None:
        """A request and its whole answer; ``body`` is JSON data, or the JSON data of the events of a stream."""
        number = self._sent(step, at)
        streamed = isinstance(body, list)
        kind = "text/event-stream" if streamed else "application/json"
        pieces = [f"data: {json.dumps(part)}\n\n" for part in body] if streamed else [json.dumps(body)]
        first = at + (until - at) / 2
        self.event(
            events.ExchangeAnswered, step, first, number, status, [("content-type", kind)], at_ns=self._ns(step, first)
        )
        times = [first + (until - first) * index / len(pieces) for index in range(len(pieces))]
        for index, (piece, time) in enumerate(zip(pieces, times, strict=True)):
            chunk = events.Chunk(self._ns(step, time), "bytes", self.encoder.clean_bytes(self._clean(piece)))
            self.event(events.StreamChunks, step, time, number, index, [chunk])
        size = sum(map(len, pieces))
        self.event(events.ExchangeEnded, step, until, number, "exhausted", None, self._ns(step, until), size)

    def unanswered(self, step: int, at: float, until: float, error: str) -> None:
        """A request that failed on the wire."""
        number = self._sent(step, at)
        self.event(events.ExchangeEnded, step, until, number, "error", failure(error, "refused"), self._ns(step, until))

    def answered(self, step: int, at: float, **fields: Any) -> None:
        """A step ends whose output is in its exchanges."""
        about = {"fidelity": "exchange", "exchanges": self.exchanges[step], **self._times(step, at), **fields}
        self.event(events.StepCompleted, step, at, **about)

    def end(self, at: float, **fields: Any) -> None:
        """The program ends by itself."""
        self.event(events.WorkflowCompleted, 0, at, duration_ns=round(at * MS), steps=self.steps, **fields)
        self.writer.finished()

    def end_badly(self, at: float, error: str = "", message: str = "", exit_code: int = 1) -> None:
        """The program ends with an exception or an exit code."""
        found = failure(error, message) if error else None
        self.event(events.WorkflowFailed, 0, at, exit_code, found, round(at * MS), self.steps)
        self.writer.finished()

    def parent(self, step: int, hop: str = "process:0") -> Parent:
        """This run and one of its steps, as the parent of another."""
        return Parent(self.id, step, hop)

    def _sent(self, step: int, at: float) -> int:
        number = self.exchanges[step] = self.exchanges.get(step, 0) + 1
        url = "https://api.example.org/v1/chat/completions"
        self.event(events.ExchangeStarted, step, at, number, "httpx2", "POST", url)
        return number

    def _clean(self, text: str) -> bytes:
        return text.replace("SECRET", "⟨redacted:test⟩").encode()

    def _ns(self, step: int, at: float) -> int:
        return round((at - self.began[step]) * MS)

    def _times(self, step: int, at: float) -> dict[str, Any]:
        return {"duration_ns": self._ns(step, at)}


def failure(error: str, message: str = "") -> Failure:
    """An exception of the class ``module:qualname``."""
    text = f"{error.replace(':', '.')}: {message}"
    return Failure(error, message, ["builtins:Exception"], traceback=f"Traceback (most recent call last):\n{text}\n")


def completion(
    text: str | None = None,
    calls: Sequence[tuple[str, str, dict[str, Any]]] = (),
    usage: tuple[int, int] | None = (100, 20),
    *,
    cached: int = 0,
    reasoning: int = 0,
) -> dict[str, Any]:
    """The JSON of a whole chat completion; ``calls`` are (id, name, arguments) of the tools it asks for."""
    asked = [{"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for i, n, a in calls]
    told: dict[str, Any] = {"role": "assistant", "content": text}
    body: dict[str, Any] = {
        "object": "chat.completion",
        "model": "gpt-5-mini",
        "choices": [
            {
                "index": 0,
                "message": told | ({"tool_calls": asked} if asked else {}),
                "finish_reason": "tool_calls" if asked else "stop",
            }
        ],
    }
    if usage is not None:
        body["usage"] = {
            "prompt_tokens": usage[0],
            "completion_tokens": usage[1],
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    return body


def streamed(words: Sequence[str], usage: tuple[int, int] = (100, 20)) -> list[dict[str, Any]]:
    """The JSON of the events of a streamed chat completion."""
    head = {"object": "chat.completion.chunk", "model": "gpt-5-mini"}
    parts = [{**head, "choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    parts.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    told = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return [*parts, {**head, "choices": [], "usage": told}]


def result(call_id: str, content: str) -> dict[str, Any]:
    """The message that tells a model what a tool returned."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


MODEL: Final[dict[str, Any]] = {"operation": "chat/completions", "integration": "openai"}
"""What the dispatch of a model call says beside its input."""
STREAM: Final[dict[str, Any]] = {**MODEL, "operation": "chat/completions:stream"}
