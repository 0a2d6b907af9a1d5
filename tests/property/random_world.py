"""The world that random agents reach: tools whose answers are others each time, and come after a while.

Equal calls get different answers, and whatever races comes out differently each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, NamedTuple

import agentrace


class Refused(Exception):
    """What a tool raises now and then."""


class Failed(Exception):
    """What the program itself raises."""


class Asked(NamedTuple):
    """What the world was asked."""

    name: str
    given: Any
    since: float
    """When, in seconds of the monotonic clock."""
    until: float
    """When it was answered."""
    answer: Any
    """A ``Refused`` if it did not."""

    @property
    def signature(self) -> str:
        """What a recorder knows of the call before it is answered."""
        return repr((self.name, self.given))

    def beside(self, other: Asked) -> bool:
        """Whether both were being asked at the same time."""
        return self.since < other.until and other.since < self.until


class World:
    """What the tools reach. Of a replay there is none."""

    def __init__(self, seed: int, slowest: float = 0.003) -> None:
        self._chance = random.Random(seed)
        self._slowest = slowest
        self._lock = threading.Lock()
        self._turn = threading.Semaphore()
        self.asked: list[Asked] = []

    def delay(self) -> float:
        """Seconds until an answer comes, often none."""
        with self._lock:
            return self._chance.choice([0, 0, self._chance.uniform(0, self._slowest)])

    def answer(self, name: str, given: Any, since: float) -> Any:
        """The next answer, whatever is asked."""
        with self._lock:
            number = len(self.asked)
            refused = self._chance.random() < 0.12
            found = Refused(name, number) if refused else _SHAPES[number % len(_SHAPES)](number)
            self.asked.append(Asked(name, given, since, time.monotonic(), found))
        if isinstance(found, Refused):
            raise found
        return found

    def elements(self) -> int:
        """How many elements a stream has."""
        with self._lock:
            return self._chance.randrange(5)

    # The record knows in which order the calls of threads ended, and not what else threads did in that moment. So the
    # programs do what programs do whose threads share something: nothing else is answered until it has been noted.

    def thread_waits(self) -> None:
        """A thread of a pool is answered now."""
        self._turn.acquire()
        here.holds = True

    def thread_goes_on(self) -> None:
        """It has noted its answer."""
        if getattr(here, "holds", False):
            here.holds = False
            self._turn.release()

    def hand_on(self) -> bool:
        """Somebody else will note it; whether there is anything."""
        holds = getattr(here, "holds", False)
        here.holds = False
        return holds

    def noted(self) -> None:
        """Somebody else has."""
        self._turn.release()


_SHAPES: list[Callable[[int], Any]] = [
    lambda n: n,
    lambda n: f"answer {n}",
    lambda n: {"n": n, "items": [n, None, True]},
    lambda n: (n, f"{n}", 0.5),
    lambda n: None if n % 3 else {n, n + 1},
    lambda n: f"{n}".encode(),
]
here = threading.local()
_world: World | None = None
"""``None`` on a replay: a tool that runs then fails the test."""


def world() -> World:
    """What the tools reach."""
    assert _world is not None, "a tool was executed on a replay"
    return _world


def world_or_none() -> World | None:
    """What the tools reach, if this is no replay."""
    return _world


@contextlib.contextmanager
def reaching(reached: World | None) -> Iterator[World | None]:
    """What the tools of this process reach in the block."""
    global _world
    before, _world = _world, reached
    try:
        yield reached
    finally:
        _world = before


def _answered(name: str, given: Any) -> Any:
    since, reached = time.monotonic(), world()
    reached.thread_goes_on()
    time.sleep(reached.delay())
    if getattr(here, "pooled", False):
        reached.thread_waits()
    random.random()  # a tool that uses the program's own generator of random numbers
    return reached.answer(name, given, since)


async def _answered_later(name: str, given: Any) -> Any:
    since, reached = time.monotonic(), world()
    delay = reached.delay()
    if delay:
        await asyncio.sleep(delay)
    return reached.answer(name, given, since)


@agentrace.tool
def ask(given: Any) -> Any:
    return _answered("ask", given)


@agentrace.retriever
def fetch(given: Any) -> Any:
    return _answered("fetch", given)


@agentrace.tool
async def look(given: Any) -> Any:
    return await _answered_later("look", given)


@agentrace.model
async def think(given: Any) -> Any:
    return await _answered_later("think", given)


@agentrace.tool
def pages(given: Any) -> Iterator[Any]:
    for _ in range(world().elements()):
        yield _answered("pages", given)


@agentrace.tool
async def words(given: Any) -> AsyncIterator[Any]:
    for _ in range(world().elements()):
        yield await _answered_later("words", given)


@agentrace.tool
def talk(given: Any) -> Generator[Any, Any, Any]:
    said = given
    try:
        for _ in range(world().elements()):
            said = yield _answered("talk", said)
    except Failed:
        said = yield _answered("talk", "failed")
    return _answered("talk", said)


SYNC = {"ask": ask, "fetch": fetch}
ASYNC = {"look": look, "think": think}
