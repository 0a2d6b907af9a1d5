"""One request and its response under a step, written as they pass: teed, never held back.

Wires (httpx, httpx2) call :func:`send` before a request goes out and the :class:`Exchange`'s methods as the response
comes in. A body is recorded without its content coding, so that it can be redacted; ``ExchangeAnswered.encoding`` says
so. A step whose call returned before its answer had come in ends when that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentrace import events
from agentrace.capture.call import complete_by_exchange, fail
from agentrace.capture.failure import describe
from agentrace.capture.guard import fault
from agentrace.capture.step import Step
from agentrace.exchanges import Decode, decoder

Header = tuple[bytes, bytes]

CLOSED: Final = "closed_by_consumer"
"""How an exchange ends whose body was not read to its end."""
_MOST_HEADERS: Final = 4096
_LAST_EVENTS: Final = (b"\ndata: [DONE]", b"\ndata:[DONE]")
"""By convention the last of a stream of server-sent events: clients stop reading there, and nothing is left unread."""
_LONGEST_LAST: Final = max(map(len, _LAST_EVENTS))


class Exchange:
    """A request that went out and what came back so far."""

    __slots__ = (
        "_awaited",
        "_chunks",
        "_decode",
        "_last_event",
        "_redacting",
        "_tail",
        "earlier",
        "ended",
        "number",
        "size",
        "step",
    )

    def __init__(self, step: Step, number: int) -> None:
        before: Exchange | None = step.last_exchange
        self.step = step
        self.number = number
        self.size = 0
        self.ended = False
        self.earlier = None if before is None or before.ended else before
        """The step's exchange that began before this one, if it was still coming in then."""
        self._awaited = False
        """Whether the step's call has returned, so that its end waits for this one's."""
        self._chunks = 0
        self._decode: Decode | None = None
        self._last_event = False
        self._tail: bytes | None = None
        self._redacting = step.run.redactor.stream()

    def answered(self, status: int, headers: Iterable[Header], http_version: str = "", reason: str = "") -> None:
        """The head of the response came."""
        step = self.step
        try:
            pairs = list(headers)
            encoding = _value(pairs, b"content-encoding")
            self._decode = decoder(encoding)
            if self._decode is None and encoding not in ("", "identity"):
                step.run.health.add("privacy_risk")
            if _value(pairs, b"content-type").startswith("text/event-stream"):
                self._tail = b"\n"
            step.run.unfinished[self] = self.left
            step.run.emit(
                events.ExchangeAnswered,
                step.id,
                self.number,
                status,
                _told_headers(step, pairs),
                http_version,
                reason,
                step.elapsed_ns(),
                "" if self._decode is None else encoding,
            )
        except Exception as error:
            fault(error)

    def data(self, chunk: bytes) -> None:
        """A piece of the body came."""
        if self.ended or self.step.run.closed:
            return
        try:
            self.size += len(chunk)
            plain = chunk if self._decode is None else self._decoded(self._decode, chunk)
            tail = self._tail
            if tail is not None:
                joined = tail + plain
                self._tail = joined[-_LONGEST_LAST:]
                self._last_event = self._last_event or any(last in joined for last in _LAST_EVENTS)
            self._write(self._redacting.feed(plain))
        except Exception as error:
            fault(error)

    def already_read(self, body: bytes) -> None:
        """The whole body without its coding, of a response that was read before it was handed over."""
        self._decode = None
        self.data(body)
        self.end("exhausted")

    def left(self) -> None:
        """The program will not read any more."""
        self.end(CLOSED)

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Nothing more will come."""
        step = self.step
        if self.ended or step.run.closed:
            return
        self.ended = True
        if self._last_event and error is None:
            outcome = "exhausted"
        try:
            step.run.unfinished.pop(self, None)
            self._write(self._redacting.end())
            failure = None if error is None else describe(error, step.run.encoder.encode, step.run.clean)
            step.run.emit(events.ExchangeEnded, step.id, self.number, outcome, failure, step.elapsed_ns(), self.size)
        except Exception as own:
            fault(own)
        if self._awaited:
            if error is not None:
                fail(step, error)
            elif not _coming_in(step):
                complete_by_exchange(step, outcome)

    def _decoded(self, decode: Decode, chunk: bytes) -> bytes:
        """``chunk`` without its coding; as it came, and so the rest, if it is not so coded."""
        try:
            return decode(chunk)
        except ValueError:
            self._decode = None
            self.step.run.health.add("privacy_risk")
            return chunk

    def _write(self, data: bytes) -> None:
        if not data:
            return
        step = self.step
        at_ns = step.elapsed_ns()
        if not step.first_chunk_ns:
            step.first_chunk_ns = at_ns
        value = step.run.encoder.clean_bytes(data)
        step.run.emit(events.StreamChunks, step.id, self.number, self._chunks, [events.Chunk(at_ns, "bytes", value)])
        self._chunks += 1
        step.chunks += 1


def send(
    step: Step, wire: str, method: str, url: str, headers: Iterable[Header], body: bytes | None
) -> Exchange | None:
    """Write ``ExchangeStarted``; ``body`` is ``None`` when it is a stream."""
    try:
        run = step.run
        step.exchanges += 1
        exchange = step.last_exchange = Exchange(step, step.exchanges)
        value = events.NO_VALUE if body is None else run.encoder.body(body)
        run.emit(
            events.ExchangeStarted,
            step.id,
            exchange.number,
            wire,
            method,
            run.redactor.url(url),
            _told_headers(step, headers),
            value,
        )
        return exchange
    except Exception as error:
        fault(error)
        return None


def returned(step: Step) -> None:
    """The step's call returned: the step ends now, or when the exchanges that are still coming in have ended."""
    for exchange in _coming_in(step):
        exchange._awaited = True
    if not _coming_in(step):  # asked again: another thread may have ended one in between
        complete_by_exchange(step)


def _coming_in(step: Step) -> list[Exchange]:
    """The step's exchanges that have not ended."""
    found: list[Exchange] = []
    exchange: Exchange | None = step.last_exchange
    while exchange is not None:
        if not exchange.ended:
            found.append(exchange)
        exchange = exchange.earlier
    return found


def _value(headers: list[Header], name: bytes) -> str:
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1").strip().lower()
    return ""


def _told_headers(step: Step, headers: Iterable[Header]) -> list[tuple[str, str]]:
    told = step.run.headers
    found: list[tuple[str, str]] = []
    for pair in headers:
        known = told.get(pair)
        if known is None:
            name, value = pair[0].decode("latin-1"), pair[1].decode("latin-1")
            known = (name, step.run.redactor.header(name, value))
            if len(told) < _MOST_HEADERS:
                told[pair] = known
        found.append(known)
    return found
