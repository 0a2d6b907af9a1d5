"""What random agents do in an event loop, and how a whole program is run."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import agentrace
from tests.property.random_agents import (
    DOES,
    DOES_ASYNC,
    Flow,
    Node,
    call,
    in_thread,
    noted,
    run,
    run_async,
    seen_of,
)
from tests.property.random_world import ASYNC, SYNC, Failed, Refused, here, look, words, world


def _asyncio(node: Node, flow: Flow) -> None:
    noted()
    pooled, here.pooled = getattr(here, "pooled", False), False
    inside = Flow(flow.name, [], flow.noise)
    try:
        asyncio.run(run_async(Node("each", node.parts), inside))
    except Failed as error:
        inside.see(seen_of(error))
    finally:
        here.pooled = pooled
    flow.see((inside.together, inside.seen), apart=True)


async def _each_async(node: Node, flow: Flow) -> None:
    for part in node.parts:
        await run_async(part, flow)


async def _call_async(node: Node, flow: Flow) -> None:
    if node.name in SYNC:
        call(node, flow)
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
            flow.see(seen_of(task.exception()))


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
        return one.name, await asyncio.to_thread(in_thread, part, one)

    for ended in asyncio.as_completed([body(*given) for given in zip(node.parts, children, strict=True)]):
        name, holds = await ended
        together.append(name)
        if holds:
            world().noted()
    flow.see((together, [one.seen for one in children]))


def _tasks(node: Node, children: list[Flow]) -> list[Any]:
    return [run_async(part, one) for part, one in zip(node.parts, children, strict=True)]


DOES["asyncio"] = _asyncio
DOES_ASYNC.update(
    {
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
)


def noise(seed: int) -> Callable[[], None]:
    """Holds whoever calls it up now and then, so that another schedule comes about."""
    chance = random.Random(seed)

    def held_up() -> None:
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0, 0.001))

    return held_up


def seen(program: Node, schedule: int) -> Any:
    """What a program sees, under a schedule that may be another one each time."""
    random.seed(20)
    flow = Flow(noise=noise(schedule))
    run(program, flow)
    return flow.seen
