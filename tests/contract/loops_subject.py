"""One program in the words of anyio, and the event loops that run it."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

import agentrace

_counter = itertools.count()


@agentrace.tool
async def look(number: int) -> int:
    await anyio.lowlevel.checkpoint()
    return next(_counter)


@agentrace.tool
def ask(number: int) -> int:
    return next(_counter)


@agentrace.tool
async def slow(number: int) -> int:
    await anyio.sleep(60)
    return number


@agentrace.agent
async def agent(number: int) -> int:
    first = await look(number)
    await anyio.to_thread.run_sync(ask, number + 10)
    return first


async def tasks() -> Any:
    seen: dict[int, int] = {}

    async def one(number: int) -> None:
        seen[number] = await agent(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(one, number)
    return seen, ask(99)


async def started() -> Any:
    async def serve(*, task_status: anyio.abc.TaskStatus[int]) -> None:
        task_status.started(await look(1))
        await look(2)

    async with anyio.create_task_group() as group:
        first = await group.start(serve)
    return first, ask(3)


async def timeouts() -> Any:
    with anyio.move_on_after(0.01) as scope:
        await slow(1)
    return scope.cancelled_caught, await look(2)


async def cancelled() -> Any:
    async with anyio.create_task_group() as group:
        group.start_soon(slow, 1)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return await look(2)


async def threads() -> Any:
    def inside() -> Any:
        return ask(1), anyio.from_thread.run(functools.partial(look, 2)), ask(3)

    return await anyio.to_thread.run_sync(inside)


async def channels() -> Any:
    send, receive = anyio.create_memory_object_stream[int](10)

    async def produce() -> None:
        async with send:
            for number in range(3):
                await send.send(await look(number))

    got = []
    async with anyio.create_task_group() as group:
        group.start_soon(produce)
        async with receive:
            async for item in receive:
                got.append((item, ask(0)))
    return got


async def streams() -> Any:
    @agentrace.tool
    async def count(to: int) -> Any:
        for number in range(to):
            await anyio.lowlevel.checkpoint()
            yield number

    early = []
    async for number in (numbers := count(9)):
        early.append(number)
        if number == 2:
            break
    await numbers.aclose()
    return early, [number async for number in count(3)]


async def subprocesses() -> Any:
    await look(1)
    done = await anyio.run_process([sys.executable, "-c", "print(7)"])
    return done.stdout, await look(2)


PROGRAMS: Final = (tasks, started, timeouts, cancelled, threads, channels, streams, subprocesses)
SEQUENTIAL: Final = (timeouts, streams, subprocesses)
"""Of them, those in which nothing goes on at the same time."""


def _asyncio(program: Callable[[], Any]) -> Any:
    return asyncio.run(program())


def _uvloop(program: Callable[[], Any]) -> Any:
    import uvloop

    return uvloop.run(program())


def _anyio(program: Callable[[], Any]) -> Any:
    return anyio.run(program)


def _trio(program: Callable[[], Any]) -> Any:
    return anyio.run(program, backend="trio")


LOOPS: Final = {"asyncio": _asyncio, "uvloop": _uvloop, "anyio": _anyio, "trio": _trio}
