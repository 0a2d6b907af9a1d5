"""One request and its response under a step, noted as they pass and written behind the program: teed, never held back.

Wires call :func:`send` before a request goes out and the :class:`Exchange`'s methods as the response comes in. A body
is recorded without its content coding, so that it can be redacted; ``ExchangeAnswered.encoding`` says so. A step whose
call returned before its answer had come in ends when that does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from agentrace import events
from agentrace.canonical import INLINE_VALUE
from agentrace.capture.behind import Notes
from agentrace.capture.call import complete_by_exchange, fail
from agentrace.capture.failure import describe
from agentrace.capture.guard import fault
from agentrace.capture.step import Step
from agentrace.exchanges import Decode, decoder

Header = tuple[bytes, bytes]

CLOSED: Final = "closed_by_consumer"
"""How an exchange ends whose body was not read to its end."""
_MOST_HEADERS: Final = 4096
_MOST_NOTED: Final = 1 << 20
"""Bytes of a body that are noted at most before they are written."""
_LAST_EVENTS: Final = (b"\ndata: [DONE]", b"\ndata:[DONE]")
"""By convention the last of a stream of server-sent events: clients stop reading there, and nothing is left unread."""
_TAIL: Final = 256
"""Bytes at the end of a stream in which that event is looked for."""


class Exchange:
    """A request that went out and what came back so far."""

    __slots__ = (
        "_awaited",
        "_came",
        "_chunks",
        "_decode",
        "_noted",
        "_notes",
        "_now",
        "_place",
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
        run = step.run
        self.step = step
        self.number = number
        self.size = 0
        self.ended = ""
        """How it ended: ``exhausted``, ``closed_by_consumer`` or ``error``; empty until it did."""
        self.earlier = None if before is None or before.ended else before
        """The step's exchange that began before this one, if it was still coming in then."""
        self._awaited = False
        """Whether the step's call has returned, so that its end waits for this one's."""
        if step.notes is None:
            step.notes = Notes(run.behind)
        self._notes: Notes = step.notes
        self._now = run.clock.monotonic_ns
        self._place = run.process.place
        self._came: deque[tuple[int, bytes, tuple[int, int]]] = deque()
        """Pieces of the body that are not written yet, each with the time and the place in the loop when it came."""
        self._noted = 0
        """Bytes in ``_came``, about; 0: nothing will write what comes next unless it is told."""
        self._chunks = 0
        self._decode: Decode | None = None
        self._tail: bytes | None = None
        self._redacting = run.redactor.stream()

    # -- what the wire tells -------------------------------------------------------------------------------------

    def answered(
        self,
        status: int,
        headers: Iterable[Header],
        http_version: str = "",
        reason: str = "",
        *,
        decoded: bool = False,
    ) -> None:
        """The head of the response came; ``decoded``: its body comes without its coding already."""
        step = self.step
        try:
            step.run.unfinished[self] = self.left
            at = step.run.clock.wall_ns(), step.elapsed_ns(), self._place(step.outer)
            self._notes.put(self._write_head, *at, status, headers, http_version, reason, decoded)
        except Exception as error:
            fault(error)

    def data(self, chunk: bytes) -> None:
        """A piece of the body came."""
        if self.ended or self.step.run.closed:
            return
        try:
            self._came.append((self._now(), chunk, self._place(self.step.outer)))
            before = self._noted
            self._noted = before + len(chunk) + 1
            if not before:
                self._notes.put(self._write_body)
            elif before > _MOST_NOTED:
                self._notes.settle()
        except Exception as error:
            fault(error)

    def already_read(self, body: bytes) -> None:
        """The whole body without its coding, of a response that was read before it was handed over."""
        self._notes.put(self._take_as_it_is)
        self.data(body)
        self.end("exhausted")

    def left(self) -> None:
        """The program will not read any more."""
        self.end(CLOSED)
        self._notes.settle()  # also what was lost before, and is still noted

    def lost(self) -> None:
        """The same, found out by the garbage collector, in whatever thread: nothing is waited for."""
        if self._ending(CLOSED, None) and self._awaited:
            self.step.run.unfinished[self._notes] = self._notes.settle
            self._notes.put(self._end_lost)

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Nothing more will come."""
        if self._ending(outcome, error) and self._awaited:
            self._notes.settle()
            self._end_step(error)

    def _ending(self, outcome: str, error: BaseException | None) -> bool:
        step = self.step
        if self.ended or step.run.closed:
            return False
        self.ended = outcome
        try:
            failure = None if error is None else describe(error, step.run.encoder.encode, step.run.clean)
            at = step.run.clock.wall_ns(), step.elapsed_ns(), self._place(step.outer)
            self._notes.put(self._write_end, *at, failure)
        except Exception as own:
            fault(own)
        return True

    def _end_lost(self) -> None:
        self._end_step(None)
        self.step.run.unfinished.pop(self._notes, None)

    def _end_step(self, error: BaseException | None) -> None:
        if error is not None:
            fail(self.step, error)
        elif not _coming_in(self.step):
            complete_by_exchange(self.step, self.ended)

    # -- what is written of it, in this order, by one thread at a time -------------------------------------------

    def start(self, wire: str, method: str, url: str, headers: Iterable[Header], body: bytes | None) -> None:
        """The request is about to go out; ``body`` is ``None`` when it is a stream."""
        ts = self.step.run.clock.wall_ns()
        self.step.run.unfinished[self] = self._notes.settle
        self._notes.put(self._write_start, ts, wire, method, url, headers, body)

    def _write_start(
        self, ts: int, wire: str, method: str, url: str, headers: Iterable[Header], body: bytes | None
    ) -> None:
        run = self.step.run
        value = events.NO_VALUE if body is None else run.encoder.body(body)
        clean = run.redactor.url(url)
        told = _told_headers(self.step, headers)
        run.tell(events.EXCHANGE_STARTED, self.step.id, ts, self.number, wire, method, clean, told, value)

    def _write_head(
        self,
        ts: int,
        at_ns: int,
        place: tuple[int, int],
        status: int,
        headers: Iterable[Header],
        http_version: str,
        reason: str,
        decoded: bool,
    ) -> None:
        run, pairs = self.step.run, list(headers)
        encoding = _value(pairs, b"content-encoding")
        self._decode = decoder(encoding)
        if self._decode is None and encoding not in ("", "identity") and not decoded:
            run.health.add("privacy_risk")
        if _value(pairs, b"content-type").startswith("text/event-stream"):
            self._tail = b"\n"
        coded = "" if self._decode is None else encoding
        if decoded:
            self._decode = None
        head = self.number, status, _told_headers(self.step, pairs), http_version, reason
        run.tell(events.EXCHANGE_ANSWERED, self.step.id, ts, *head, at_ns, coded, *place)

    def _take_as_it_is(self) -> None:
        self._decode = None

    def _write_body(self) -> None:
        self._noted = 0  # first: what comes from now on tells again
        came, began, feed = self._came, self.step.started_ns, self._redacting.feed
        whole: list[bytes] = []
        chunks: list[events.ChunkFields] = []
        while came:
            at_ns, chunk, place = came.popleft()
            self.size += len(chunk)
            plain = chunk if self._decode is None else self._decoded(self._decode, chunk)
            whole.append(plain)
            clean = feed(plain, not came and bool(self.ended))
            if clean:
                told = clean if len(clean) < INLINE_VALUE else self._stored(clean)
                chunks.append((at_ns - began, "bytes", told, *place))
        if self._tail is not None:
            self._tail = b"".join((self._tail, *whole))[-_TAIL:]
        self._tell(chunks)

    def _write_end(self, ts: int, at_ns: int, place: tuple[int, int], failure: events.Failure | None) -> None:
        step = self.step
        step.run.unfinished.pop(self, None)
        rest = self._redacting.end()
        if rest:
            self._tell([(at_ns, "bytes", self._stored(rest), *place)])
        if failure is None and self._tail is not None and any(last in self._tail for last in _LAST_EVENTS):
            self.ended = "exhausted"
        how = self.ended, failure, at_ns, self.size
        step.run.tell(events.EXCHANGE_ENDED, step.id, ts, self.number, *how, *place)

    def _decoded(self, decode: Decode, chunk: bytes) -> bytes:
        """``chunk`` without its coding; as it came, and so the rest, if it is not so coded."""
        try:
            return decode(chunk)
        except ValueError:
            self._decode = None
            self.step.run.health.add("privacy_risk")
            return chunk

    def _stored(self, clean: bytes) -> events.Value:
        return self.step.run.encoder.clean_bytes(clean)

    def _tell(self, chunks: list[events.ChunkFields]) -> None:
        if chunks:
            step = self.step
            step.first_chunk_ns = step.first_chunk_ns or chunks[0][0]
            ts = step.run.clock.wall_ns()
            step.run.tell(events.STREAM_CHUNKS, step.id, ts, self.number, self._chunks, chunks)
            self._chunks += len(chunks)
            step.chunks += len(chunks)


def send(
    step: Step, wire: str, method: str, url: str, headers: Iterable[Header], body: bytes | None
) -> Exchange | None:
    """The exchange of a request that is about to go out; ``body`` is ``None`` when it is a stream.

    ``None`` where it is not written: the run is not, or telling it failed.
    """
    if not step.run.sampled:
        return None
    try:
        step.exchanges += 1
        exchange = step.last_exchange = Exchange(step, step.exchanges)
        exchange.start(wire, method, url, headers, body)
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
        if len(key) == len(name) and key.lower() == name:
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
