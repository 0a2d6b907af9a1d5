"""Context managers, and what programs do with them: each scenario takes a function that gives one."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import agentrace


class Refused(Exception):
    """What a block may raise."""


LOG: list[str] = []
"""What the bodies of managers did: nothing on a replay of an answered kind."""


def manage(name: str, fails: str = "") -> Iterator[str]:
    """A resource."""
    LOG.append(f"enter {name}")
    if fails == "enter":
        raise Refused(name)
    try:
        yield f"{name} is open"
    except Refused as error:
        LOG.append(f"thrown {error}")
        if fails == "raise":
            raise
        if fails == "other":
            raise LookupError(name) from error
    finally:
        LOG.append(f"leave {name}")
    if fails == "leave":
        raise Refused("leaving")


async def manage_async(name: str, fails: str = "") -> AsyncIterator[str]:
    """A connection."""
    await asyncio.sleep(0)
    with contextlib.contextmanager(manage)(name, fails) as value:
        yield value
    await asyncio.sleep(0)


opened = agentrace.tool(contextlib.contextmanager(manage))
connected = agentrace.tool(contextlib.asynccontextmanager(manage_async))
plain_opened = contextlib.contextmanager(manage)
plain_connected = contextlib.asynccontextmanager(manage_async)
traced = agentrace.trace(contextlib.contextmanager(manage), name="traced")
traced_async = agentrace.trace(contextlib.asynccontextmanager(manage_async), name="traced")


@agentrace.tool
def given(name: str, fails: str = "") -> Any:
    """A plain function that gives a manager."""
    return plain_opened(name, fails)


@agentrace.tool
def given_async(name: str, fails: str = "") -> Any:
    return plain_connected(name, fails)


@agentrace.tool
def inner(value: str) -> str:
    return value.upper()


# --- what happens to blocks ---------------------------------------------------------------------------------

Scenario = Callable[[Callable[..., Any]], Any]


def entered(make: Callable[..., Any]) -> Any:
    with make("file") as value:
        return inner(value)


def never_entered(make: Callable[..., Any]) -> Any:
    make("file")
    return inner("b")


def entered_twice(make: Callable[..., Any]) -> Any:
    manager = make("file")
    with manager as value:
        pass
    try:
        with manager:
            return "again"
    except (RuntimeError, AttributeError) as error:
        return value, type(error).__name__


def suppressed(make: Callable[..., Any]) -> Any:
    with make("file"):
        raise Refused("block")
    return inner("went on")


def not_suppressed(make: Callable[..., Any]) -> Any:
    error = Refused("block")
    try:
        with make("file", "raise"):
            raise error
    except Refused as caught:
        frames = [frame.name for frame in _frames(caught)]
        return caught is error, frames


def _frames(error: BaseException) -> list[Any]:
    return [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]


def another_one(make: Callable[..., Any]) -> Any:
    try:
        with make("file", "other"):
            raise Refused("block")
    except LookupError as error:
        return str(error), type(error.__cause__).__name__


def failed_at(when: str) -> Scenario:
    def scenario(make: Callable[..., Any]) -> Any:
        try:
            with make("file", when):
                inner("inside")
        except Refused as error:
            return str(error)

    return scenario


def stopped(make: Callable[..., Any]) -> Any:
    try:
        with make("file"):
            raise StopIteration(3)
    except StopIteration as error:
        return error.value


def exited(make: Callable[..., Any]) -> Any:
    try:
        with make("file"):
            raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        return error.args


def as_decorator(make: Callable[..., Any]) -> Any:
    @make("file")
    def function(value: int) -> int:
        """Doubled."""
        return value * 2

    return [function(1), function(2), function.__name__, function.__doc__]


def in_a_stack(make: Callable[..., Any]) -> Any:
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(make(name)) for name in ("a", "b", "c")]


def nested_wrongly(make: Callable[..., Any]) -> Any:
    first, second = make("a"), make("b")
    told = [first.__enter__(), second.__enter__(), inner("both")]
    told += [first.__exit__(None, None, None), inner("one"), second.__exit__(None, None, None), inner("none")]
    return told


SCENARIOS: dict[str, Scenario] = {
    "entered": entered,
    "never entered": never_entered,
    "entered twice": entered_twice,
    "suppressed": suppressed,
    "not suppressed": not_suppressed,
    "another exception": another_one,
    "failed when entered": failed_at("enter"),
    "failed when left": failed_at("leave"),
    "StopIteration": stopped,
    "interrupted": exited,
    "in a stack": in_a_stack,
    "nested wrongly": nested_wrongly,
}
