"""Answers and timers come in the iteration of their loop in which they came, whatever the pace of the replay."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest

import agentrace
from agentrace import events
from tests.unit.replays import exact, record_of, replayed

_counter = itertools.count()
_chance = random.Random(20)


@agentrace.tool
async def look(seconds: float) -> int:
    if seconds:
        await asyncio.sleep(seconds)
    return next(_counter)


@agentrace.tool
async def slow_to_stop(turns: int) -> int:
    """Takes some iterations to end when it is cancelled."""
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise
    return 0


@agentrace.tool
def ask(number: int) -> int:
    """Answers the second one when the result of the first has been taken."""
    if number:
        _taken.wait(10)
    return number


_taken = threading.Event()


async def counting(log: list[Any], turns: int) -> None:
    """Always has something to do."""
    for turn in range(turns):
        log.append(turn)
        await asyncio.sleep(0)


def test_an_answer_comes_between_the_same_turns_of_a_busy_task() -> None:
    async def program() -> Any:
        log: list[Any] = []
        busy = asyncio.create_task(counting(log, 200))
        for seconds in (0, 0.001, 0, 0.002):
            log.append(("answer", await look(seconds)))
        await busy
        return log

    for _ in range(3):
        exact(program)


def test_a_call_that_takes_its_time_to_be_cancelled_takes_it_again() -> None:
    async def program() -> Any:
        log: list[Any] = []
        stopping = asyncio.create_task(slow_to_stop(7))
        await look(0)
        await asyncio.sleep(0)
        busy = asyncio.create_task(counting(log, 20))
        stopping.cancel()
        try:
            await stopping
        except asyncio.CancelledError:
            log.append("stopped")
        await busy
        return log

    exact(program)


def test_a_result_that_is_taken_before_the_next_answer_is_taken_before_it_again() -> None:
    """Though the thread that takes it has only been told, when the next answer could be handed over."""

    def program() -> Any:
        log: list[Any] = []

        def job(number: int) -> int:
            found = ask(number)
            log.append(("answered", found))
            return found

        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(job, number) for number in range(2)]
            for future in as_completed(futures):
                log.append(("taken", future.result()))
                _taken.set()
        return log

    for _ in range(10):
        _taken.clear()
        seen, record = record_of(program)
        assert seen == [("answered", 0), ("taken", 0), ("answered", 1), ("taken", 1)]
        for _ in range(3):
            again = replayed(record, program)
            assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


@pytest.mark.parametrize("seconds", [0.02, 0.04])
def test_an_answer_comes_in_its_place_among_what_else_is_resumed_in_an_iteration(seconds: float) -> None:
    """Both timers are called in one iteration, in the order of their times."""

    async def program() -> Any:
        log: list[Any] = []

        async def calls() -> None:
            log.append(await look(seconds))

        async def sleeps() -> None:
            await asyncio.sleep(0.03)
            log.append("slept")

        both = [asyncio.create_task(calls()), asyncio.create_task(sleeps())]
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - both are due by then
        await asyncio.gather(*both)
        return log.index("slept"), len(log)

    for _ in range(3):
        assert exact(program) == (seconds == 0.02, 2)


def test_where_an_answer_came_in_its_iteration_is_told() -> None:
    async def program() -> None:
        async def others() -> None:
            await asyncio.sleep(0.08)

        tasks = [asyncio.create_task(others()) for _ in range(3)]
        calling = asyncio.create_task(look(0.02))
        await asyncio.sleep(0)
        time.sleep(0.15)  # noqa: ASYNC251
        await asyncio.gather(calling, *tasks)

    _, record = record_of(program)
    assert [
        step.ended.behind for step in record.trace.steps.values() if isinstance(step.ended, events.StepCompleted)
    ] == [3]
