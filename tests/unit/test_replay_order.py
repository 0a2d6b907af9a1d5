"""Calls that end at the same time end in the recorded order again, and a program that cannot get there never hangs."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import agentrace
from tests.unit.replays import exact, record_of, replayed

_counter = itertools.count()
_chance = random.Random(20)


def some_time() -> float:
    """Now and then none at all."""
    return _chance.choice([0, 0, 0.001, 0.003])


@agentrace.tool
async def look(given: Any) -> int:
    delay = some_time()
    if delay:
        await asyncio.sleep(delay)
    return next(_counter)


@agentrace.tool
def ask(given: Any) -> int:
    time.sleep(some_time())
    return next(_counter)


@agentrace.tool
async def slow(given: Any, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return next(_counter)


@agentrace.tool
async def words(name: str) -> AsyncIterator[str]:
    for number in range(4):
        await asyncio.sleep(some_time())
        yield f"{name}{number}"


async def agent(log: list[Any], number: int) -> int:
    for _ in range(3):
        log.append((number, await look("same")))
    return number


def test_the_first_to_end_is_the_first_again() -> None:
    async def program() -> Any:
        log: list[Any] = []
        pending = {asyncio.create_task(agent(log, number)) for number in range(8)}
        rounds: list[list[int]] = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            rounds.append(sorted(task.result() for task in done))
        return log, rounds

    for _ in range(12):
        exact(program)


def test_what_completes_comes_in_the_recorded_order() -> None:
    async def program() -> Any:
        log: list[Any] = []
        order = [await one for one in asyncio.as_completed([agent(log, number) for number in range(6)])]
        return log, order

    for _ in range(8):
        exact(program)


def test_a_timer_that_won_wins_again() -> None:
    async def program() -> Any:
        call = asyncio.create_task(slow("x", 0.05))
        timer = asyncio.create_task(asyncio.sleep(0.01))
        done, _ = await asyncio.wait({call, timer}, return_when=asyncio.FIRST_COMPLETED)
        return call in done, await call

    assert exact(program)[0] is False


def test_a_timer_that_lost_loses_again() -> None:
    async def program() -> Any:
        timer = asyncio.create_task(asyncio.sleep(0.2))
        call = asyncio.create_task(slow("x", 0.01))
        done, _ = await asyncio.wait({call, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        return call in done

    assert exact(program) is True


def test_a_timeout_that_won_wins_again_and_one_that_lost_loses() -> None:
    async def program() -> Any:
        seen: list[Any] = []
        for seconds in (0.001, 0.2):
            try:
                seen.append(await asyncio.wait_for(slow("x", seconds), 0.05))
            except TimeoutError:
                seen.append("timeout")
        return seen

    assert exact(program)[1] == "timeout"


def test_threads_go_on_in_the_recorded_order() -> None:
    def program() -> Any:
        log: list[Any] = []

        def work(number: int) -> None:
            for _ in range(4):
                log.append((number, ask("same")))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return log

    for _ in range(8):
        exact(program)


def test_jobs_of_a_pool_go_on_in_the_recorded_order() -> None:
    def program() -> Any:
        log: list[Any] = []

        def work(number: int) -> None:
            log.append((number, ask("same"), ask("same")))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(9)))
        return log

    for _ in range(8):
        exact(program)


def test_streams_interleave_as_they_did() -> None:
    async def program() -> Any:
        log: list[str] = []

        async def read(name: str) -> None:
            async for word in words(name):
                log.append(word)

        await asyncio.gather(*map(read, "abc"))
        return log

    for _ in range(8):
        exact(program)


def test_the_order_can_be_left_free() -> None:
    async def program() -> Any:
        return await asyncio.gather(*(look(number) for number in range(4)))

    seen, record = record_of(program)
    again = replayed(record, program, order="free")

    assert (again.seen, again.verdict) == (seen, "exact")


def test_an_order_that_cannot_be_reached_is_relaxed_and_told() -> None:
    """In the replay the second call waits for the first, which in the recorded run ended after it."""

    async def program(chained: bool = False) -> Any:
        first = asyncio.create_task(slow("a", 0.02))

        async def second() -> int:
            if chained:
                await first
            return await slow("b", 0.001)

        return await asyncio.gather(first, asyncio.create_task(second()))

    seen, record = record_of(program)
    again = replayed(record, lambda: asyncio.run(program(chained=True)))

    assert (again.seen, again.verdict) == (seen, "exact_with_caveats")
    assert again.caveats[0] == "ORDER_RELAXED: step 1 was answered before the beginning of step 2"


def test_threads_that_wait_for_each_other_do_not_hang() -> None:
    def program(chained: bool = False) -> Any:
        results: dict[str, int] = {}
        first_is_over = threading.Event()
        ended: list[threading.Event] = [threading.Event()]

        def first() -> None:
            if not chained:
                ended[0].wait()
            results["first"] = ask("first")
            first_is_over.set()

        def second() -> None:
            if chained:
                first_is_over.wait()
            results["second"] = ask("second")
            ended[0].set()

        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(results.items())

    seen, record = record_of(program)
    again = replayed(record, lambda: program(chained=True))

    assert (again.seen, again.verdict) == (seen, "exact_with_caveats")
    assert all(caveat.startswith("ORDER_RELAXED: ") for caveat in again.caveats)


def test_a_call_that_was_cancelled_and_is_not_now_is_told() -> None:
    async def program(limit: float | None = 0.02) -> Any:
        try:
            async with asyncio.timeout(limit):
                return await slow("x", 0.5)
        except TimeoutError:
            return "timeout"

    _, record = record_of(program)
    again = replayed(record, lambda: asyncio.run(program(None)))

    assert again.code == "TIMEOUT"


def test_ten_thousand_answers_are_quick() -> None:
    """The promise is ten seconds; half a millisecond each, with all that the loop does in between."""

    async def program() -> Any:
        return [await quick(number) for number in range(10_000)]

    @agentrace.tool
    async def quick(number: int) -> int:
        return number

    _, record = record_of(program)
    began = time.perf_counter()
    again = replayed(record, program)

    assert again.verdict == "exact"
    assert time.perf_counter() - began < 10
