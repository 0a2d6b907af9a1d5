"""Random agent programs: what they may do, and how they are run.

A program is a tree of nodes. Its tools ask a world that answers differently each time, after a while, so that equal
calls get different answers and whatever races comes out differently each time. What a program sees is kept in the order
in which it sees it: each flow keeps its own, and what shares a loop or a pool keeps what is seen there by whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from msgspec import Struct

import agentrace

SEEN = -1
"""As ``given``: the call is asked about what the flow saw last, not about a number."""


class Node(Struct, omit_defaults=True):
    """One thing that a program does."""

    do: str
    parts: list[Node] = []
    name: str = ""
    given: Any = 0
    number: int = 0


class Refused(Exception):
    """What a tool raises now and then."""


class Failed(Exception):
    """What the program itself raises."""


# --- the world --------------------------------------------------------------------------------------------------


class World:
    """What the tools reach. Of a replay there is none."""

    def __init__(self, seed: int, slowest: float = 0.003) -> None:
        self._chance = random.Random(seed)
        self._slowest = slowest
        self._lock = threading.Lock()
        self._turn = threading.Semaphore()
        self.asked: list[tuple[str, Any, float, float]] = []
        """What was asked, when, and when it was answered."""

    def delay(self) -> float:
        """Seconds until an answer comes, often none."""
        with self._lock:
            return self._chance.choice([0, 0, self._chance.uniform(0, self._slowest)])

    def answer(self, name: str, given: Any, since: float) -> Any:
        """The next answer, whatever is asked."""
        with self._lock:
            number = len(self.asked)
            self.asked.append((name, given, since, time.monotonic()))
            if self._chance.random() < 0.12:
                raise Refused(name, number)
            return _SHAPES[number % len(_SHAPES)](number)

    def elements(self) -> int:
        """How many elements a stream has."""
        with self._lock:
            return self._chance.randrange(5)

    # The record knows in which order the calls of threads ended, and not what else threads did in that moment. So the
    # programs do what programs do whose threads share something: nothing else is answered until it has been noted.

    def thread_waits(self) -> None:
        """A thread of a pool is answered now."""
        self._turn.acquire()
        _here.holds = True

    def thread_goes_on(self) -> None:
        """It has noted its answer."""
        if getattr(_here, "holds", False):
            _here.holds = False
            self._turn.release()

    def hand_on(self) -> bool:
        """Somebody else will note it; whether there is anything."""
        holds = getattr(_here, "holds", False)
        _here.holds = False
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
_here = threading.local()
_world: World | None = None
"""``None`` on a replay: a tool that runs then fails the test."""


def world() -> World:
    """What the tools reach."""
    assert _world is not None, "a tool was executed on a replay"
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
    if getattr(_here, "pooled", False):
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
TOOLS: dict[str, Any] = {**SYNC, **ASYNC}


# --- programs ---------------------------------------------------------------------------------------------------


class Flow:
    """A sequence of things that a program does, and what it saw."""

    def __init__(self, name: str = "", together: list[Any] | None = None, noise: Callable[[], None] = lambda: None):
        self.name = name
        self.seen: list[Any] = []
        self.together = together
        """What was seen by all flows of the same loop or pool."""
        self.noise = noise
        self.noted = 0
        """How much had been seen there when this flow last saw something."""

    def see(self, what: Any, *, apart: bool = False) -> None:
        """Note what was seen; ``apart`` if a thread has not just been answered, so that others may note things too."""
        self.seen.append(what)
        if self.together is not None and not (apart and getattr(_here, "pooled", False)):
            self.together.append((self.name, what))
            self.noted = len(self.together)

    def given(self, node: Node) -> Any:
        """What a call is asked about."""
        if node.given != SEEN:
            return node.given
        return {"of": self.noted, "last": repr(self.seen[-1:])}

    def children(self, node: Node, together: list[Any] | None) -> list[Flow]:
        """A flow for each part."""
        return [Flow(f"{self.name}{at}", together, self.noise) for at in range(len(node.parts))]


def seen_of(error: BaseException) -> tuple[str, str]:
    """An exception as what a program saw."""
    return type(error).__name__, repr(error.args)


def run(node: Node, flow: Flow) -> None:
    """Do what ``node`` says in this thread."""
    flow.noise()
    _SYNC[node.do](node, flow)


async def run_async(node: Node, flow: Flow) -> None:
    """Do what ``node`` says in this task."""
    flow.noise()
    doing = _ASYNC.get(node.do)
    if doing is not None:
        await doing(node, flow)
    else:
        _SYNC[node.do](node, flow)


def _each(node: Node, flow: Flow) -> None:
    for part in node.parts:
        run(part, flow)


def _call(node: Node, flow: Flow) -> None:
    try:
        flow.see(SYNC[node.name](flow.given(node)))
    except Refused as error:
        flow.see(seen_of(error))


def _retry(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        try:
            flow.see(SYNC[node.name](node.given))
            break
        except Refused as error:
            flow.see(str(error))
            time.sleep(0)


def _loop(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        _each(node, flow)


def _branch(node: Node, flow: Flow) -> None:
    """The next step depends on what was seen last."""
    last = repr(flow.seen[-1:])
    run(node.parts[len(last) % len(node.parts)], flow)


def _raise(node: Node, flow: Flow) -> None:
    raise Failed(node.number)


def _try(node: Node, flow: Flow) -> None:
    try:
        _each(node, flow)
    except Failed as error:
        flow.see(seen_of(error), apart=True)


def _agent(node: Node, flow: Flow) -> None:
    @agentrace.agent(name=node.name)
    def inside() -> int:
        _each(node, flow)
        return len(flow.seen)

    flow.see(inside(), apart=True)


def _stream(node: Node, flow: Flow) -> None:
    """Read some elements, and close the stream early if there are more."""
    stream = pages(flow.given(node))
    try:
        for _, element in zip(range(node.number), stream, strict=False):
            flow.see(element)
    except Refused as error:
        flow.see(seen_of(error))
    finally:
        stream.close()  # type: ignore[attr-defined]


def _talk(node: Node, flow: Flow) -> None:
    """Drive a generator from outside: ask, send, throw, close."""
    talking = talk(flow.given(node))
    try:
        flow.see(next(talking))
        for at in range(node.number):
            flow.see(talking.send(f"said {at}"))
        if node.number % 2:
            flow.see(talking.throw(Failed(at)))
    except StopIteration as over:
        flow.see(("returned", over.value))
    except (Refused, Failed) as error:
        flow.see(seen_of(error))
    finally:
        talking.close()


def _value(node: Node, flow: Flow) -> None:
    values: list[Callable[[], Any]] = [agentrace.now, agentrace.uuid4, agentrace.random]
    if getattr(_here, "pooled", False) and _world is not None:
        _world.thread_goes_on()
        _world.thread_waits()
    flow.see(values[node.number % 3]())


def _dice(node: Node, flow: Flow) -> None:
    flow.see(random.random())


def _pool(node: Node, flow: Flow) -> None:
    """Threads of a pool, whose results are taken as they complete."""
    _noted()
    together: list[Any] = []
    children = flow.children(node, together)
    with ThreadPoolExecutor(node.number) as pool:
        futures = {pool.submit(_in_thread, part, one): one for part, one in zip(node.parts, children, strict=True)}
        for future in as_completed(futures):
            together.append(futures[future].name)
            if future.result():
                world().noted()
    flow.see((together, [one.seen for one in children]), apart=True)


def _threads(node: Node, flow: Flow) -> None:
    """Threads that put what they have into a queue."""
    _noted()
    together: list[Any] = []
    children = flow.children(node, together)
    done: queue.Queue[tuple[str, bool]] = queue.Queue()

    def body(part: Node, one: Flow) -> None:
        holds = False
        try:
            holds = _in_thread(part, one)
        finally:
            done.put((one.name, holds))

    threads = [threading.Thread(target=body, args=given) for given in zip(node.parts, children, strict=True)]
    for thread in threads:
        thread.start()
    for _ in threads:
        name, holds = done.get()
        together.append(name)
        if holds:
            world().noted()
    for thread in threads:
        thread.join()
    flow.see((together, [one.seen for one in children]), apart=True)


def _in_thread(node: Node, flow: Flow) -> bool:
    """The inside of a thread; whether its end is still to be noted."""
    _here.pooled = True
    try:
        run(node, flow)
    except Failed as error:
        flow.see(seen_of(error), apart=True)
    finally:
        _call(Node("call", name="ask", given="the end"), flow)
        _here.pooled = False
    return _world is not None and _world.hand_on()


def _noted() -> None:
    """What this thread was answered has been noted."""
    if _world is not None:
        _world.thread_goes_on()


def _asyncio(node: Node, flow: Flow) -> None:
    _noted()
    pooled, _here.pooled = getattr(_here, "pooled", False), False
    inside = Flow(flow.name, [], flow.noise)
    try:
        # A loop is known by its calls, so its timers are from its first call on.
        asyncio.run(run_async(Node("each", [Node("call", name="look"), *node.parts]), inside))
    except Failed as error:
        inside.see(seen_of(error))
    finally:
        _here.pooled = pooled
    flow.see((inside.together, inside.seen), apart=True)


# --- in an event loop -------------------------------------------------------------------------------------------


async def _each_async(node: Node, flow: Flow) -> None:
    for part in node.parts:
        await run_async(part, flow)


async def _call_async(node: Node, flow: Flow) -> None:
    if node.name in SYNC:
        _call(node, flow)
        return
    try:
        flow.see(await ASYNC[node.name](flow.given(node)))
    except Refused as error:
        flow.see(seen_of(error))


async def _retry_async(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        try:
            flow.see(await look(node.given))
            break
        except Refused as error:
            flow.see(str(error))
            await asyncio.sleep(0)


async def _loop_async(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        await _each_async(node, flow)


async def _branch_async(node: Node, flow: Flow) -> None:
    last = repr(flow.seen[-1:])
    await run_async(node.parts[len(last) % len(node.parts)], flow)


async def _try_async(node: Node, flow: Flow) -> None:
    try:
        await _each_async(node, flow)
    except Failed as error:
        flow.see(seen_of(error))


async def _agent_async(node: Node, flow: Flow) -> None:
    @agentrace.agent(name=node.name)
    async def inside() -> int:
        await _each_async(node, flow)
        return len(flow.seen)

    flow.see(await inside())


async def _stream_async(node: Node, flow: Flow) -> None:
    stream = words(flow.given(node))
    try:
        at = 0
        async for element in stream:
            flow.see(element)
            at += 1
            if at >= node.number:
                break
    except Refused as error:
        flow.see(seen_of(error))
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def _spin(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        await asyncio.sleep(0)


async def _gather(node: Node, flow: Flow) -> None:
    children = flow.children(node, flow.together)
    ended = await asyncio.gather(*_tasks(node, children), return_exceptions=True)
    flow.see([None if one is None else seen_of(one) for one in ended])


async def _group(node: Node, flow: Flow) -> None:
    """One that fails cancels the others."""
    children = flow.children(node, flow.together)
    try:
        async with asyncio.TaskGroup() as group:
            for part, one in zip(node.parts, children, strict=True):
                group.create_task(run_async(part, one))
    except* Failed as failed:
        flow.see([seen_of(error) for error in failed.exceptions])
    flow.see([one.seen for one in children])


async def _first(node: Node, flow: Flow) -> None:
    """The first that completes wins; the others are cancelled."""
    children = flow.children(node, flow.together)
    tasks = [asyncio.ensure_future(one) for one in _tasks(node, children)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    flow.see([at for at, task in enumerate(tasks) if task in done])
    for task in pending:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    flow.see([None if one is None else seen_of(one) for one in ended])


async def _rounds(node: Node, flow: Flow) -> None:
    """What has completed is taken, until nothing is left."""
    children = flow.children(node, flow.together)
    tasks = [asyncio.ensure_future(one) for one in _tasks(node, children)]
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        flow.see([at for at, task in enumerate(tasks) if task in done])
    for task in tasks:
        if task.exception() is not None:
            flow.see(seen_of(task.exception()))  # type: ignore[arg-type]


async def _completed(node: Node, flow: Flow) -> None:
    children = flow.children(node, flow.together)
    for task in asyncio.as_completed(_tasks(node, children)):
        try:
            await task
            flow.see("one more")
        except Failed as error:
            flow.see(seen_of(error))


async def _timeout(node: Node, flow: Flow) -> None:
    try:
        async with asyncio.timeout(node.number / 2000):
            await _each_async(node, flow)
        flow.see("in time")
    except TimeoutError:
        flow.see("too late")


async def _queue(node: Node, flow: Flow) -> None:
    """Some produce, one consumes and asks about each."""
    children = flow.children(node, flow.together)
    items: asyncio.Queue[Any] = asyncio.Queue()

    async def produce(part: Node, one: Flow) -> None:
        try:
            await run_async(part, one)
        except Failed as error:
            one.see(seen_of(error))
        await items.put((one.name, repr(one.seen)))

    producers = [asyncio.ensure_future(produce(*given)) for given in zip(node.parts, children, strict=True)]
    for _ in producers:
        item = await items.get()
        try:
            flow.see((item, await look(item)))
        except Refused as error:
            flow.see(seen_of(error))
    await asyncio.gather(*producers)


async def _limit(node: Node, flow: Flow) -> None:
    """Only so many at a time."""
    children = flow.children(node, flow.together)
    limit = asyncio.Semaphore(max(1, node.number))

    async def limited(part: Node, one: Flow) -> None:
        async with limit:
            await run_async(part, one)

    parts = [limited(*given) for given in zip(node.parts, children, strict=True)]
    ended = await asyncio.gather(*parts, return_exceptions=True)
    flow.see([None if one is None else seen_of(one) for one in ended])


async def _to_thread(node: Node, flow: Flow) -> None:
    """Threads whose results are taken in a loop as they complete."""
    together: list[Any] = []
    children = flow.children(node, together)

    async def body(part: Node, one: Flow) -> tuple[str, bool]:
        return one.name, await asyncio.to_thread(_in_thread, part, one)

    for ended in asyncio.as_completed([body(*given) for given in zip(node.parts, children, strict=True)]):
        name, holds = await ended
        together.append(name)
        if holds:
            world().noted()
    flow.see((together, [one.seen for one in children]))


def _tasks(node: Node, children: list[Flow]) -> list[Any]:
    return [run_async(part, one) for part, one in zip(node.parts, children, strict=True)]


_SYNC: dict[str, Callable[[Node, Flow], None]] = {
    "agent": _agent,
    "asyncio": _asyncio,
    "branch": _branch,
    "call": _call,
    "dice": _dice,
    "each": _each,
    "loop": _loop,
    "pool": _pool,
    "raise": _raise,
    "retry": _retry,
    "stream": _stream,
    "talk": _talk,
    "threads": _threads,
    "try": _try,
    "value": _value,
}
_ASYNC: dict[str, Callable[[Node, Flow], Any]] = {
    "agent": _agent_async,
    "branch": _branch_async,
    "call": _call_async,
    "completed": _completed,
    "each": _each_async,
    "first": _first,
    "gather": _gather,
    "group": _group,
    "limit": _limit,
    "loop": _loop_async,
    "queue": _queue,
    "retry": _retry_async,
    "rounds": _rounds,
    "spin": _spin,
    "stream": _stream_async,
    "timeout": _timeout,
    "to_thread": _to_thread,
    "try": _try_async,
}


# --- chance -----------------------------------------------------------------------------------------------------


class Maker:
    """Makes programs by chance."""

    def __init__(self, seed: int, size: int = 14) -> None:
        self._chance = random.Random(seed)
        self._left = size

    def program(self) -> Node:
        """A program."""
        parts = [self.part(is_async=False, depth=0) for _ in range(self._chance.randint(2, 4))]
        return Node("each", [*parts, Node("asyncio", [self.part(is_async=True, depth=0)])])

    def part(self, *, is_async: bool, depth: int, beside: bool = False) -> Node:
        """Something that a program does; ``beside`` others in the same loop."""
        chance = self._chance
        if depth > 3 or self._left <= 0 or chance.random() < 0.3:
            return self._leaf(is_async)
        kinds = _MAY_ASYNC if is_async else _MAY
        # When the result of a thread comes into a loop is not recorded: only that of the call that the thread made.
        do = chance.choice([kind for kind in kinds if not (beside and kind == "to_thread")])
        inside_async = (is_async and do != "to_thread") or do == "asyncio"
        is_beside = inside_async and (beside or do == "timeout" or do not in _ONE_FLOW)
        count = chance.randint(1, 2) if do in _ONE_FLOW else chance.randint(2, 4)
        parts = [self.part(is_async=inside_async, depth=depth + 1, beside=is_beside) for _ in range(count)]
        if do in ("group", "try", "rounds") and chance.random() < 0.4:
            at = chance.randrange(len(parts))
            parts[at] = Node("each", [parts[at], Node("raise", number=at)])
            if do == "rounds":
                return Node("try", [Node(do, parts, number=chance.randint(1, 6))])
        return Node(do, parts, name=f"agent{depth}", number=chance.randint(1, 6))

    def _leaf(self, is_async: bool) -> Node:
        chance = self._chance
        self._left -= 1
        do = chance.choice(_LEAVES_ASYNC if is_async else _LEAVES)
        names = [*SYNC] if not is_async or chance.random() < 0.1 else [*ASYNC]
        given = chance.choice([0, 0, 0, 1, SEEN])
        return Node(do, name=chance.choice(names), given=0 if do == "retry" else given, number=chance.randint(1, 4))


_ONE_FLOW = frozenset({"agent", "asyncio", "branch", "each", "loop", "timeout", "try"})
_MAY = ["agent", "asyncio", "branch", "each", "loop", "pool", "threads", "try"]
_MAY_ASYNC = [
    *("agent", "branch", "each", "loop", "to_thread", "try"),
    *("completed", "first", "gather", "group", "limit", "queue", "rounds", "timeout"),
]
_LEAVES = ["call", "call", "call", "retry", "stream", "talk", "value"]
_LEAVES_ASYNC = ["call", "call", "call", "call", "retry", "spin", "stream", "value"]
