"""Whatever a value is inside of, the payloads that it refers to are found."""

from __future__ import annotations

import collections
import dataclasses
import enum
from pathlib import PurePosixPath
from typing import Any

import pytest

from agentrace import events
from agentrace.canonical import Encoder, tags
from agentrace.errors import CorruptRecord
from agentrace.store.references import missing, tagged, tagged_throughout
from tests.unit.recorded_runs import Redaction

LONG = "a text that is stored by itself " * 40


@dataclasses.dataclass
class Box:
    content: Any


class Label(enum.Enum):
    LONG = LONG


class Words(list[Any]):
    """A list of our own."""


class Sink(dict[bytes, bytes]):
    """Keeps payloads, and gives back all but those that are forgotten."""

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep it."""
        self[digest] = data

    def read(self, digest: bytes) -> bytes:
        """The payload of this digest."""
        try:
            return self[digest]
        except KeyError:
            raise CorruptRecord(f"payload {digest.hex()} is gone") from None


def encoded(sink: Sink, value: object) -> bytes:
    """An event that holds ``value``."""
    data, _ = Encoder(Redaction(), sink).encode(value)  # type: ignore[arg-type]
    return events.encode(events.StepDispatched(1, 1, 0, "tool", "t", input=data))


HOLDERS = [
    LONG,
    [LONG],
    (LONG,),
    {LONG},
    frozenset({LONG}),
    {"key": LONG},
    {("a", 1): LONG},
    {LONG: 1},
    Box(LONG),
    Box([{"deep": (Box(LONG),)}]),
    Label.LONG,
    Words([LONG]),
    collections.OrderedDict(a=LONG),
    PurePosixPath("/", LONG),
    LONG.encode(),
    [{"n": n, "text": LONG} for n in range(200)],
]


@pytest.mark.parametrize("value", HOLDERS, ids=lambda value: type(value).__name__)
def test_a_payload_that_is_gone_is_missed_wherever_it_was(value: object) -> None:
    sink = Sink()
    event = encoded(sink, value)
    assert sink
    assert missing([event], sink.read) == []

    for digest in list(sink):
        kept = sink.pop(digest)
        assert [lost for lost, _ in missing([event], sink.read)] == [digest]
        sink[digest] = kept


def test_a_list_that_grew_is_followed_to_where_it_began() -> None:
    sink = Sink()
    encoder = Encoder(Redaction(), sink)  # type: ignore[arg-type]
    turns = [{"role": "user", "content": f"turn {n} {LONG}"} for n in range(12)]
    values = [encoder.encode_json({"messages": turns[:count]})[0] for count in range(6, 13)]
    last = events.encode(events.StepDispatched(1, 1, 0, "model", "m", input=values[-1]))

    for digest in list(sink):
        kept = sink.pop(digest)
        assert [lost for lost, _ in missing([last], sink.read)] == [digest]
        sink[digest] = kept


def test_everything_that_json_has_no_word_for_is_found_in_payloads_too() -> None:
    sink = Sink()
    data, _ = Encoder(Redaction(), sink).encode([{"secret": f"SECRET {LONG}", "n": n} for n in range(300)])  # type: ignore[arg-type]

    assert {found.code for found in tagged(data)} == {tags.PAYLOAD}
    assert {found.code for found in tagged_throughout(data, sink.read)} == {tags.PAYLOAD, tags.REDACTED}


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xc7\x01\x12\xc0",
        b"\xc7\x00\x12",
        b"\xd4\x10\xc1",
        b"\x91" * 500 + b"\xc0",
        b"\xc1",
    ],
)
def test_a_value_that_is_no_value_is_refused(hostile: bytes) -> None:
    with pytest.raises(CorruptRecord):
        missing([hostile], dict[bytes, bytes]().__getitem__)
