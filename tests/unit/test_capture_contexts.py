"""Context managers that recorded functions give do what they did, when recorded and when answered from the record."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import agentrace
from agentrace.query.obstacles import replayable
from agentrace.testing import MemoryRecorder, recorded
from tests.unit.context_programs import (
    LOG,
    SCENARIOS,
    Refused,
    Scenario,
    as_decorator,
    connected,
    given,
    given_async,
    inner,
    manage,
    nested_wrongly,
    opened,
    plain_connected,
    plain_opened,
    suppressed,
    traced,
    traced_async,
)
from tests.unit.replays import exact, performed, record_of, replayed


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
@pytest.mark.parametrize("make", [opened, traced, given], ids=["tool", "trace", "function"])
def test_a_block_is_as_without_us_recorded_and_replayed(make: Callable[..., Any], scenario: Scenario) -> None:
    expected = scenario(plain_opened)

    assert exact(lambda: scenario(make)) == expected


def test_as_a_decorator_each_call_is_a_step_of_its_own() -> None:
    expected = as_decorator(plain_opened)

    assert exact(lambda: as_decorator(opened)) == expected
    assert exact(lambda: as_decorator(traced)) == expected


def test_on_a_replay_nothing_of_a_tools_manager_runs() -> None:
    LOG.clear()
    seen, record = record_of(lambda: suppressed(opened))
    assert LOG == ["enter file", "thrown block", "leave file"]

    again = replayed(record, lambda: suppressed(opened))

    assert (again.seen, again.verdict) == (seen, "exact")
    assert len(LOG) == 3


def test_on_a_replay_a_block_that_raises_something_else_is_told() -> None:
    def raising(error: type[BaseException]) -> Callable[[], Any]:
        def program() -> None:
            with contextlib.suppress(Exception):
                with opened("file"):
                    raise error("x")

        return program

    _, record = record_of(raising(Refused))
    again = replayed(record, raising(LookupError))
    assert again.code == "CALL_CHANGED"
    assert "throws into /manage#0 something else" in again.report


# --- async --------------------------------------------------------------------------------------------------


def in_async(ending: str) -> Callable[[Callable[..., Any]], Any]:
    async def scenario(make: Callable[..., Any]) -> Any:
        told: list[Any] = []
        try:
            async with make("link", ending) as value:
                told.append(inner(value))
                await asyncio.sleep(0)
                if ending:
                    raise Refused("block")
        except (Refused, LookupError) as error:
            told.append(type(error).__name__)
        return told

    return scenario


async def async_as_decorator(make: Callable[..., Any]) -> Any:
    @make("link")
    async def function(value: int) -> int:
        return value * 2

    return [await function(1), await function(2)]


async def left_in_another_task(make: Callable[..., Any]) -> Any:
    manager = make("link")
    value = await asyncio.create_task(manager.__aenter__())
    told = [inner(value)]
    told.append(await asyncio.create_task(manager.__aexit__(None, None, None)))
    return [*told, inner("after")]


async def cancelled_inside(make: Callable[..., Any]) -> Any:
    async def block() -> None:
        async with make("link"):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    return [type(found).__name__ for found in await asyncio.gather(task, return_exceptions=True)]


ASYNC = {
    "entered": in_async(""),
    "suppressed": in_async("swallow"),
    "not suppressed": in_async("raise"),
    "another exception": in_async("other"),
    "as a decorator": async_as_decorator,
    "left in another task": left_in_another_task,
    "cancelled inside": cancelled_inside,
}


MADE = {"tool": connected, "trace": traced_async, "function": given_async}
# What a plain function gives is recorded where it is entered itself, not where it is used as a decorator.
TAKEN = [(how, what) for how in MADE for what in ASYNC if (how, what) != ("function", "as a decorator")]


@pytest.mark.parametrize(("make", "scenario"), [(MADE[how], ASYNC[what]) for how, what in TAKEN], ids=map(str, TAKEN))
def test_an_async_block_is_as_without_us(make: Callable[..., Any], scenario: Any) -> None:
    expected = asyncio.run(scenario(plain_connected))

    async def program() -> Any:
        return await scenario(make)

    assert exact(program) == expected


# --- how it is told -----------------------------------------------------------------------------------------


def parents(record: MemoryRecorder) -> list[tuple[str, int]]:
    return [(step.name, step.dispatched.parent) for step in record.steps]


@pytest.mark.parametrize(("make", "parent"), [(traced, 1), (opened, 0)], ids=["inside", "beside"])
def test_where_the_steps_of_a_block_are(make: Callable[..., Any], parent: int, record: MemoryRecorder) -> None:
    with make("file") as value:
        inner(value)
        with make("second"):
            inner("deep")
    inner("after")

    second = 3 if parent else 0
    name = record.steps[0].name
    assert parents(record) == [(name, 0), ("inner", parent), (name, parent), ("inner", second), ("inner", 0)]
    assert [step.ended is not None for step in record.steps] == [True] * 5


def test_blocks_that_are_left_in_the_wrong_order_end_all_the_same(record: MemoryRecorder) -> None:
    nested_wrongly(traced)

    assert parents(record) == [("traced", 0), ("traced", 1), ("inner", 2), ("inner", 2), ("inner", 0)]


def test_where_the_steps_of_an_async_block_are(record: MemoryRecorder) -> None:
    async def main() -> None:
        async with traced_async("a"):
            await asyncio.gather(one(), one())
        inner("after")

    async def one() -> None:
        inner("in a task")

    asyncio.run(main())

    assert parents(record) == [("traced", 0), ("inner", 1), ("inner", 1), ("inner", 0)]


def test_what_is_never_entered_is_no_step_of_its_own(record: MemoryRecorder) -> None:
    opened("file")
    connected("link")
    given("file")
    agentrace.shutdown()

    assert [(step.name, step.ended and step.ended.outcome) for step in record.steps] == [
        ("given", "closed_by_consumer")
    ]


def test_arguments_that_do_not_fit_are_refused_where_they_were() -> None:
    for make in (opened, connected, traced):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
            make()  # type: ignore[call-arg]
    assert inspect.signature(opened) == inspect.signature(manage)
    assert opened("a").__doc__ == "A resource."
    assert type(opened("a")) is type(plain_opened("a"))
    assert type(given("a")) is type(plain_opened("a"))


def test_methods_and_partials_that_give_managers(record: MemoryRecorder) -> None:
    class Pool:
        @agentrace.tool
        @contextlib.contextmanager
        def lend(self, name: str) -> Iterator[str]:
            yield f"{name} of the pool"

        @agentrace.tool
        @classmethod
        @contextlib.contextmanager
        def shared(cls, name: str) -> Iterator[str]:
            yield f"{cls.__name__}: {name}"

    with Pool().lend("a") as lent, Pool.shared("b") as shared, functools.partial(Pool().lend, "c")() as third:
        assert (lent, shared, third) == ("a of the pool", "Pool: b", "c of the pool")

    assert [record.python(step.dispatched.input) for step in record.steps] == [
        {"name": "a"},
        {"name": "b"},
        {"name": "c"},
    ]
    assert [step.ended is not None for step in record.steps] == [True] * 3


def test_what_a_block_is_given_and_only_described_stands_in_the_way() -> None:
    @agentrace.tool
    @contextlib.contextmanager
    def session() -> Iterator[object]:
        yield object()

    def program() -> None:
        with session():
            pass

    _, record = record_of(program)
    name = next(iter(record.trace.steps.values())).name
    assert replayable(record, ()).because == [f"the record only describes what step 1 (tool {name}) handed over"]
    assert replayed(record, program).code == "OUTPUT_UNDECODABLE"


def test_without_a_recording_nothing_changes() -> None:
    for scenario in SCENARIOS.values():
        assert performed(lambda scenario=scenario: scenario(opened)) == scenario(plain_opened)
