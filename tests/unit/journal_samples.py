"""Events, payloads and stores for the tests of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from blake3 import blake3

from agentrace import events
from agentrace.journal import Journal, Record, open_record
from agentrace.journal.segment import chain_start, chained

RUN = bytes(range(16))
OTHER = bytes(range(16, 32))

_encode = msgspec.msgpack.Encoder().encode


def event(seq: int, text: str = "what happened") -> bytes:
    """The bytes of an event, of a type that the journal knows nothing of."""
    return _encode([99, seq, seq % 7, 1_700_000_000_000_000_000 + seq, text])


def seq_of(body: bytes) -> int:
    """The seq of an event."""
    found: int = msgspec.msgpack.decode(body)[1]
    return found


def lost(body: bytes) -> tuple[int, int, str] | None:
    """First, last and reason of a tombstone; None if the event is another."""
    found = events.decode(body) if msgspec.msgpack.decode(body)[0] != 99 else None
    return (found.seq, found.to, found.reason) if isinstance(found, events.EventsLost) else None


def digest(data: bytes) -> bytes:
    """The digest under which a payload is kept."""
    return blake3(data).digest()


class Failures(list[tuple[BaseException, int]]):
    """Remembers what the journal reports."""

    def __call__(self, failure: BaseException, count: int) -> None:
        self.append((failure, count))

    @property
    def events(self) -> int:
        """How many events were reported lost."""
        return sum(count for _, count in self)


def journal(root: Path, **options: object) -> Journal:
    """A journal that reports to nobody, unless told otherwise."""
    given: dict[str, object] = {"on_failure": Failures(), "tombstone": events.tombstone, **options}
    return Journal(root, **given)  # type: ignore[arg-type]


def written(root: Path, bodies: Iterable[bytes], *, run_id: bytes = RUN, **options: object) -> Journal:
    """A journal with these events in one run, which goes on."""
    made = journal(root, **options)
    writer = made.writer(run_id)
    for body in bodies:
        writer.event(body)
    return made


def died(made: Journal) -> None:
    """What the death of the process does to its journal: all it held open is closed, nothing is written."""
    made.forget()


def chain_of(bodies: Iterable[bytes], run_id: bytes = RUN) -> bytes:
    """The chain over these events."""
    chain = chain_start(run_id)
    for body in bodies:
        chain = chained(chain, body)
    return chain


def read(root: Path, run_id: bytes = RUN) -> tuple[Record, list[bytes]]:
    """A run's record and its events."""
    record = open_record(root, run_id)
    return record, list(record.events())
