"""Values that are read one after the other: what did not change is the same object, what is new is told once, and
nothing is left out that was never told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from agentrace.canonical import Encoder, Reader, sharing, tags
from agentrace.canonical.decoding import MAX_NESTING
from agentrace.canonical.novelty import NewReader
from agentrace.canonical.sharing import SharedReader
from agentrace.errors import CorruptRecord
from tests.property.canonical_models import VALUES
from tests.property.test_canonical import Payloads
from tests.property.test_canonical_growth import DEFAULT, MESSAGES, SCRIPTS, SEEN, Conversation, codec


def turns(encoder: Encoder, start: Conversation, script: list[Any]) -> list[Raw]:
    """Two conversations that change as a script says, each encoded after each change, alone and inside something."""
    agents = {"a": list(start), "b": list(start)}
    told = [encoder.encode({"model": "m", "messages": agents["a"]})[0]]
    for edit, agent, message, at in script:
        edit(agents, agent, message, at)
        inputs = ({"model": "m", "messages": agents[agent]}, (agent, agents[agent]))
        told.append(encoder.encode(inputs[at % 2])[0])
    return told


def leaves(value: Any) -> Iterator[str]:
    """Every text in JSON data; bytes that are text as that text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and list(value) == ["$base64"]:
        data = base64.b64decode(value["$base64"])
        try:
            yield data.decode()
        except UnicodeDecodeError:
            yield value["$base64"]
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)


def as_json(value: Any) -> str:
    """JSON text, by which two values are the same in type as well."""
    return json.dumps(value)


@SEEN
@given(st.lists(MESSAGES, max_size=12), SCRIPTS, st.sampled_from([sharing.REMEMBERED, 2000, 0]))
def test_a_reader_that_remembers_tells_what_one_does_that_does_not(start: Any, script: Any, room: int) -> None:
    encoder, reader, payloads = codec()
    shared = SharedReader(payloads.get_payload)
    shared._room = room

    told = turns(encoder, start, script)

    assert [as_json(shared.json(data)) for data in told] == [as_json(reader.json(data)) for data in told]


@SEEN
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_a_reader_that_remembers_tells_any_value(values: list[Any]) -> None:
    encoder, reader, payloads = codec()
    shared = SharedReader(payloads.get_payload)

    told = [encoder.encode(value)[0] for value in (*values, values, *values)]

    assert [as_json(shared.json(data)) for data in told] == [as_json(reader.json(data)) for data in told]


def nothing_is_lost(told: Iterable[Raw], payloads: Payloads, reader: Any, goes_on_at: int) -> None:
    """Each text of a value is in what is new of it or of one before, also where another reader goes on."""
    news = NewReader(payloads.get_payload)
    marks: list[bytes] = []
    known: set[str] = set()
    for number, data in enumerate(told):
        if number == goes_on_at:
            news = NewReader(payloads.get_payload, marks)
        new, met = news.new(data)
        marks += met
        known.update(leaves(new))
        assert set(leaves(new)) <= set(leaves(reader.json(data))) <= known
        assert all(len(mark) == 16 for mark in met)
        assert news.new(data)[1] == []
    assert len(marks) == len(set(marks))


@SEEN
@given(st.lists(MESSAGES, max_size=12), SCRIPTS, st.integers(0, 30), st.integers(1, 4))
def test_every_text_of_a_conversation_is_told_when_it_first_comes(
    start: Any, script: Any, goes_on_at: int, every: int
) -> None:
    encoder, reader, payloads = codec()

    nothing_is_lost(turns(encoder, start, script)[::every], payloads, reader, goes_on_at)


def test_what_grew_by_several_steps_unseen_is_told_whole() -> None:
    encoder, reader, payloads = codec()
    history = [{"n": n, "text": f"{n} " * 150} for n in range(20)]
    told = [encoder.encode(history[:count])[0] for count in (8, 10, 14, 20)]
    told.append(encoder.encode([*history[:6], "a short end"])[0])

    nothing_is_lost([told[0], told[3]], payloads, reader, 9)
    nothing_is_lost([told[0], told[4]], payloads, reader, 1)


@SEEN
@given(st.lists(VALUES, min_size=1, max_size=4), st.integers(0, 4))
@example([{1: "long " * 30, "a key": "long " * 30}], 0)
def test_every_text_of_any_value_is_told_when_it_first_comes(values: list[Any], goes_on_at: int) -> None:
    encoder, reader, payloads = codec()

    told = [encoder.encode(value)[0] for value in (*values, values, {"all": values})]

    nothing_is_lost(told, payloads, reader, goes_on_at)


@pytest.mark.parametrize(("count", "several", "size"), [(100, 1, 10), (100, 2, 40), (130, 3, 20), (70, 2, 2000)])
def test_a_history_that_grows_is_told_at_its_own_size(count: int, several: int, size: int) -> None:
    encoder, _, payloads = codec(DEFAULT)
    news = NewReader(payloads.get_payload)
    history: list[Any] = []
    told = 0

    for number in range(count):
        history += [{"role": "user", "content": f"{number}.{n} " + "x" * size} for n in range(several)]
        new, _met = news.new(encoder.encode_json({"model": "m", "messages": history})[0])
        told += len(as_json(new))

    while_it_is_short = 16_000  # a list of less than a kilobyte is told whole, and is that for a few turns
    assert told <= len(as_json(history)) + 40 * count + while_it_is_short


def test_of_a_body_that_grew_what_was_inserted_is_new() -> None:
    encoder, _, payloads = codec()
    news = NewReader(payloads.get_payload)
    bodies = [json.dumps({"texts": [f"text {n} " * 50 for n in range(count)]}).encode() for count in (9, 10)]

    first, second = (news.new(encoder.body(body))[0]["$bytes"] for body in bodies)

    assert first == bodies[0].decode()
    assert "text 9 " * 50 in second
    assert "text 8" not in second


@pytest.mark.parametrize("lost", [0, -1])
def test_what_cannot_be_read_was_not_met(lost: int) -> None:
    encoder, reader, payloads = codec()
    data = encoder.encode([{"n": n, "text": "x" * 600 + str(n)} for n in range(9)])[0]
    missing = sorted(payloads)[lost]
    kept = payloads.pop(missing)
    news = NewReader(payloads.get_payload)

    with pytest.raises(CorruptRecord):
        news.new(data)
    payloads[missing] = kept

    assert as_json(news.new(data)[0]) == as_json(reader.json(data))


def test_a_part_that_was_read_in_a_shallow_place_is_not_followed_too_deep() -> None:
    payloads = Payloads()
    reader, shared = Reader(payloads.get_payload), SharedReader(payloads.get_payload)
    told = [msgspec.msgpack.encode("deepest")]

    for number in range(MAX_NESTING + 20):  # each holds the one before, and is read before it is held
        digest = number.to_bytes(32, "big")
        payloads[digest] = told[-1]
        reference = msgspec.msgpack.encode((digest, "value", len(told[-1])))
        told.append(msgspec.msgpack.encode([msgspec.msgpack.Ext(tags.PAYLOAD, reference)]))

    assert all(as_json(shared.json(data)) == as_json(reader.json(data)) for data in told[::20])
    assert "nested too deep" in as_json(shared.json(told[-1]))
