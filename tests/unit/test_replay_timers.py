"""Timers, and what threads give to loops, come as they came, whatever time the program takes now."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio.to_thread
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


def test_a_timeout_that_lost_loses_however_slow_the_program_is_now() -> None:
    """As with a breakpoint."""
    pause = 0.0

    async def program() -> Any:
        await look(0)
        try:
            async with asyncio.timeout(0.05):
                await look(0.001)
                time.sleep(pause)  # noqa: ASYNC251 - the loop is held up
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                return await look(0.001)
        except TimeoutError:
            return "too late"

    seen, record = record_of(program)
    assert seen != "too late"
    pause = 0.2
    again = replayed(record, program)
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_nobody_waits_for_a_sleep_again() -> None:
    async def program() -> Any:
        log: list[Any] = []

        async def heart() -> None:
            while True:
                await asyncio.sleep(0.1)
                log.append("beat")

        beating = asyncio.create_task(heart())
        for _ in range(3):
            log.append(await look(0.25))
        await asyncio.sleep(0.5)
        beating.cancel()
        return log

    seen, record = record_of(program)
    began = time.perf_counter()
    again = replayed(record, program)
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])
    assert time.perf_counter() - began < 0.6  # recorded, it takes 1.25 s


def test_timers_inside_a_call_are_not_the_programs() -> None:
    async def program() -> None:
        await look(0.001)
        await asyncio.sleep(0.001)
        await look(0.001)

    _, record = record_of(program)
    told = [event for event in record.events if isinstance(event, events.CallbacksRun)]
    assert [len(event.callbacks) for event in told] == [1, 0]
    assert told[-1].over


def test_a_program_that_sleeps_otherwise_is_not_held_up() -> None:
    async def program() -> Any:
        for _ in range(3):
            for _ in range(_chance.randrange(4)):
                await asyncio.sleep(0.001)
            await look(0.001)
        return "done"

    took: list[float] = []
    for _ in range(5):
        seen, record = record_of(program)
        began = time.perf_counter()
        again = replayed(record, program)
        took.append(time.perf_counter() - began)
        assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])
    assert sorted(took)[2] < 1  # nearly all of them sleep otherwise


def test_the_timer_that_was_called_first_is_called_first_however_slow_the_program_is_now() -> None:
    pause = 0.0

    async def sleeps(log: list[str], name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        log.append(name)

    async def program() -> Any:
        log: list[str] = []
        one = asyncio.create_task(sleeps(log, "one", 0.06))
        await asyncio.sleep(0)
        time.sleep(pause)  # noqa: ASYNC251
        await asyncio.gather(one, sleeps(log, "two", 0.03))
        async with asyncio.timeout(0.06):
            time.sleep(pause)  # noqa: ASYNC251
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.03):
                    await asyncio.sleep(10)
            log.append("the inner one")
        await look(0)
        return log

    seen, record = record_of(program)
    assert seen == ["two", "one", "the inner one"]
    pause = 0.05
    again = replayed(record, program)
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_all_timers_between_two_calls_are_told() -> None:
    @agentrace.tool
    async def look_until_enough() -> int:
        await enough.wait()
        return next(_counter)

    enough = asyncio.Event()

    async def program() -> list[int]:
        beats: list[int] = []

        async def heart() -> None:
            while True:
                await asyncio.sleep(0.0005)
                beats.append(len(beats))
                if len(beats) > 300:
                    enough.set()

        await look(0)
        beating = asyncio.create_task(heart())
        await look_until_enough()
        beating.cancel()
        return beats

    seen, record = record_of(program)
    assert len(seen) > 300
    told = [event for event in record.events if isinstance(event, events.CallbacksRun)]
    timers = [timer for event in told for timer in event.callbacks]
    assert [timer.ordinal for timer in timers] == list(range(len(timers)))
    assert len(timers) - len(seen) in (0, 1)  # the last one may not have been heard
    again = replayed(record, program)
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_the_timers_of_somebody_elses_thread_are_not_the_programs() -> None:
    """Such as a server that runs beside it: its flow would be taken for the program's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    came = threading.Event()

    def program() -> int:
        loop.call_soon_threadsafe(loop.call_later, 0.001, came.set)
        assert came.wait(5)
        return asyncio.run(look(0))

    try:
        _, record = record_of(program)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert [step.path for step in record.trace.steps.values()] == ["/look#0"]
    assert [event.callbacks for event in record.events if isinstance(event, events.CallbacksRun)] == [[]]


@pytest.mark.parametrize(("slept", "worked", "now"), [(0.15, 0.01, 0.3), (0.02, 0.2, 0.0)])
@pytest.mark.parametrize("library", ["asyncio", "anyio"])
def test_the_result_of_a_thread_comes_when_it_came(slept: float, worked: float, now: float, library: str) -> None:
    """However long the thread takes now: its work is no call, so it works again."""
    pause = worked

    async def program() -> Any:
        log: list[str] = []

        async def works() -> None:
            to_thread = asyncio.to_thread if library == "asyncio" else anyio.to_thread.run_sync
            await to_thread(time.sleep, pause)
            log.append("worked")

        async def sleeps() -> None:
            await asyncio.sleep(slept)
            log.append("slept")

        await asyncio.gather(works(), sleeps())
        await look(0)
        return log

    seen, record = record_of(program)
    assert seen == (["slept", "worked"] if slept < worked else ["worked", "slept"])
    pause = now
    again = replayed(record, program)
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_what_a_thread_asks_of_a_loop_is_done_when_it_was_done() -> None:
    pause = 0.02

    async def program() -> Any:
        loop, log = asyncio.get_running_loop(), list[str]()

        def thread() -> None:
            for number in range(3):
                time.sleep(pause)
                loop.call_soon_threadsafe(log.append, f"thread {number}")
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

        async def counts() -> None:
            for number in range(6):
                await asyncio.sleep(0.015)
                log.append(f"counted {number}")

        await look(0)
        await asyncio.gather(asyncio.to_thread(thread), counts())
        return log

    seen, record = record_of(program)
    for pause in (0.0, 0.05):  # noqa: B007 - it is the program's
        again = replayed(record, program)
        assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_jobs_that_end_before_anybody_asks_for_their_results() -> None:
    async def program() -> Any:
        loop = asyncio.get_running_loop()
        found = []
        for number in range(30):
            jobs = [loop.run_in_executor(None, int, number + at) for at in range(3)]
            found.append([await job for job in asyncio.as_completed(jobs)])
        await look(0)
        return sorted(map(sum, found))

    for _ in range(3):
        exact(program)


def test_a_timer_that_outlives_a_replay_is_called_when_it_is_its_time(tmp_path: Path) -> None:
    async def calls(seconds: float) -> asyncio.Task[None]:
        sleeping = asyncio.create_task(asyncio.sleep(seconds))
        await look(0.001)
        await look(0.001)
        return sleeping

    async def program() -> None:
        async with agentrace.replay("first", home=tmp_path):
            sleeping = await calls(0.3)
        began = time.perf_counter()
        await asyncio.wait_for(sleeping, 5)
        assert time.perf_counter() - began > 0.2

    agentrace.init(home=tmp_path)
    with agentrace.run("first"):
        asyncio.run(calls(60))
    agentrace.shutdown()
    asyncio.run(program())


def test_a_loop_that_goes_on_after_a_replay_is_left_as_it_was(tmp_path: Path) -> None:
    async def calls() -> list[int]:
        return [await look(0.001) for _ in range(3)]

    async def program() -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        async with agentrace.replay("first", home=tmp_path) as session:
            assert await calls() == seen
        assert session.verdict in ("exact", "exact_with_caveats"), session.caveats
        assert loop.time() >= before
        agentrace.init(home=tmp_path)
        with agentrace.run("second"):
            began = time.perf_counter()
            await look(0)
            await asyncio.sleep(0.2)
        agentrace.shutdown()
        assert time.perf_counter() - began >= 0.19
        late = loop.time()
        async with agentrace.replay("second", home=tmp_path):
            await look(0)
            await asyncio.sleep(0.2)
        assert loop.time() >= late

    agentrace.init(home=tmp_path)
    with agentrace.run("first"):
        seen = asyncio.run(calls())
    agentrace.shutdown()
    asyncio.run(program())


def test_an_exit_in_the_middle_of_an_iteration_loses_no_timer() -> None:
    """``asyncio.run`` goes on with the loop to cancel its tasks, which may wait for timers."""

    async def program() -> None:
        async def closing() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)

        task = asyncio.create_task(closing())
        await look(0)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise SystemExit(3)

    def ended() -> int:
        with pytest.raises(SystemExit) as raised:
            asyncio.run(program())
        return raised.value.code

    assert exact(ended) == 3


def test_whoever_does_nothing_but_sleep_does_not_fill_the_disk() -> None:
    async def program() -> list[int]:
        found = [await look(0)]
        for _ in range(12_000):
            await asyncio.sleep(1e-6)
        return [*found, await look(0), await look(0.001)]

    seen, record = record_of(program)
    again = replayed(record, program)

    told = [event for event in record.events if isinstance(event, events.CallbacksRun)]
    assert 9_900 <= sum(len(event.callbacks) for event in told) <= 10_100
    assert (again.seen, again.verdict, again.caveats) == (seen, "exact", [])


def test_what_a_thread_gives_to_a_loop_is_called_in_the_context_of_the_thread() -> None:
    """Also where a replay puts it off."""
    name: ContextVar[str] = ContextVar("name", default="nobody")

    def program() -> list[Any]:
        seen: list[Any] = []
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        async def told(number: int) -> tuple[str, int]:
            return name.get(), await look(0.001 * (number % 2))

        def giving(number: int) -> None:
            name.set(f"giver {number}")
            seen.append(asyncio.run_coroutine_threadsafe(told(number), loop).result())

        givers = [threading.Thread(target=giving, args=(number,)) for number in range(4)]
        for giver in givers:
            giver.start()
        for giver in givers:
            giver.join()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        return sorted(seen)

    seen, record = record_of(program)
    again = replayed(record, program)

    assert [who for who, _ in seen] == [f"giver {number}" for number in range(4)]
    assert (again.seen, again.code) == (seen, "")
