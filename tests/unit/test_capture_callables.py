"""What is called and is no plain function keeps everything that it had, while its calls are recorded."""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import agentrace
from agentrace import events
from agentrace.testing import MemoryRecorder, recorded
from tests.unit import callable_programs as program
from tests.unit.callable_programs import FUNCTIONS, GIVEN, MAKE, PREDICATES, performed
from tests.unit.replays import exact


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


def told(record: MemoryRecorder) -> list[Any]:
    """Each step as ``(name, input, output)``."""
    return [
        (step.name, record.python(step.dispatched.input), record.python(step.ended.output))
        for step in record.steps
        if isinstance(step.ended, events.StepCompleted)
    ]


def seen(ask: Callable[[], Any]) -> Any:
    """What is seen, or the exception that comes instead."""
    try:
        return ask()
    except Exception as error:
        return type(error), str(error)


# --- looked at ----------------------------------------------------------------------------------------------


def looks(called: Any) -> dict[str, Any]:
    """All that can be seen of something that is called."""
    attributes = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "__self__", "func", "args")
    classes = (functools.partial, types.MethodType, program.Adder, collections.abc.Hashable, collections.abc.Sized)
    return {
        "predicates": {p.__name__: seen(lambda p=p: p(called)) for p in PREDICATES},
        "of its __call__": {p.__name__: seen(lambda p=p: p(called.__call__)) for p in PREDICATES[4:7]},
        "signature": seen(lambda: str(inspect.signature(called))),
        "signature of its __call__": seen(lambda: str(inspect.signature(called.__call__))),
        "doc": inspect.getdoc(called),
        "hints": seen(lambda: typing.get_type_hints(called)),
        "source": seen(lambda: inspect.getsource(called)),
        "repr": repr(called),
        "str": f"{called}",
        "attributes": {name: seen(lambda name=name: getattr(called, name)) for name in attributes},
        "isinstance": [isinstance(called, cls) for cls in classes],
        "class": called.__class__,
        "dir": dir(called),
        "len": seen(lambda: len(called)) if hasattr(called, "__len__") else None,
        "hash": seen(lambda: hash(called)),
        "truth": seen(lambda: bool(called)),
        "unwrapped": seen(lambda: inspect.unwrap(called)) is called,
        "cache": seen(lambda: called.cache_info()),
    }


@pytest.mark.parametrize("kind", MAKE)
def test_it_looks_as_it_did(kind: str) -> None:
    original = MAKE[kind]()
    recorded_one = agentrace.tool(original, name="it")

    assert recorded_one is not original
    assert looks(recorded_one) == looks(original)
    assert recorded_one == original
    assert original == recorded_one
    assert recorded_one == agentrace.tool(original)
    assert (recorded_one != original) is False
    assert (recorded_one == object()) is False
    assert weakref.ref(recorded_one)() is recorded_one


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_plain_function_stays_one(kind: str) -> None:
    original = FUNCTIONS[kind]
    recorded_one = agentrace.tool(original)

    assert type(recorded_one) is types.FunctionType
    assert recorded_one.__wrapped__ is original  # type: ignore[attr-defined]
    for predicate in PREDICATES:
        assert predicate(recorded_one) == predicate(original)
    assert inspect.signature(recorded_one) == inspect.signature(original)
    assert typing.get_type_hints(recorded_one) == typing.get_type_hints(original)
    assert inspect.getsource(recorded_one) == inspect.getsource(original)
    assert inspect.getdoc(recorded_one) == inspect.getdoc(original)


def test_what_a_program_keeps_on_it_is_kept_on_the_object(record: MemoryRecorder) -> None:
    original = program.Adder(1)
    recorded_one: Any = agentrace.tool(original)

    recorded_one.a = 5
    recorded_one.label = "five"

    assert (original.a, vars(original)["label"], recorded_one(1)) == (5, "five", 6)
    del recorded_one.label
    assert not hasattr(original, "label")
    with pytest.raises(AttributeError):
        agentrace.tool(program.Counter(1)).m = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        agentrace.tool(len).label = "l"  # type: ignore[attr-defined]


def test_special_methods_are_the_objects(record: MemoryRecorder) -> None:
    recorded_one = agentrace.tool(program.Adder(3))

    assert (len(recorded_one), recorded_one[2], {recorded_one: 1}[program.Adder(3)]) == (3, 6, 1)
    with recorded_one as entered:
        assert entered is recorded_one
        assert entered(1) == 4
    assert recorded_one.a == 0
    match recorded_one:
        case program.Adder(a=0):
            pass
        case _:
            pytest.fail("is no Adder")
    assert len(record.steps) == 1


@typing.runtime_checkable
class Named(typing.Protocol):
    """What is found without being asked for."""

    a: int

    def again(self, b: int) -> int: ...


@typing.runtime_checkable
class Held(typing.Protocol):
    held: list[int]


def test_what_looks_without_asking_finds_what_is_there(record: MemoryRecorder) -> None:
    original = program.Unhashable([1])
    recorded_one = agentrace.tool(original)

    assert isinstance(agentrace.tool(program.Adder(1)), Named)
    assert isinstance(recorded_one, Held)
    assert not isinstance(agentrace.tool(program.Adder(1)), Held)
    assert dataclasses.is_dataclass(recorded_one)
    assert dataclasses.asdict(recorded_one) == {"held": [1]}
    assert inspect.getattr_static(agentrace.tool(program.Counter(2)), "n") is not None
    recorded_one.held = [2]
    assert (original.held, vars(recorded_one)) == ([2], {"held": [2]})


def test_as_an_argument_it_is_told_as_the_object_is(record: MemoryRecorder) -> None:
    @agentrace.tool
    def take(called: Any) -> None:
        """It is taken."""

    for kind in MAKE.keys() - {"builtin", "method of a builtin", "bound method"}:  # told as functions, by their names
        original = MAKE[kind]()
        take(original)
        take(agentrace.tool(original))

    given = [step.dispatched.input for step in record.steps]
    assert given[::2] == given[1::2]


# --- called -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKE)
def test_its_calls_are_recorded_and_answered(kind: str) -> None:
    given = GIVEN.get(kind, ())
    expected = performed(MAKE[kind](), *given)
    through_attribute = kind != "cache"
    calls: list[str] = []

    def call() -> Any:
        recorded_one = agentrace.tool(MAKE[kind](), name="it")
        calls.append("asked")
        direct = performed(recorded_one, *given)
        return [direct, performed(recorded_one.__call__, *given) if through_attribute else direct]

    assert exact(call) == [expected, expected]
    assert len(calls) == 2


def test_arguments_are_told_without_the_instance(record: MemoryRecorder) -> None:
    program.Shop().price("tea")
    program.Shop().sell_two("tea")
    program.Shop().pack("tea")
    program.Shop().pack(5)
    assert program.Keeper().keep("tea") == ("Keeper", "tea")
    agentrace.tool(program.Adder(1))(7)
    assert program.Shop().sign == "KIOSK"

    assert told(record) == [
        ("Shop.price", {"item": "tea"}, 3),
        ("Shop.sell", {"item": "tea", "count": 2}, "Kiosk: 2 tea"),
        ("Shop.pack", {"item": "tea"}, "Kiosk packs tea"),
        ("Shop.pack", {"item": 5}, "Kiosk packs something"),
        ("keep", {"args": ["tea"], "kwargs": {}}, ("Keeper", "tea")),
        ("Adder", {"b": 7}, 8),
        ("Shop.sign", {}, "KIOSK"),
    ]


def test_a_cache_is_asked_and_cleared_as_ever(record: MemoryRecorder) -> None:
    program.squared.cache_clear()
    assert [program.squared(3), program.squared(3), program.squared(2)] == [9, 9, 4]

    assert program.squared.cache_info() == (1, 2, 2, 2)
    assert program.squared.cache_parameters() == {"maxsize": 2, "typed": False}
    assert program.squared.__wrapped__(4) == 16  # type: ignore[attr-defined]
    assert [name for name, *_ in told(record)] == ["squared"] * 3

    program.Shop.price.cache_clear()
    program.Shop.calls = 0
    shop = program.Shop()
    assert [shop.price("tea"), shop.price("tea")] == [3, 3]
    assert program.Shop.calls == 1
    assert shop.price.__func__ is program.Shop.price  # type: ignore[attr-defined]
    assert shop.price.__self__ is shop  # type: ignore[attr-defined]


def test_dispatch_is_registered_and_asked_as_ever(record: MemoryRecorder) -> None:
    assert [program.told(1), program.told("a")] == ["a number", "something"]
    assert program.told.dispatch(int)(3) == "a number"
    assert set(program.told.registry) == {object, int}
    assert program.doubled("ab") == "abab"
    assert len(typing.get_overloads(inspect.unwrap(program.doubled))) == 2

    assert [name for name, *_ in told(record)] == ["told", "told", "doubled"]


def test_descriptors_take_either_order(record: MemoryRecorder) -> None:
    class Either:
        @agentrace.tool
        @functools.cache  # noqa: B019
        def cached(self, item: str) -> str:
            return item

        @functools.cache  # noqa: B019
        @agentrace.tool
        def cached_below(self, item: str) -> str:
            return item

    either = Either()
    for _ in range(2):
        assert (either.cached("a"), either.cached_below("a")) == ("a", "a")

    assert [step.name.rpartition(".")[2] for step in record.steps] == ["cached", "cached_below", "cached"]


def test_a_property_says_what_to_decorate() -> None:
    with pytest.raises(agentrace.AgentraceError, match="of a property, the function below it"):

        class _Wrong:
            @agentrace.tool  # type: ignore[arg-type]
            @property
            def name(self) -> str:
                return ""


# --- awaited ------------------------------------------------------------------------------------------------


def test_a_task_stays_a_task_and_is_said_to_be_none_yet(record: MemoryRecorder) -> None:
    recorded_one = agentrace.tool(program.later)

    async def main() -> Any:
        task = recorded_one(program.fetch)
        assert type(task) is asyncio.Task
        return await task

    assert asyncio.run(main()) == 3
    ended = record.steps[0].ended
    assert isinstance(ended, events.StepCompleted)
    assert ended.fidelity == "opaque"
    assert "no value yet" in record.json(ended.output)["reason"]


@types.coroutine
def legacy(value: int) -> Iterator[Any]:
    """A coroutine as they were before ``async``."""
    yield from asyncio.sleep(0).__await__()
    return value


def test_a_generator_that_is_awaited_is_recorded_as_a_coroutine() -> None:
    recorded_one: Any = agentrace.tool(legacy)

    async def main() -> Any:
        return await recorded_one(7)

    assert exact(main) == 7


def test_a_function_that_is_marked_as_a_coroutine_function_gives_what_it_gave(record: MemoryRecorder) -> None:
    def marked(loop: Any) -> Any:
        found = loop.create_future()
        found.set_result(5)
        return found

    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is None:
        marked._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    else:
        mark(marked)
    recorded_one = agentrace.tool(marked)

    async def main() -> Any:
        given = recorded_one(asyncio.get_running_loop())
        assert type(given) is asyncio.Future
        return await given

    assert asyncio.iscoroutinefunction(recorded_one)
    assert asyncio.run(main()) == 5


def test_a_stand_in_of_a_stand_in_and_a_deep_tree_of_partials(record: MemoryRecorder) -> None:
    called: Any = program.add
    for _ in range(300):
        called = functools.partial(functools.update_wrapper(lambda *a, f=called: f(*a), called))
    twice = agentrace.trace(agentrace.tool(functools.partial(called, 1), name="inner"), name="outer")

    assert twice(4) == 5
    assert isinstance(twice, functools.partial)
    assert [(step.name, step.dispatched.parent) for step in record.steps] == [("outer", 0), ("inner", 1)]
    assert record.steps[0].dispatched.call_site.startswith(__file__)


def test_recursion_through_it_is_the_programs(record: MemoryRecorder) -> None:
    class Down:
        def __call__(self, n: int) -> int:
            return n if n <= 0 else down(n - 1)

    down = agentrace.tool(Down(), name="down")

    assert down(3) == 0
    assert [step.dispatched.parent for step in record.steps] == [0, 1, 2, 3]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        with pytest.raises(RecursionError):
            down(100_000)
    finally:
        sys.setrecursionlimit(limit)
