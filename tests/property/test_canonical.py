"""Values: what goes into a record comes out as it was, or the record says that it cannot."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrace.canonical import Encoder, Reader
from agentrace.errors import CorruptRecord, ValueUndecodable
from agentrace.redact import redactor
from tests.property.canonical_models import VALUES, Box, Frozen, Message, Plain, Point, same

SEEN = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
OFF = redactor("off")


class Payloads(dict[bytes, bytes]):
    """Where payloads go, and come from."""

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep one."""
        self[digest] = data

    def get_payload(self, digest: bytes) -> bytes:
        """Give one back."""
        if digest not in self:
            raise CorruptRecord("not there")
        return self[digest]


def codec() -> tuple[Encoder, Reader]:
    """An encoder, and a reader of what it encodes."""
    payloads = Payloads()
    return Encoder(OFF, payloads), Reader(payloads.get_payload)


def copied(value: Any) -> Any:
    """A copy that shares nothing, also of what ``copy.deepcopy`` does not copy whole."""
    encoder, reader = codec()
    return reader.python(encoder.encode(value)[0])


# --- round trips --------------------------------------------------------------------------------------------


@SEEN
@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    encoder, reader = codec()

    data, fidelity = encoder.encode(value)

    assert fidelity == "exact"
    assert same(reader.python(data), value)
    json.dumps(reader.json(data), allow_nan=False)


@SEEN
@given(VALUES, VALUES)
def test_one_encoder_tells_one_value_after_the_other(first: Any, second: Any) -> None:
    encoder, reader = codec()

    told = [encoder.encode(value)[0] for value in (first, [first, second], first)]

    assert same(reader.python(told[0]), first)
    assert same(reader.python(told[1]), [first, second])
    assert same(reader.python(told[2]), first)


@SEEN
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_each_reading_gives_a_fresh_copy(value: list[Any]) -> None:
    encoder, reader = codec()
    data, _ = encoder.encode(value)

    first = reader.python(data)
    first.clear()

    assert same(reader.python(data), value)


@SEEN
@given(st.lists(VALUES, max_size=6), st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_what_is_changed_afterwards_is_not_changed_in_the_record(items: list[Any], fields: dict[str, Any]) -> None:
    encoder, reader = codec()
    value = {"items": items, "fields": fields, "row": [1.5] * 6}
    before = copied(value)

    data, _ = encoder.encode(value)
    items.append("later")
    fields["later"] = 1
    value["row"][0] = "later"  # type: ignore[index]

    assert same(reader.python(data), before)


class Text(str): ...


class Number(float): ...


class Bag(list[Any]): ...


@pytest.mark.parametrize(
    ("value", "plain"),
    [(Text("ab"), "ab"), (Number(1.5), 1.5), (Bag([1]), [1]), ({"k": [Text("x")]}, {"k": ["x"]})],
)
def test_a_subclass_of_a_builtin_comes_back_as_the_builtin_and_says_so(value: Any, plain: Any) -> None:
    encoder, reader = codec()

    data, fidelity = encoder.encode(value)

    assert fidelity == "structural"
    assert same(reader.python(data), plain)


class Undecided:
    """Has no truth value, as arrays and ``NotImplemented`` have none."""

    def __bool__(self) -> bool:
        raise TypeError("neither true nor false")


@pytest.mark.parametrize("key", ["password", "token", "plain", "", "\ud800"])
def test_nobody_asks_a_value_whether_it_is_true(key: str) -> None:
    encoder = Encoder(redactor("default"), Payloads())

    _, fidelity = encoder.encode({key: Undecided(), "0" * 600: Undecided()})

    assert fidelity == "opaque"


def test_an_int_of_any_size_comes_back_whatever_the_interpreter_lets_one_print() -> None:
    encoder, reader = codec()
    huge = 10**6_000 + 7

    data, fidelity = encoder.encode([1, -huge, huge, 2])

    assert fidelity == "exact"
    assert reader.python(data) == [1, -huge, huge, 2]
    assert reader.json(data)[2] == {"$int": hex(huge)}


# --- what cannot be told ------------------------------------------------------------------------------------


class Weird:
    """Not even its class can be asked for."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("no")


class Meta(type):
    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(name)


class OddClass(metaclass=Meta): ...


@dataclasses.dataclass
class Broken:
    a: int = 0

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __dict__ = property(lambda _: 1 / 0)  # type: ignore[assignment]


UNTOLD: dict[str, Callable[[], object]] = {
    "object": object,
    "builtin": lambda: len,
    "module": lambda: sys,
    "class": lambda: Plain,
    "function": lambda: codec,
    "lock": threading.Lock,
    "iterator": lambda: iter([]),
    "exception": ValueError,
    "no class": Weird,
    "odd metaclass": OddClass,
    "broken": Broken,
}


@SEEN
@given(st.sampled_from(sorted(UNTOLD)), VALUES)
def test_what_cannot_be_told_is_said_to_be_so_and_does_not_take_the_rest_along(untold: str, beside: Any) -> None:
    encoder, reader = codec()

    data, fidelity = encoder.encode({"a": [1, (UNTOLD[untold](),)], "b": beside})

    assert fidelity == "opaque"
    assert list(reader.json(data)["a"][1]["$tuple"][0]) == ["$opaque", "type", "reason"]
    assert same(reader.json(data)["b"], reader.json(encoder.encode(beside)[0]))
    with pytest.raises(ValueUndecodable):
        reader.python(data)
    assert encoder.encode(beside)[1] == "exact"


def _circle() -> Any:
    items: list[Any] = []
    items.extend([items] * 9)
    return items


def _family() -> Any:
    parent = Plain("parent", [])
    parent.b.extend(Plain("child", parent) for _ in range(50))
    return parent


def _graph(make: Any) -> Any:
    node: Any = make("leaf", "leaf")
    for _ in range(60):
        node = make(node, node)
    return node


@pytest.mark.parametrize(
    "value",
    [
        _circle(),
        _family(),
        _graph(Plain),
        _graph(lambda a, b: [a, b, a, b]),
        _graph(lambda a, b: {"a": a, "b": b}),
        _graph(lambda a, b: (a, b)),
    ],
    ids=["list in itself", "parents and children", "objects", "lists", "dicts", "tuples"],
)
def test_a_graph_that_has_no_end_as_a_tree_is_cut_and_says_so(value: Any) -> None:
    encoder, reader = codec()

    data, fidelity = encoder.encode(value)

    assert fidelity == "opaque"
    assert "$opaque" in json.dumps(reader.json(data))


def test_what_is_held_in_two_places_is_told_in_both() -> None:
    encoder, reader = codec()
    shared = {"role": "user", "content": [1, 2]}
    many = [[shared] * 5, {"again": shared}, Plain(shared, shared)] * 300

    data, fidelity = encoder.encode(many)

    assert fidelity == "exact"
    assert same(reader.python(data), many)


@pytest.mark.parametrize("deep", [30, 150])
def test_nesting_comes_back(deep: int) -> None:
    encoder, reader = codec()
    value: Any = 1
    for turn in range(deep):
        value = ([value], (value,), {"k": value}, Frozen(value), Point(value))[turn % 5]

    data, fidelity = encoder.encode(value)

    assert fidelity == "exact"
    assert same(reader.python(data), value)
    assert reader.json(data)


def test_nesting_beyond_all_measure_is_said() -> None:
    encoder, reader = codec()
    value: Any = 1
    for _ in range(100_000):
        value = [value]

    data, fidelity = encoder.encode({"deep": value, "beside": "kept"})

    assert fidelity == "opaque"
    assert "$opaque" in json.dumps(reader.json(data))


def test_a_container_that_another_thread_changes_is_told_all_the_same() -> None:
    encoder, reader = codec()
    state: dict[Any, Any] = {f"key {number}": {"n": number} for number in range(50)}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            state[f"more {number % 40}"] = number
            state.pop(f"more {(number + 20) % 40}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        told = [encoder.encode({"state": state}) for _ in range(300)]
    finally:
        stop.set()
        thread.join()

    assert all(reader.python(data)["state"]["key 49"] == {"n": 49} for data, fidelity in told if fidelity == "exact")
    assert sum(fidelity == "exact" for _, fidelity in told) > 250


# --- reading ------------------------------------------------------------------------------------------------


def test_reading_imports_nothing() -> None:
    encoder, reader = codec()
    stranger = dataclasses.make_dataclass("Stranger", ["a"])
    stranger.__module__ = "tabnanny"
    data, fidelity = encoder.encode(stranger(1))

    with pytest.raises(ValueUndecodable, match="import tabnanny"):
        reader.python(data)

    assert fidelity == "exact"
    assert reader.json(data) == {"$type": "tabnanny:Stranger", "a": 1}
    assert "tabnanny" not in sys.modules


def test_a_class_of_another_kind_is_not_filled_with_the_record() -> None:
    encoder, _ = codec()
    data, _ = encoder.encode(Plain(1))

    with pytest.raises(ValueUndecodable):
        Reader(lambda _: b"", lambda name: Message).python(data)
    with pytest.raises(ValueUndecodable):
        Reader(lambda _: b"", lambda name: dict).python(data)


@SEEN
@given(VALUES, st.data())
def test_bytes_that_are_no_value_are_told_from_a_value(value: Any, data: st.DataObject) -> None:
    encoder, reader = codec()
    good = bytearray(encoder.encode(value)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    bad = msgspec.Raw(bytes(good[: data.draw(st.integers(0, len(good)))]))

    for read in (reader.python, reader.json):
        try:
            read(bad)
        except (CorruptRecord, ValueUndecodable):
            continue


def test_the_members_of_a_model_that_come_from_outside_its_schema_are_shown() -> None:
    encoder, reader = codec()

    data, _ = encoder.encode({"box": Box(1), "message": Message(role="system"), 1: "one", "1": "text"})

    assert reader.json(data) == {
        "$dict": [
            ["box", {"$type": f"{__package__}.canonical_models:Box", "item": 1}],
            ["message", {"$type": f"{__package__}.canonical_models:Message", "role": "system", "content": None}],
            [1, "one"],
            ["1", "text"],
        ]
    }
