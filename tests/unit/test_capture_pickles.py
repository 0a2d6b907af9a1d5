"""Copies and pickles of what is recorded are recorded, and nothing keeps an object alive."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import agentrace
from agentrace.testing import MemoryRecorder, recorded
from tests.unit import callable_programs as program
from tests.unit.callable_programs import GIVEN, MAKE, performed


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


@pytest.mark.parametrize("kind", MAKE)
def test_copies_and_pickles_are_recorded_and_equal(kind: str, record: MemoryRecorder) -> None:
    original = MAKE[kind]()
    recorded_one = agentrace.tool(original, name="it")
    given = GIVEN.get(kind, ())
    makes: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy]
    makes += [lambda one, protocol=p: pickle.loads(pickle.dumps(one, protocol)) for p in range(2, 6)]
    if kind == "cache":
        makes = [copy.copy, copy.deepcopy]  # it has no name by which pickle would find it

    for number, make in enumerate(makes):
        other, plain = make(recorded_one), make(original)
        assert type(other) is type(recorded_one)
        assert repr(other).partition(" at ")[0] == repr(plain).partition(" at ")[0]
        assert performed(other, *given) == performed(plain, *given)
        assert len(record.steps) == number + 1


@pytest.mark.parametrize("name", ["squared", "told", "doubled"])
def test_what_has_a_name_is_pickled_by_it(name: str) -> None:
    recorded_one = getattr(program, name)

    assert pickle.loads(pickle.dumps(recorded_one)) is recorded_one
    assert copy.deepcopy(recorded_one) is recorded_one


def test_what_another_name_holds_is_pickled_whole(record: MemoryRecorder) -> None:
    half, adder = (pickle.loads(pickle.dumps(one)) for one in (program.half, program.adder))

    assert (half(), adder(1)) == (6, 5)
    assert (half.func, half.keywords, adder.a) == (program.add, {"c": 3}, 4)
    assert [step.name for step in record.steps] == ["half", "adder"]


def test_bound_methods_travel_with_their_objects(record: MemoryRecorder) -> None:
    price = pickle.loads(pickle.dumps(program.Shop("Stand").price))

    assert price.__self__.name == "Stand"
    assert price("tea") == 3
    assert [step.name for step in record.steps] == ["Shop.price"]


def test_nothing_keeps_it_alive(record: MemoryRecorder) -> None:
    original = program.Adder(1)
    recorded_one = agentrace.tool(original)
    recorded_one(1)
    gone = weakref.ref(original)
    gc.disable()
    try:
        del original, recorded_one
        assert gone() is None
    finally:
        gc.enable()
