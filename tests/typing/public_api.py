"""What type checkers see of the whole public API in real use; it is checked and never run."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar, assert_type, overload
from uuid import UUID

import agentrace
from agentrace import (
    AgentraceError,
    ASGIMiddleware,
    Codec,
    Recordings,
    ReplayDivergence,
    Status,
    WSGIMiddleware,
    agent,
    embedding,
    model,
    planner,
    retriever,
    run,
    safety,
    step,
    tool,
    trace,
    validator,
)
from agentrace.reading import (
    Branch,
    Error,
    Event,
    Exchange,
    Kind,
    Listing,
    Match,
    Message,
    Note,
    Run,
    Score,
    Step,
    Table,
)

T = TypeVar("T")

# --- functions keep what they are ---------------------------------------------------------------------------


@trace
def plain(a: int, b: str = "", *rest: float, c: bool = False, **more: bytes) -> list[str]:
    return [b]


@tool(name="named", effects="read", replay="answer", ignore=["b"], codec=Codec("x/1", bytes, bytes))
def with_options(a: int, b: str = "") -> list[str]:
    return [b]


assert_type(plain(1), list[str])
assert_type(plain(1, "b", 0.5, c=True, d=b""), list[str])
assert_type(with_options(1, b="b"), list[str])
assert_type(plain.__name__, str)


@agent
async def coroutine(a: int) -> str:
    return ""


@retriever(ignore=("client",))
async def coroutine_with_options(a: int, client: object = None) -> str:
    return ""


@planner
def generator(a: int) -> Generator[int, str, bytes]:
    yield 1
    return b""


@validator
def iterator(a: int) -> Iterator[int]:
    yield 1


@safety
async def async_generator(a: int) -> AsyncGenerator[int, str]:
    yield 1


@model
async def async_iterator(a: int) -> AsyncIterator[int]:
    yield 1


@embedding(effects="none")
def generic(items: Sequence[T], default: T) -> T:
    return items[0]


@overload
def overloaded(value: int) -> int: ...
@overload
def overloaded(value: str) -> str: ...
@tool
def overloaded(value: Any) -> Any:
    return value


@tool
@contextlib.contextmanager
def manager(name: str) -> Generator[int]:
    yield 1


@trace
@contextlib.asynccontextmanager
async def async_manager(name: str) -> AsyncGenerator[int]:
    yield 1


assert_type(generator(1), Generator[int, str, bytes])
assert_type(iterator(1), Iterator[int])
assert_type(async_generator(1), AsyncGenerator[int, str])
assert_type(async_iterator(1), AsyncIterator[int])
assert_type(generic([1.5], 2.5), float)
assert_type(generic(["a"], "b"), str)
assert_type(overloaded(1), int)
assert_type(overloaded("a"), str)


async def used() -> None:
    assert_type(await coroutine(1), str)
    assert_type(await coroutine_with_options(1, client=1), str)
    assert_type(await shop.deliver("tea"), bytes)
    awaited: Coroutine[Any, Any, str] = coroutine(1)
    awaited.close()
    async with async_manager("a") as value:
        assert_type(value, int)
    with manager("a") as value:
        assert_type(value, int)
    async for item in async_iterator(1):
        assert_type(item, int)


# --- classes ------------------------------------------------------------------------------------------------


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @tool
    def buy(self, item: str, count: int = 1) -> str:
        return item

    @tool(ignore=["client"])
    async def deliver(self, item: str, client: object = None) -> bytes:
        return b""

    @classmethod
    @tool
    def closed(cls, name: str) -> Shop:
        return cls(name)

    @staticmethod
    @tool
    def price(item: str) -> int:
        return 1

    @tool
    @classmethod
    def opened(cls, name: str) -> Shop:
        return cls(name)

    @tool
    @staticmethod
    def weight(item: str) -> int:
        return 1

    buy_two = tool(functools.partialmethod(buy, count=2))

    @tool
    @functools.cache  # noqa: B019  (that is what is tested)
    def cached(self, item: str) -> int:
        return 1

    @property
    @trace
    def sign(self) -> str:
        return self.name

    @tool
    def itself(self: Self_) -> Self_:
        return self


Self_ = TypeVar("Self_", bound=Shop)


class Stand(Shop):
    @tool
    def buy(self, item: str, count: int = 2) -> str:
        return super().buy(item, count)


shop = Stand("a")
assert_type(shop.buy("tea", count=2), str)
assert_type(Shop.buy(shop, "tea"), str)
assert_type(Shop.closed("a"), Shop)
assert_type(Shop.price("tea"), int)
assert_type(Shop.opened("a"), Shop)
assert_type(Shop.weight("tea"), int)
assert_type(shop.buy_two("tea"), str)
Shop.cached.cache_clear()
assert_type(shop.sign, str)
assert_type(shop.itself(), Stand)


class Adder:
    a = 1

    def __call__(self, b: int) -> int:
        return self.a + b


adder = tool(Adder(), name="adder")
assert_type(adder, Adder)
assert_type(adder(2), int)
half = tool(functools.partial(plain, 1))
assert_type(half(), list[str])
length: Callable[[str], int] = tool(len)


class Finder(Protocol):
    def __call__(self, query: str, *, limit: int = 3) -> list[str]: ...


@retriever
def find(query: str, *, limit: int = 3) -> list[str]:
    return []


finder: Finder = find
by_name: dict[str, Callable[[str], Any]] = {"find": find, "price": Shop.price}

# --- blocks, runs and values --------------------------------------------------------------------------------


async def blocks() -> None:
    with step("plan", kind="planner", input={"a": 1}) as planned:
        assert_type(planned, step)
        planned.output = [1]
    async with step("plan") as planned:
        planned.output = None
    with run("checkout", parent=agentrace.carry()) as checkout:
        assert_type(checkout, run)
        assert_type(checkout.id, str)
    async with run():
        pass


@run("nightly")
def nightly(a: int) -> str:
    return ""


assert_type(nightly(1), str)
assert_type(agentrace.carry(), str)
assert_type(agentrace.now(), datetime)
assert_type(agentrace.now(UTC), datetime)
assert_type(agentrace.now(None), datetime)
assert_type(agentrace.uuid4(), UUID)
assert_type(agentrace.random(), float)
assert_type(agentrace.getenv("HOME"), str | None)
assert_type(agentrace.getenv("HOME", "x"), str)
assert_type(agentrace.input("> "), str)
version: str = agentrace.__version__

agentrace.init()
agentrace.init(home="store", workflow="checkout", tools=["shop:*"], on_error="raise", durability="power")
agentrace.flush()
agentrace.shutdown()
assert_type(agentrace.status(), Status)
assert_type(agentrace.status().recording, bool)
assert_type(agentrace.status().faults, int)

with agentrace.replay("0192f0c1"):
    pass

try:
    plain(1)
except AgentraceError as error:
    assert_type(error.slug, str)
    assert_type(error.do, str)
except ReplayDivergence as divergence:
    assert_type(divergence.code, str)


# --- servers ------------------------------------------------------------------------------------------------


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    pass


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    return []


wrapped = ASGIMiddleware(asgi)
wrapped_wsgi = WSGIMiddleware(wsgi)
agentrace.load_ipython_extension(object())
agentrace.unload_ipython_extension(object())

codec = Codec("picture/1", encode=repr, decode=eval)
assert_type(codec, Codec)
assert_type(codec.name, str)


# --- reading ------------------------------------------------------------------------------------------------

kinds: list[Kind] = ["model", "tool"]
with agentrace.open() as recordings:
    assert_type(recordings, Recordings)
    assert_type(recordings.path, Path)
    assert_type(recordings.run(), Run)
    assert_type(recordings["@last~2"], Run)
    assert_type(recordings.step("@last:7"), Step)
    assert_type(recordings.runs(status="failed", since=timedelta(days=1), tag=["eu"], limit=5), Listing[Run])
    assert_type(recordings.runs(status=["failed", "aborted"], until=datetime.now(UTC), text="refund")[0], Run)
    assert_type(recordings.runs()[:3], Sequence[Run])
    assert_type(recordings.steps(kind=kinds, status="ok", model="mini"), Listing[Step])
    assert_type(recordings.messages(role="user"), Listing[Message])
    assert_type(recordings.events(type="Scored"), Listing[Event])
    assert_type(recordings.search("refund"), Listing[Match])
    assert_type(recordings.sql("SELECT 1 AS one WHERE 1 < $least", least=2), Table)
    assert_type(recordings.sql("SELECT 1 AS one")[0], dict[str, Any])
    assert_type([one.name for one in recordings], list[str])
    assert_type(len(recordings), int)

recorded = agentrace.open("shop.agentrace").run("checkout")
assert_type(recorded.run_id, str)
assert_type(recorded.started, datetime | None)
assert_type(recorded.duration, timedelta | None)
assert_type(recorded.usage.input_tokens, int)
assert_type(recorded.replayable, bool)
assert_type(recorded.tags, Sequence[str])
assert_type(recorded.children, Sequence[Run])
assert_type(recorded.tree(), Sequence[Branch])
assert_type(recorded.notes, Sequence[Note])
assert_type(recorded.scores[0], Score)
called = recorded.steps(kind="tool", name="look*").to_dicts()
assert_type(called, list[dict[str, Any]])
one = recorded.step(1)
assert_type(one.parent, Step | None)
assert_type(one.children, Sequence[Step])
assert_type(one.error, str)
assert_type(one.exception, Error | None)
assert_type(one.first_chunk, timedelta | None)
assert_type(one.exchanges, Sequence[Exchange])
assert_type(one.messages[0].tool_calls[0].name, str)
agentrace.open(Path("store")).close()
agentrace.open(home="store").close()
