"""Blocks hold what was added, each part once, and the same bytes for the same values."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentrace.export import Blocks
from agentrace.export.blocks import BLOCK, EXACT, SMALLEST, UNREADABLE
from tests.unit.read_blocks import Number, parts_of, value_of

TEXTS = st.text(st.characters(), max_size=2 * SMALLEST)  # halves of characters among them
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=30,
)


def read(blocks: Blocks, number: int) -> Any:
    return value_of(number, parts_of(blocks.blocks))


def as_told(value: Any) -> Any:
    """What a browser is told of a value: numbers that it would change as texts."""
    if isinstance(value, dict):
        return {key: as_told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_told(item) for item in value]
    if isinstance(value, float) and (not math.isfinite(value) or value.is_integer()):
        return Number(repr(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= EXACT:
        return Number(str(value))
    return value


@given(st.lists(JSON, min_size=1, max_size=5))
def test_what_is_added_can_be_read(values: list[Any]) -> None:
    blocks = Blocks()
    numbers = [blocks.add(value) for value in values]
    blocks.finish()

    assert [read(blocks, number) for number in numbers] == [as_told(value) for value in values]
    assert all(type(read(blocks, number)) is type(as_told(v)) for number, v in zip(numbers, values, strict=True))


@given(st.lists(JSON, min_size=1, max_size=5))
def test_a_part_refers_to_earlier_parts_only_and_there_is_one_of_each(values: list[Any]) -> None:
    blocks = Blocks()
    for value in [*values, *values]:
        blocks.add(value)
    blocks.finish()

    parts = parts_of(blocks.blocks)
    assert len(parts) == blocks.parts == len({json.dumps(part) for part in parts})
    for number, part in enumerate(parts):
        assert all(reference < number for reference in references(part))


def references(told: Any) -> list[int]:
    if not isinstance(told, list):
        return []
    return [told[1]] if told[0] == 2 else [found for item in told[1:] for found in references(item)]


def test_a_conversation_that_grows_is_kept_once() -> None:
    chance = random.Random(7)
    messages = [{"role": "user", "content": chance.randbytes(400).hex()} for _ in range(200)]
    blocks = Blocks()
    numbers = [blocks.add({"model": "m", "messages": messages[: turn + 1]}) for turn in range(len(messages))]
    blocks.finish()

    assert read(blocks, numbers[-1])["messages"] == messages
    once, resent = (len(json.dumps(said)) for said in (messages, [messages[: n + 1] for n in range(len(messages))]))
    assert resent > 100 * once
    assert sum(map(len, blocks.blocks)) < once
    assert blocks.size < 3 * once


def test_blocks_end_and_tell_where_they_begin() -> None:
    blocks = Blocks()
    numbers = [blocks.add({"text": f"{number} " * 400}) for number in range(1000)]
    blocks.finish()

    assert len(blocks.blocks) == len(blocks.first) > 3
    assert blocks.first[0] == 0
    for number, block in enumerate(blocks.blocks):
        assert blocks.first[number] == len(parts_of(blocks.blocks[:number]))
        assert len(json.dumps(parts_of([block]))) < 2 * BLOCK
    assert read(blocks, numbers[777]) == {"text": "777 " * 400}


def test_what_is_nested_without_end_is_told_so() -> None:
    value: Any = "in"
    for _ in range(100_000):
        value = [value]
    blocks = Blocks()
    number = blocks.add(value)
    blocks.finish()

    assert read(blocks, number) == UNREADABLE
