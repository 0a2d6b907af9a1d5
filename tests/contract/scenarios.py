"""A scenario: one thing that programs do with a client, written once and run sync and async, live and replayed."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

from agentrace.errors import ReplayDivergence
from agentrace.integrations.declaration import Usage
from agentrace.testing import StubProvider
from agentrace.testing.server import App
from tests.contract.far_end import FarEnd, encoded, silent, stub
from tests.contract.leftovers import Abandoned, collecting_when_told, left_behind
from tests.contract.observed import observed


@dataclass(frozen=True)
class Expected:
    """One step that the record of a scenario has."""

    kind: str
    name: str
    operation: str
    outcome: str = "ok"
    statuses: tuple[int, ...] = (200,)
    """One for each exchange; 0 where there was no answer."""
    exchanges: str = "exhausted"
    """How the last exchange ended."""


@dataclass(frozen=True)
class Scenario:
    """What a program does, what the far end answers, and what is recorded of it."""

    name: str
    does: Callable[[World], Coroutine[Any, Any, Any]]
    steps: tuple[Expected, ...]
    tell: Callable[[StubProvider], object] = silent
    """What a stub provider answers."""
    app: Callable[[], App] | None = None
    """What answers instead of a stub provider."""
    encoding: str = ""
    """The content encoding of every answer."""
    only: Literal["", "sync", "async"] = ""
    verdict: str = "exact"
    """What a replay says of itself."""
    leaves: bool = False
    """Whether it abandons a stream in the middle: then what that leaves to the loop is compared. Of a stream that is
    read to its last event it depends on how its pieces came."""
    racing: bool = False
    """Whether it makes the same call several times at once, so that chance decides which of them gets which answer."""
    same_bytes: bool = True
    """Whether a replay carries as many bytes: not if they were compressed, or never on a wire."""
    needs: str = ""
    """What of the client it uses that not every supported version has, as a dotted name."""

    def answering(self) -> App:
        """A new app that answers as the scenario says."""
        app = self.app() if self.app is not None else stub(self.tell)
        return encoded(app, self.encoding) if self.encoding else app


@dataclass(frozen=True)
class Subject:
    """A client library under test: the parameter of the whole suite."""

    name: str
    http: ModuleType
    """The transport library that its clients are built on."""
    client: Callable[[World], Any]
    scenarios: tuple[Scenario, ...]
    key: str = ""
    """The secret that its clients send."""
    told: Callable[[bytes], dict[str, Any]] | None = None
    """What a provider's body says, where the calls are a model's: finish, text, and usage (see ``counts``)."""


def counts(usage: Usage) -> tuple[int, ...]:
    """The tokens of a call in the order in which a subject's ``told`` has them."""
    return usage.input_tokens, usage.output_tokens, usage.cache_read, usage.reasoning, usage.cache_write


def available(scenarios: tuple[Scenario, ...], client: object) -> tuple[Scenario, ...]:
    """The scenarios that ``client`` has what they need for, in the installed version."""
    return tuple(scenario for scenario in scenarios if not scenario.needs or _has(client, scenario.needs))


def _has(client: object, path: str) -> bool:
    for name in path.split("."):
        client = getattr(client, name, None)
    return client is not None


@dataclass
class World:
    """Where a scenario runs: its client, and the way to use a sync and an async client with the same words."""

    subject: Subject
    url: str
    asynchronous: bool
    far: FarEnd | None = None
    """What answers; on a replay nothing does."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the scenario noticed besides its result."""

    def __post_init__(self) -> None:
        self.http = self.subject.http
        self._made: list[Any] = []
        self.client = self.subject.client(self)

    def transport(self) -> Any:
        """A real transport, made quickly: TLS is not what is tested."""
        made = self.http.AsyncHTTPTransport if self.asynchronous else self.http.HTTPTransport
        return made(verify=False)

    def http_client(self, **options: Any) -> Any:
        """A client of the transport library."""
        made = self.http.AsyncClient if self.asynchronous else self.http.Client
        self._made.append(made(**{"transport": self.transport(), "trust_env": False, "timeout": 5.0, **options}))
        return self._made[-1]

    def closes(self, close: Callable[[], Any]) -> None:
        """Call ``close``, of either sort, in the end."""
        self._made.append(SimpleNamespace(close=close, aclose=close))

    async def of(self, result: Any) -> Any:
        """A result, awaited if it is to be."""
        return await result if inspect.isawaitable(result) else result

    async def each(self, items: Any) -> AsyncIterator[Any]:
        """The elements of an iterator of either sort."""
        if hasattr(items, "__aiter__"):
            async for item in items:
                yield item
        else:
            for item in items:
                yield item

    async def all(self, items: Any) -> list[Any]:
        """All of them."""
        return [item async for item in self.each(items)]

    async def first(self, items: Any, count: int) -> list[Any]:
        """The first few, leaving the iterator where it is."""
        if hasattr(items, "__anext__"):
            return [await items.__anext__() for _ in range(count)]
        return [next(items) for _ in range(count)]

    @asynccontextmanager
    async def inside(self, manager: Any) -> AsyncIterator[Any]:
        """A ``with`` or ``async with`` block."""
        if hasattr(manager, "__aenter__"):
            async with manager as entered:
                yield entered
        else:
            with manager as entered:
                yield entered

    async def asked(self) -> None:
        """Wait until the far end, which takes its time to answer, has a request, and the client waits for the answer."""
        if self.far is None:
            await asyncio.sleep(0.05)
        while self.far is not None and not self.far.passed:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.001)
        for _ in range(50):  # turns of the loop, of which the client needs a few to come from sending to waiting
            await asyncio.sleep(0)

    async def closed(self) -> None:
        """Close all clients."""
        for made in self._made:
            await self.of(made.aclose() if self.asynchronous else made.close())


@dataclass(frozen=True, repr=False)
class Case:
    """A scenario with a subject, sync or async."""

    subject: Subject
    scenario: Scenario
    asynchronous: bool

    def __repr__(self) -> str:
        return f"{self.subject.name}-{self.scenario.name}-{'async' if self.asynchronous else 'sync'}"


def cases(subjects: tuple[Subject, ...]) -> list[Case]:
    """Every scenario of every subject, sync and async."""
    return [
        Case(subject, scenario, asynchronous)
        for subject in subjects
        for scenario in subject.scenarios
        for asynchronous in (False, True)
        if scenario.only in ("", "async" if asynchronous else "sync")
    ]


def performed(case: Case, url: str, far: FarEnd | None = None) -> Any:
    """What the program sees of a scenario: its result or exception, and what is left behind in the process."""
    random.seed(20)
    world = World(case.subject, url, case.asynchronous, far)
    program = _program(case.scenario, world)
    seen = _in_a_loop(program) if case.asynchronous else _without_waiting(program)
    return {**seen, "notes": observed(world.notes), "random": random.random()}


def _in_a_loop(program: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, in a loop of its own."""
    with collecting_when_told(), asyncio.Runner() as runner:
        # Generators that are closed in an unlucky order make it complain, with us and without.
        runner.get_loop().set_exception_handler(lambda loop, context: None)
        return runner.run(asyncio.wait_for(program, 20))


async def _program(scenario: Scenario, world: World) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    abandoned = Abandoned() if scenario.leaves and world.asynchronous else None
    try:
        seen["result"] = observed(await scenario.does(world))
    except ReplayDivergence:
        raise
    except BaseException as error:
        seen["raised"] = observed(error)
    await world.closed()
    if abandoned is not None:
        seen["left"] = await left_behind(abandoned)
    if world.asynchronous:
        loop = asyncio.get_running_loop()
        seen["task factory"] = repr(loop.get_task_factory())
    return seen


def _without_waiting(program: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that only ever calls sync code."""
    try:
        program.send(None)
    except StopIteration as stop:
        return stop.value
    program.close()
    raise AssertionError("a sync client waited for an event loop")


def far_end(case: Case) -> FarEnd:
    """A server that has not been asked anything."""
    return FarEnd(case.scenario.answering())


Does = Callable[[World], Awaitable[Any]]
