"""Generators and awaitables come back as what they were: driven from both sides, closed, cancelled, returning."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

import agentrace
from tests.unit.replays import exact, record_of, replayed

_counter = itertools.count()


@agentrace.tool
def talk(first: str) -> Generator[str, Any, str]:
    said = [first]
    while said[-1] != "stop":
        try:
            given = yield f"{said[-1]} {next(_counter)}"
        except ValueError as error:
            given = f"caught {error}"
        said.append(given or "nothing")
    return " ".join(said)


@agentrace.tool
async def atalk(first: str) -> AsyncGenerator[str, Any]:
    said = [first]
    while said[-1] != "stop":
        try:
            given = yield f"{said[-1]} {next(_counter)}"
        except ValueError as error:
            given = f"caught {error}"
        await asyncio.sleep(0)
        said.append(given or "nothing")


def driven(*steps: Any, tool: Any = talk) -> Callable[[], Any]:
    """A program that sends, throws or asks for more, and notes what it gets."""

    def program() -> Any:
        talking = tool("hello")
        seen: list[Any] = [type(talking) is types.GeneratorType, next(talking)]
        for step in steps:
            try:
                if isinstance(step, BaseException):
                    seen.append(talking.throw(step))
                elif step == "close":
                    talking.close()
                else:
                    seen.append(talking.send(step))
            except StopIteration as stop:
                seen.append(("returned", stop.value))
            except RuntimeError as error:
                seen.append(("raised", error is step, str(error)))
        return seen

    return program


async def adriven(*steps: Any) -> Any:
    talking = atalk("hello")
    seen: list[Any] = [inspect.isasyncgen(talking), await anext(talking)]
    for step in steps:
        try:
            if isinstance(step, BaseException):
                seen.append(await talking.athrow(step))
            elif step == "close":
                await talking.aclose()
            else:
                seen.append(await talking.asend(step))
        except StopAsyncIteration:
            seen.append("over")
        except RuntimeError as error:
            seen.append(("raised", error is step, str(error)))
    return seen


CONVERSATIONS: dict[str, tuple[Any, ...]] = {
    "sent": ("a", None, "b", "stop"),
    "thrown": (ValueError("v"), "a", "stop"),
    "thrown through": ("a", RuntimeError("r")),
    "closed": ("a", "close"),
    "left open": ("a",),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_generator_is_driven_as_it_was(name: str) -> None:
    exact(driven(*CONVERSATIONS[name]))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_an_async_generator_is_driven_as_it_was(name: str) -> None:
    seen, record = record_of(lambda: asyncio.run(adriven(*CONVERSATIONS[name])))
    again = replayed(record, lambda: asyncio.run(adriven(*CONVERSATIONS[name])))

    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", []), again.divergence


OTHERWISE: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "something else is sent": (("a", None, "z", "stop"), "CALL_CHANGED", "[-b-][+z+]"),
    "nothing is sent": (("a", None, None), "CALL_CHANGED", "the recorded run sent something here"),
    "something is sent where nothing was": (("a", "x"), "CALL_CHANGED", "only asked for more here"),
    "thrown instead": ((ValueError("v"),), "CALL_CHANGED", "the recorded run sent something here"),
    "closed early": (("a", "close"), "CALL_CHANGED", "when 2 more element(s) were read"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_generator_that_is_driven_otherwise_is_found(name: str) -> None:
    steps, code, told = OTHERWISE[name]
    _, record = record_of(driven("a", None, "b", "stop"))

    again = replayed(record, driven(*steps))

    assert again.code == code
    assert told in again.report


@pytest.mark.parametrize(("further", "code"), [(None, "RECORD_INCOMPLETE"), ("b", "CALL_CHANGED")])
def test_a_stream_that_was_closed_is_not_read_further(further: Any, code: str) -> None:
    _, record = record_of(driven("a", "close"))

    assert replayed(record, driven("a", further)).code == code


def test_a_generator_that_fails_fails_at_its_element() -> None:
    @agentrace.tool
    def failing() -> Generator[int, None, None]:
        yield next(_counter)
        yield next(_counter)
        raise KeyError("lost")

    def program() -> Any:
        seen: list[Any] = []
        try:
            seen.extend(failing())
        except KeyError as error:
            seen.append(repr(error))
        return seen

    assert exact(program)[-1] == "KeyError('lost')"


def test_a_cancelled_stream_is_cancelled_again() -> None:
    @agentrace.tool
    async def endless() -> AsyncGenerator[int, None]:
        while True:
            yield next(_counter)
            await asyncio.sleep(0.03)

    async def program() -> Any:
        seen: list[int] = []

        async def read() -> None:
            async for number in endless():
                seen.append(number)

        try:
            await asyncio.wait_for(read(), 0.08)
        except TimeoutError:
            seen.append(-1)
        return seen

    assert exact(program)[-1] == -1


async def _later(number: int) -> int:
    await asyncio.sleep(0)
    return number * 10 + next(_counter)


def _some(number: int) -> Generator[int, None, str]:
    for _ in range(number):
        yield next(_counter)
    return "done"


def test_what_a_plain_function_gives_instead_of_a_value_is_given_again() -> None:
    later = agentrace.tool(functools.partial(lambda number: _later(number)), name="later")
    some = agentrace.tool(functools.partial(lambda number: _some(number)), name="some")

    async def program() -> Any:
        waiting = later(1)
        none, two = some(0), some(2)
        kinds = [inspect.iscoroutine(waiting), inspect.isgenerator(none), inspect.isgenerator(two)]
        return [kinds, await waiting, list(none), list(two)]

    assert exact(program)[0] == [True, True, True]
