"""One run as it was recorded: its events, the states they fold into, its values, and what went over its wires."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, Literal, Protocol

import msgspec

from agentrace.canonical import Reader, tags
from agentrace.canonical.loading import load
from agentrace.canonical.novelty import NewReader
from agentrace.canonical.sharing import SharedReader
from agentrace.errors import CorruptRecord
from agentrace.events import (
    FORMAT_VERSION,
    AnyEvent,
    Chunk,
    Logged,
    Scored,
    StreamChunks,
    UnknownEvent,
    Value,
    WorkflowStarted,
    decode,
    decoded,
    is_readable,
)
from agentrace.exchanges import Recorded
from agentrace.fold import ExchangeState, Folder, StepState, Trace
from agentrace.integrations.catalogue import integration
from agentrace.integrations.declaration import Dialogue, Facts
from agentrace.journal import Damage
from agentrace.journal.segment import chain_start, chained
from agentrace.store.bodies import responses
from agentrace.store.references import tagged_throughout

_BYTES: Final = {0xC4: 2, 0xC5: 3, 0xC6: 5}
"""First byte of msgpack's byte strings, and how many bytes stand before their content."""

_NOTICED: Final = frozenset({WorkflowStarted, StreamChunks, Logged, Scored})
"""Types of events that are more to a record than what they fold into."""
_RESPONSES: Final = 4_096
"""Responses of a run that are kept as JSON: what they mean is asked in turn, for different ends."""

MEANT: Final = frozenset({"model", "embedding"})
"""Kinds of steps whose exchanges have a meaning that an integration reads."""


MALFORMED: Final = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What reading the meaning of a body raises that is other than its provider documents it, e.g. one from a proxy or a
damaged record."""


def dialogue_of(name: str) -> Dialogue | None:
    """How the messages of an integration's calls are read; ``None`` if it is none or has none."""
    found = integration(name)
    return None if found is None else found.dialogue


def facts_version(name: str) -> str:
    """The version of what an integration tells of its calls; empty if there is no such integration."""
    found = integration(name)
    return "" if found is None else found.facts_version


class Source(Protocol):
    """Where a run's events and payloads come from; the journal's ``Record`` is one."""

    run_id: bytes
    state: Literal["live", "unsealed", "sealed"]
    holes: list[tuple[int, int]]

    @property
    def damage(self) -> list[Damage]:
        """What is known to be damaged."""
        ...

    def events(self, after: int = 0) -> Iterator[bytes]:
        """The encoded events beyond a seq, in the order of seq."""
        ...

    def payload(self, digest: bytes) -> bytes:
        """What is stored under a digest; raises ``CorruptRecord``."""
        ...


class RunRecord:
    """One run, read from where it is kept. Everything is read when it is first asked for, and then kept."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.run_id = source.run_id
        self.values = Reader(source.payload)
        """Reads the canonical values of the run's events."""
        self._chunks: dict[tuple[int, int], list[StreamChunks]] = {}
        self._notes: dict[int, list[Logged | Scored]] = {}
        self._facts: dict[tuple[int, bool], Facts | None] = {}
        self._responses: dict[int, list[Any]] = {}

    @cached_property
    def shared(self) -> SharedReader:
        """Reads the same values as JSON that is never to be changed: what did not change is the same objects."""
        return SharedReader(self._source.payload)

    def new_values(self, seen: Iterable[bytes] = ()) -> NewReader:
        """A reader that tells of each value what those before it did not hold; ``seen`` are its marks of earlier."""
        return NewReader(self._source.payload, seen)

    @property
    def live(self) -> bool:
        """Whether the process that writes the run is still there and the run is not over."""
        return self._source.state == "live"

    @property
    def sealed(self) -> bool:
        """Whether the run is over and will never change again."""
        return self._source.state == "sealed"

    @property
    def damage(self) -> list[Damage]:
        """Bytes of the record that are not what was written, as far as reading has met them."""
        return self._source.damage

    @property
    def holes(self) -> list[tuple[int, int]]:
        """First and last seq of what is missing and not yet told by ``EventsLost``."""
        return self._source.holes

    @cached_property
    def events(self) -> list[AnyEvent | UnknownEvent]:
        """All events, in the order of seq. Raises ``CorruptRecord``."""
        try:
            return decoded(self._source.events)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _undecodable(self.run_id, error) from error

    def encoded(self) -> Iterator[bytes]:
        """The same events, as they were recorded."""
        return self._source.events()

    @cached_property
    def chain(self) -> bytes:
        """The head of the hash chain over all events (32 bytes): another one if any of them were."""
        head = chain_start(self.run_id)
        for data in self._source.events():
            head = chained(head, data)
        return head

    @cached_property
    def head(self) -> AnyEvent | UnknownEvent | None:
        """The first event, which is ``WorkflowStarted`` unless that is lost; ``None`` if there is no event."""
        if "events" in self.__dict__:
            return self.events[0] if self.events else None
        first = next(iter(self._source.events()), None)
        try:
            return None if first is None else decode(first)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _undecodable(self.run_id, error) from error

    @cached_property
    def trace(self) -> Trace:
        """The states that the events fold into."""
        folder = Folder(self.run_id)
        for event in self.events:
            if type(event) in _NOTICED:
                self._notice(event)
        folder.extend(self.events)
        return folder.trace()

    def _notice(self, event: AnyEvent | UnknownEvent) -> None:
        if isinstance(event, WorkflowStarted) and not is_readable(event.format):
            raise _newer(self.run_id, event.format)
        if isinstance(event, StreamChunks):
            self._chunks.setdefault((event.step_id, event.exchange), []).append(event)
        elif isinstance(event, (Logged, Scored)):
            self._notes.setdefault(event.step_id, []).append(event)

    @cached_property
    def meant(self) -> Sequence[StepState]:
        """The steps that may have a meaning (``MEANT``), in dispatch order."""
        return [step for step in self.trace.steps.values() if step.dispatched.kind in MEANT]

    @property
    def interrupted(self) -> bool:
        """Whether the run has no end, and nobody is left who could write one."""
        return self.trace.run.status in ("pending", "running") and not self.live

    @property
    def cut_short(self) -> bool:
        """Whether more was written after the last event that can be read."""
        last = self.trace.run.last_seq
        return any(first > last for first, _ in self.holes)

    def elements(self, step_id: int) -> list[Chunk]:
        """What a generator step handed over and was sent, in order."""
        return [chunk for part in self._parts(step_id, 0) for chunk in part.chunks]

    def notes(self, step_id: int) -> Sequence[Logged | Scored]:
        """Notes and scores of a step, in order; those of the run itself under step 0."""
        assert self.trace.run.id == self.run_id  # folding is what sorts them by step
        return self._notes.get(step_id, ())

    def tags_in(self, value: Value) -> Iterator[int]:
        """The codes (``canonical.tags``) of everything in a value that JSON or msgpack has no word for."""
        return (found.code for found in tagged_throughout(value, self._source.payload))

    def described_only(self, value: Value) -> tuple[str, str, str] | None:
        """Type, text and reason of the first part of a value that could not be encoded; ``None`` if there is none."""
        for found in tagged_throughout(value, self._source.payload):
            match load(found.data) if found.code == tags.OPAQUE else None:
                case [str(name), str(text), str(reason)]:
                    return name, text, reason
                case _:
                    pass
        return None

    def exchanges(self, step_id: int) -> list[Recorded]:
        """The exchanges of a step, as a wire plays them back, in order."""
        known = self.trace.exchanges.get(step_id, {})
        return [self._recorded(state) for state in known.values()] if known else []

    def responses(self, step_id: int) -> list[Any]:
        """The JSON of the last response that a step got: whole, or the events of a stream; empty if there is none.

        It is never to be changed: who asks again may be given the same.
        """
        known = self._responses.get(step_id)
        if known is None:
            known = self._read_responses(step_id)
            if len(self._responses) < _RESPONSES:
                self._responses[step_id] = known
        return known

    def _read_responses(self, step_id: int) -> list[Any]:
        known = self.trace.exchanges.get(step_id, {})
        answered = [state for state in known.values() if state.answered is not None]
        return responses(self._recorded(answered[-1])) if answered else []

    def facts(self, step_id: int, *, request: bool = True) -> Facts | None:
        """What a model call meant, by its integration; ``None`` if there is none that knows.

        Without ``request`` it is told from the response alone: quicker, but without the results of tools.
        """
        key = (step_id, request)
        if key not in self._facts:
            self._facts[key] = self._read_facts(step_id, request)
        return self._facts[key]

    def facts_versions(self) -> dict[str, str]:
        """The integrations that captured the run's model calls, and the version of what they tell."""
        names = {step.dispatched.integration for step in self.meant}
        return {name: facts_version(name) for name in sorted(names)}

    def _read_facts(self, step_id: int, request: bool) -> Facts | None:
        step = self.trace.steps.get(step_id)
        if step is None or step.kind not in MEANT:
            return None
        found = integration(step.dispatched.integration)
        if found is None:
            return None
        asked = self.shared.json(step.dispatched.input) if request else None
        try:
            return found.facts(asked, self.responses(step_id))
        except MALFORMED:
            return Facts()

    def _parts(self, step_id: int, exchange: int) -> Sequence[StreamChunks]:
        assert self.trace.run.id == self.run_id  # folding is what sorts the chunks by step
        parts = self._chunks.get((step_id, exchange))
        return sorted(parts, key=lambda part: part.first) if parts else ()

    def _recorded(self, state: ExchangeState) -> Recorded:
        answered, ended = state.answered, state.ended
        failure = ended.failure if ended is not None and ended.outcome == "error" else None
        body = [self._bytes(chunk.data) for part in self._parts(state.step_id, state.number) for chunk in part.chunks]
        return Recorded(
            state.number,
            method="" if state.started is None else state.started.method,
            url="" if state.started is None else state.started.url,
            status=0 if answered is None else answered.status,
            headers=() if answered is None else answered.headers,
            http_version="" if answered is None else answered.http_version,
            reason="" if answered is None else answered.reason,
            encoding="" if answered is None else answered.encoding,
            body=body,
            error=failure if answered is None else None,
            broken=None if answered is None else failure,
            # Without an end the record stops in the body, as it does where the consumer closed it.
            closed=ended is None or ended.outcome == "closed_by_consumer",
        )

    def _bytes(self, data: Value) -> bytes:
        raw = bytes(data)
        skip = _BYTES.get(raw[0]) if raw else None
        if skip is not None:
            return raw[skip:]
        found = self.values.python(data)
        if isinstance(found, bytes):
            return found
        raise CorruptRecord(
            f"a body in the record of run {self.run_id.hex()} is not made of bytes", do="do not trust this record"
        )


def _newer(run_id: bytes, version: str) -> CorruptRecord:
    return CorruptRecord(
        f"run {run_id.hex()} is a trace of version {version}; this agentrace reads {FORMAT_VERSION}",
        do="read it with a newer agentrace",
        slug="trace-version",
    )


def _undecodable(run_id: bytes, error: Exception) -> CorruptRecord:
    return CorruptRecord(
        f"an event of run {run_id.hex()} cannot be read: {error}",
        do=f"`agentrace verify {run_id.hex()}` tells what else is damaged",
    )
