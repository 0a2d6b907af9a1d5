"""Flows: what a place looks like, and that an order which depends on timing is told as such."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import agentrace
from agentrace.testing import MemoryRecorder, recorded


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


@agentrace.tool
def work(number: int) -> int:
    return number


@agentrace.agent
async def agent(number: int) -> None:
    await asyncio.gather(*(asyncio.to_thread(work, number + more) for more in range(2)))
    work(9)


def places(record: MemoryRecorder) -> list[tuple[int, str, bool]]:
    """Of each step of ``work``: its argument, its place, and whether that is shared."""
    return sorted(
        (record.python(step.dispatched.input)["number"], step.path, step.dispatched.shared)
        for step in record.steps
        if step.name == "work"
    )


def test_places_tell_steps_tasks_and_threads(record: MemoryRecorder) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(agent(0))
            group.create_task(agent(2))

    asyncio.run(main())

    assert places(record) == [
        (0, "/task:0/agent#0/task:0/thread:0/work#0", False),
        (1, "/task:0/agent#0/task:1/thread:0/work#0", False),
        (2, "/task:1/agent#0/task:0/thread:0/work#0", False),
        (3, "/task:1/agent#0/task:1/thread:0/work#0", False),
        (9, "/task:0/agent#0/work#0", False),
        (9, "/task:1/agent#0/work#0", False),
    ]


def test_loops_one_after_the_other_share_nothing(record: MemoryRecorder) -> None:
    async def main(number: int) -> None:
        work(number)
        await asyncio.gather(asyncio.to_thread(work, number + 1))

    asyncio.run(main(0))
    work(2)
    asyncio.run(main(3))

    assert [shared for *_, shared in places(record)] == [False] * 5
    assert len({path for _, path, _ in places(record)}) == 5
    assert len({step.dispatched.loop for step in record.steps if step.dispatched.loop}) == 2


def test_steps_that_end_in_one_turn_of_the_loop_share_a_tick(record: MemoryRecorder) -> None:
    @agentrace.tool(name="at")
    async def at(turn: int) -> None:
        for _ in range(turn):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(at(1), at(1), at(3))
        await at(0)

    for _ in range(2):
        asyncio.run(main())

    ticks = [step.tick for step in record.steps]
    assert ticks[0] == ticks[1] < ticks[2] < ticks[3]
    assert ticks[4] == ticks[5] < ticks[6] < ticks[7]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_number_of_workers_of_a_pool_does_not_matter(workers: int, record: MemoryRecorder) -> None:
    with ThreadPoolExecutor(workers) as pool:
        assert sorted(pool.map(work, range(6))) == list(range(6))

    assert places(record) == [(number, f"/thread:{number}/work#0", False) for number in range(6)]


def test_a_job_leaves_nothing_in_its_worker(record: MemoryRecorder) -> None:
    with ThreadPoolExecutor(1) as pool:
        for number in range(3):
            with agentrace.step("block"):
                pool.submit(work, number).result()

    assert [step.path for step in record.steps if step.name == "work"] == [
        "/block#0/thread:0/work#0",
        "/block#1/thread:0/work#0",
        "/block#2/thread:0/work#0",
    ]


# --- what depends on timing ---------------------------------------------------------------------------------


def test_a_thread_that_was_there_before_is_told_to_be_shared() -> None:
    jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def serve() -> None:
        while (job := jobs.get()) is not None:
            done.put(job())

    worker = threading.Thread(target=serve)
    worker.start()
    with recorded() as record:
        work(0)
        for number in (1, 2):
            jobs.put(functools.partial(work, number))
            done.get()
        jobs.put(None)
        worker.join()

    assert [(number, shared) for number, _, shared in places(record)] == [(0, False), (1, True), (2, True)]
    assert len({path for _, path, _ in places(record)}) == 3


def test_a_context_that_is_used_in_several_threads_is_told_to_be_shared(record: MemoryRecorder) -> None:
    work(0)
    context = contextvars.copy_context()
    threads = [threading.Thread(target=context.copy().run, args=(work, number)) for number in (1, 2)]
    for thread in threads:
        thread.start()
        thread.join()

    assert [(number, shared) for number, _, shared in places(record)] == [(0, False), (1, True), (2, True)]
    assert len({path for _, path, _ in places(record)}) == 3


def test_tasks_that_the_loop_did_not_make_are_told_to_be_shared(record: MemoryRecorder) -> None:
    async def steps(number: int) -> None:
        work(number)
        await asyncio.sleep(0)
        work(number + 1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.Task(steps(number), loop=loop) for number in (0, 2)))

    asyncio.run(main())

    assert [shared for number, _, shared in places(record) if number in (1, 3)] == [True, True]


def test_a_context_of_the_programs_own_is_left_as_it_is(record: MemoryRecorder) -> None:
    mine: contextvars.ContextVar[int] = contextvars.ContextVar("mine")
    mine.set(1)
    context = contextvars.copy_context()
    mine.set(2)

    async def ask() -> int:
        work(0)
        return mine.get()

    async def main() -> int:
        return await asyncio.get_running_loop().create_task(ask(), context=context)

    assert asyncio.run(main()) == 1
    assert len(places(record)) == 1


def test_bare_threads_are_recorded(record: MemoryRecorder) -> None:
    import _thread

    done = threading.Event()
    _thread.start_new_thread(lambda: (work(1), done.set()), ())
    done.wait()
    work(0)

    assert len(places(record)) == 2


def test_a_thread_that_outlives_its_step_goes_on_in_its_place(record: MemoryRecorder) -> None:
    gate = threading.Event()

    def later() -> None:
        gate.wait()
        work(1)

    with agentrace.step("starts"):
        thread = threading.Thread(target=later)
        thread.start()
    gate.set()
    thread.join()

    assert places(record) == [(1, "/starts#0/thread:0/work#0", False)]


def test_a_thread_that_outlives_its_run_goes_on_in_the_process(record: MemoryRecorder) -> None:
    gate = threading.Event()

    def later() -> None:
        gate.wait()
        work(1)

    with agentrace.run("first"):
        thread = threading.Thread(target=later)
        thread.start()
    gate.set()
    thread.join()

    assert [len(run.steps) for run in record.runs] == [0, 1]
    assert [event.seq for event in record.runs[0].events] == [1, 2, 3]


def test_what_a_thread_gives_to_a_loop_is_told_by_the_thread(record: MemoryRecorder) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for number in range(2):
            asyncio.run_coroutine_threadsafe(agent(number), loop).result()
        work(2)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    assert places(record) == [
        (0, "/posted:0/task:0/agent#0/task:0/thread:0/work#0", False),
        (1, "/posted:0/task:0/agent#0/task:1/thread:0/work#0", False),
        (1, "/posted:1/task:0/agent#0/task:0/thread:0/work#0", False),
        (2, "/posted:1/task:0/agent#0/task:1/thread:0/work#0", False),
        (2, "/work#0", False),
        (9, "/posted:0/task:0/agent#0/work#0", False),
        (9, "/posted:1/task:0/agent#0/work#0", False),
    ]


def test_an_abandoned_generator_does_not_move_what_comes_after(record: MemoryRecorder) -> None:
    async def numbers() -> Any:
        for number in range(9):
            yield number

    async def main() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(0)
        await asyncio.create_task(agent(0))

    asyncio.run(main())

    assert places(record)[0][1] == "/task:0/agent#0/task:0/thread:0/work#0"
