"""Functions of every shape, as a program has them: at the top of a module, so that they can be pickled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import agentrace


@agentrace.tool
def add(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> int:
    """Add numbers up."""
    return a + b + c + sum(rest) + sum(more.values())


@agentrace.trace(name="named")
def renamed(a: int) -> int:
    return a


@agentrace.tool
async def fetch(a: int) -> int:
    """Fetch a number."""
    await asyncio.sleep(0)
    return a


@agentrace.tool
def count(n: int) -> Generator[int, Any, str]:
    """Count up."""
    yield from range(n)
    return "done"


@agentrace.retriever
async def stream(n: int) -> AsyncGenerator[int, Any]:
    """Stream numbers."""
    for number in range(n):
        await asyncio.sleep(0)
        yield number


class Shop:
    """Methods of every kind."""

    def __init__(self, name: str) -> None:
        self.name = name

    @agentrace.tool
    def buy(self, item: str) -> str:
        return f"{self.name}: {item}"

    @agentrace.tool
    @staticmethod
    def price(item: str) -> int:
        return len(item)

    @staticmethod
    @agentrace.tool
    def weight(item: str) -> int:
        return len(item)

    @agentrace.tool
    @classmethod
    def open(cls, name: str) -> Shop:
        return cls(name)

    @classmethod
    @agentrace.tool
    def closed(cls, name: str) -> str:
        return f"{cls.__name__} {name}"

    @agentrace.tool
    async def deliver(self, item: str) -> str:
        return item


class Adder:
    """An object that can be called."""

    def __init__(self, a: int) -> None:
        self.a = a

    def __call__(self, b: int) -> int:
        return self.a + b


class AsyncAdder(Adder):
    """An object whose calls are coroutines."""

    async def __call__(self, b: int) -> int:  # type: ignore[override]
        return self.a + b


class Refused(Exception):
    """An exception with a constructor of its own and a field."""

    def __init__(self, code: int, *, field: str) -> None:
        super().__init__(f"refused with {code}")
        self.code = code
        self.field = field


ERROR = Refused(7, field="f")
ERROR.add_note("a note")


@agentrace.tool
def refuse() -> None:
    """Raise the one exception there is, with a cause."""
    try:
        int("x")
    except ValueError as cause:
        raise ERROR from cause


@agentrace.tool
def leave(error: BaseException) -> None:
    """Raise what is given."""
    raise error


def undecorated(number: int) -> int:
    """A function that nothing announces as a tool."""
    return number
