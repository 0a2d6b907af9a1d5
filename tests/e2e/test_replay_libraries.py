"""The ways in which programs do several things at once, each with the real library: places and answers are the same."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvloop

import agentrace
from tests.e2e.place import PYTHON, Place
from tests.unit.replays import exact, record_of, replayed

_counter = itertools.count()
_chance = random.Random(7)


@agentrace.tool
async def look(given: Any) -> int:
    await asyncio.sleep(_chance.choice([0, 0.001, 0.002]))
    return next(_counter)


@agentrace.tool
def ask(given: Any) -> int:
    time.sleep(_chance.choice([0, 0.001, 0.002]))
    return next(_counter)


async def racing() -> Any:
    log: list[Any] = []

    async def agent(number: int) -> int:
        for _ in range(3):
            log.append((number, await look("same")))
        return number

    pending = {asyncio.create_task(agent(number)) for number in range(5)}
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return log


def test_uvloop() -> None:
    for _ in range(5):
        exact(lambda: uvloop.run(racing()))


def test_a_loop_of_another_kind_replays_it_too() -> None:
    seen, record = record_of(lambda: uvloop.run(racing()))
    again = replayed(record, lambda: asyncio.run(racing()))

    assert (again.seen, again.verdict) == (seen, "exact")


def test_anyio_task_groups_and_threads() -> None:
    async def program() -> Any:
        log: list[Any] = []

        async def agent(number: int) -> None:
            log.append((number, await look("same")))
            first = await anyio.to_thread.run_sync(ask, "same")
            second = await anyio.to_thread.run_sync(ask, "same")
            log.append((number, first, second))

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(agent, number)
        return sorted(log)

    for _ in range(5):
        exact(lambda: anyio.run(program))


def test_anyio_cancellation() -> None:
    async def program() -> Any:
        seen: list[Any] = []
        with anyio.move_on_after(0.03) as scope:
            seen.append(await look("a"))
            await anyio.sleep(0.2)
            seen.append(await look("b"))
        return seen, scope.cancelled_caught

    assert exact(lambda: anyio.run(program))[1] is True


def test_task_groups_that_fail() -> None:
    @agentrace.tool
    async def failing(number: int) -> int:
        await asyncio.sleep(0.002 if number == 1 else 5)
        raise ValueError(number)

    async def program() -> Any:
        tasks: list[asyncio.Task[int]] = []
        with pytest.raises(BaseExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                tasks += [group.create_task(failing(number)) for number in (3, 1, 2)]
        return sorted(map(repr, raised.value.exceptions)), [task.cancelled() for task in tasks]

    assert exact(program)[0] == ["ValueError(1)"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from Python 3.12 on")
def test_eager_tasks() -> None:
    async def program() -> Any:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009
        return await racing()

    for _ in range(5):
        exact(program)


def test_pools_and_threads_of_a_loop() -> None:
    async def program() -> Any:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            handed = [loop.run_in_executor(pool, ask, "same") for _ in range(4)]
            return await asyncio.gather(*handed, *(asyncio.to_thread(ask, "same") for _ in range(4)))

    for _ in range(5):
        exact(program)


# --- processes ----------------------------------------------------------------------------------------------

CHILDREN = """
    import multiprocessing, os, subprocess, sys
    import agentrace

    @agentrace.tool
    def stamp(number):
        return os.urandom(4).hex()

    def work(number, results):
        results.put((number, stamp(number), stamp(number)))

    def spawned(way):
        context = multiprocessing.get_context(way)
        results = context.Queue()
        children = [context.Process(target=work, args=(number, results)) for number in range(2)]
        for child in children:
            child.start()
        found = sorted(results.get() for _ in children)
        for child in children:
            child.join()
        return found

    if __name__ == "__main__":
        if sys.argv[1] == "child":
            print(stamp("child"))
        elif sys.argv[1] == "subprocess":
            for _ in range(2):
                print(subprocess.run([sys.executable, __file__, "child"], capture_output=True, text=True).stdout)
        else:
            print(spawned(sys.argv[1]))
        print(stamp("parent"))
"""


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver", "subprocess"])
def test_processes(way: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("agent.py", CHILDREN)
    recorded = place.run(PYTHON, "agent.py", way)
    assert recorded.code == 0, recorded

    replayed = place.replay("@last")

    assert replayed.out == recorded.out, replayed.err
    assert "agentrace: replay exact" in replayed.err
