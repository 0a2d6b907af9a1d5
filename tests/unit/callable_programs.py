"""What can be called and is no plain function, as a program has it: at the top of a module, so that it can be pickled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

import agentrace

T = TypeVar("T")


def add(a: int, b: int = 2, *, c: int = 0) -> int:
    """Add numbers up."""
    return a + b + c


async def fetch(a: int, b: int = 2) -> int:
    """Fetch a number."""
    await asyncio.sleep(0)
    return a + b


def count(n: int, start: int = 0) -> Generator[int, Any, str]:
    """Count up."""
    yield from range(start, n)
    return "done"


async def stream(n: int, start: int = 0) -> AsyncGenerator[int]:
    """Stream numbers."""
    for number in range(start, n):
        yield number


class Adder:
    """An object that can be called, compared and asked for more."""

    def __init__(self, a: int) -> None:
        self.a = a

    def __call__(this, b: int = 1) -> int:
        """Add to what it has."""
        return this.a + b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Adder) and self.a == other.a

    def __hash__(self) -> int:
        return hash(self.a)

    def __len__(self) -> int:
        return self.a

    def __getitem__(self, key: int) -> int:
        return self.a * key

    def __enter__(self) -> Adder:
        return self

    def __exit__(self, *_: object) -> None:
        self.a = 0

    def again(self, b: int) -> int:
        return self.a + b


class AsyncAdder(Adder):
    """An object whose calls are coroutines."""

    async def __call__(self, b: int = 1) -> int:  # type: ignore[override]
        return self.a + b


class Counter:
    """An object whose calls are generators, without a dict."""

    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, start: int = 0) -> Iterator[int]:
        yield from range(start, self.n)


class Streamer:
    """An object whose calls are async generators."""

    async def __call__(self, n: int = 2) -> AsyncIterator[int]:
        for number in range(n):
            yield number


@dataclass
class Unhashable(Generic[T]):
    """A generic one that is compared by its fields."""

    held: list[T] = field(default_factory=list)

    def __call__(self, item: T) -> list[T]:
        return [*self.held, item]


@agentrace.tool
@functools.lru_cache(maxsize=2)
def squared(number: int) -> int:
    """Square a number."""
    return number * number


@agentrace.tool
@functools.singledispatch
def told(value: object) -> str:
    """Tell what something is."""
    return "something"


@told.register
def _(value: int) -> str:
    return "a number"


@overload
def doubled(value: int) -> int: ...
@overload
def doubled(value: str) -> str: ...
@agentrace.tool
def doubled(value: Any) -> Any:
    """Double a value."""
    return value * 2


half = agentrace.tool(functools.partial(add, 1, c=3), name="half")
adder = agentrace.tool(Adder(4), name="adder")


class Shop:
    """Methods of every kind that are no plain functions."""

    calls = 0

    def __init__(self, name: str = "Kiosk") -> None:
        self.name = name

    @agentrace.tool
    @functools.lru_cache(maxsize=8)  # noqa: B019  (that is what is tested)
    def price(self, item: str) -> int:
        Shop.calls += 1
        return len(item)

    def sell(self, item: str, count: int = 1) -> str:
        return f"{self.name}: {count} {item}"

    sell_two = agentrace.tool(functools.partialmethod(sell, count=2))

    @agentrace.tool
    @functools.singledispatchmethod
    def pack(self, item: object) -> str:
        return f"{self.name} packs something"

    @pack.register
    def _(self, item: str) -> str:
        return f"{self.name} packs {item}"

    @property
    @agentrace.tool
    def sign(self) -> str:
        return self.name.upper()


class Custom:
    """A descriptor that is called with more than an instance."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return functools.partial(self, instance)

    def __call__(self, instance: Any, item: str) -> tuple[str, str]:
        return type(instance).__name__, item


class Keeper:
    keep = agentrace.tool(Custom(), name="keep")


def later(function: Callable[..., Awaitable[int]], loop: asyncio.AbstractEventLoop | None = None) -> Any:
    """A plain function that gives a task."""
    return asyncio.ensure_future(function(1), loop=loop)


@contextlib.contextmanager
def opened(name: str) -> Iterator[str]:
    """Open something."""
    yield f"{name} is open"


@contextlib.asynccontextmanager
async def connected(name: str) -> AsyncIterator[str]:
    """Connect to something."""
    await asyncio.sleep(0)
    yield f"{name} is connected"


MAKE: dict[str, Callable[[], Any]] = {
    "partial": lambda: functools.partial(add, 1, c=3),
    "partial of a partial": lambda: functools.partial(functools.partial(add, 1), c=3),
    "partial of an object": lambda: functools.partial(Adder(1), b=2),
    "partial of a coroutine function": lambda: functools.partial(fetch, 1),
    "partial of a generator function": lambda: functools.partial(count, 3),
    "partial of an async generator function": lambda: functools.partial(stream, 3),
    "cache": lambda: functools.lru_cache(maxsize=2)(add),
    "builtin": lambda: len,
    "method of a builtin": lambda: [3, 1].index,
    "bound method": lambda: Adder(1).again,
    "object": lambda: Adder(1),
    "object of coroutines": lambda: AsyncAdder(1),
    "object of generators": lambda: Counter(3),
    "object of async generators": lambda: Streamer(),
    "generic dataclass": lambda: Unhashable([1]),
}
"""How to make one of each, in a fresh state."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "function": add,
    "coroutine function": fetch,
    "generator function": count,
    "async generator function": stream,
    "context manager": opened,
    "async context manager": connected,
    "single dispatch": functools.singledispatch(add),
    "lambda": lambda a: a,
}
"""Plain functions, which stay plain functions."""

PREDICATES = (
    *(inspect.isfunction, inspect.ismethod, inspect.isbuiltin, inspect.isroutine, inspect.iscoroutinefunction),
    *(inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.isclass, asyncio.iscoroutinefunction),
    *(callable, inspect.isawaitable, inspect.ismethoddescriptor, inspect.isdatadescriptor),
)


def performed(called: Any, *args: Any) -> Any:
    """What a call comes to, whatever it gives first."""
    result = called(*args)
    if inspect.isawaitable(result):
        return asyncio.run(result)  # type: ignore[arg-type]
    if inspect.isasyncgen(result):

        async def all_of_it() -> list[Any]:
            return [item async for item in result]

        return asyncio.run(all_of_it())
    return list(result) if inspect.isgenerator(result) else result


GIVEN: dict[str, tuple[Any, ...]] = {
    "builtin": ("ab",),
    "method of a builtin": (1,),
    "bound method": (2,),
    "partial of an object": (),
    "generic dataclass": (2,),
    "cache": (1,),
}
