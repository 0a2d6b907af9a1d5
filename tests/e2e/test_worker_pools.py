"""Workers that are there before the jobs: what they do is told in the right run, and whether its order is certain."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace.testing import recorded
from tests.e2e.place import PYTHON, Place, steps_of
from tests.unit.replays import exact, record_of, replayed

_chance = random.Random(5)


@agentrace.tool
def ask(number: int) -> list[Any]:
    time.sleep(_chance.random() * 0.002)
    return [number, _chance.random()]


@agentrace.tool
async def look(number: int) -> list[Any]:
    await asyncio.sleep(_chance.random() * 0.002)
    return [number, _chance.random()]


def by_threads(workers: int) -> Any:
    """Twenty jobs in a queue, taken by threads."""
    jobs: queue.Queue[int | None] = queue.Queue()
    done: list[Any] = []

    def work() -> None:
        with contextlib.suppress(agentrace.ReplayDivergence):  # which is latched all the same
            while (job := jobs.get()) is not None:
                done.append(ask(job))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for job in [*range(20), *[None] * workers]:
        jobs.put(job)
    for thread in threads:
        thread.join()
    return sorted(done)


def test_one_thread_that_takes_jobs_is_replayed_exactly() -> None:
    exact(lambda: by_threads(1))


def test_several_threads_that_take_jobs_are_told_to_compete() -> None:
    _, record = record_of(lambda: by_threads(4))
    again = replayed(record, lambda: by_threads(4), order="free")

    shared = [step.dispatched.shared for step in record.trace.steps.values()]
    assert len(shared) == 20
    assert sum(shared) >= 16  # the first job of each thread may be taken before another one is there
    assert "a matter of timing" in "".join(again.caveats) or again.code


def test_a_replay_in_which_others_take_the_jobs_says_why_it_is_not_exact(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write(
        "program.py",
        """
        import os, queue, threading
        import agentrace

        @agentrace.tool
        def ask(n):
            return n

        jobs, both, asked = queue.Queue(), threading.Barrier(2), threading.Event()

        def work(number):
            jobs.get()
            both.wait()
            if number == int(os.environ["LATE"]):
                asked.wait(5)
            try:
                while (job := jobs.get()) is not None:
                    ask(job)
                    asked.set()
            except agentrace.ReplayDivergence:
                asked.set()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for job in ("token", "token", 7):
            jobs.put(job)
        for thread in threads:
            thread.start()
        asked.wait(5)
        jobs.put(None)
        jobs.put(None)
        for thread in threads:
            thread.join()
        """,
    )
    recorded = place.run(PYTHON, program, env={"LATE": "0"})

    again = place.replay("@last", "--", PYTHON, program, env={"LATE": "1"})

    assert (recorded.code, again.code) == (0, 3), again.err
    assert "the order of these calls is a matter of timing" in again.err


def test_tasks_that_take_jobs_are_replayed_exactly() -> None:
    async def program() -> Any:
        jobs: asyncio.Queue[int | None] = asyncio.Queue()
        done: list[Any] = []

        async def work(worker: int) -> None:
            while (job := await jobs.get()) is not None:
                done.append((worker, await look(job)))

        workers = [asyncio.create_task(work(number)) for number in range(4)]
        await asyncio.sleep(0)
        for job in [*range(20), *[None] * 4]:
            jobs.put_nowait(job)
        await asyncio.gather(*workers)
        return done

    exact(program)


@pytest.mark.parametrize("carried", [False, True])
def test_jobs_of_several_runs_belong_to_them_if_they_say_so(carried: bool) -> None:
    async def main() -> None:
        jobs: asyncio.Queue[tuple[int, str, asyncio.Future[Any]] | None] = asyncio.Queue()

        async def work() -> None:
            while (job := await jobs.get()) is not None:
                number, place, result = job
                if place:
                    with agentrace.run("job", parent=place):
                        result.set_result(await look(number))
                else:
                    result.set_result(await look(number))

        async def request(number: int) -> None:
            with agentrace.run(f"request {number}"):
                for _ in range(3):
                    result = asyncio.get_running_loop().create_future()
                    jobs.put_nowait((number, agentrace.carry() if carried else "", result))
                    await result

        workers = [asyncio.create_task(work()) for _ in range(2)]
        await asyncio.gather(*(request(number) for number in range(4)))
        for _ in workers:
            jobs.put_nowait(None)
        await asyncio.gather(*workers)

    with recorded() as record:
        asyncio.run(main())

    requests = {run.run_id: run for run in record.runs if run.trace.run.name.startswith("request")}
    others = [run for run in record.runs if run.run_id not in requests]
    assert len(requests) == 4
    assert sum(len(run.steps) for run in others) == 12
    if carried:
        parents = [run.trace.run.parent.run_id for run in others]
        assert sorted(parents) == sorted([*requests] * 3)
        for run in others:
            (step,) = run.steps
            asker = requests[run.trace.run.parent.run_id].trace.run.name
            assert asker == f"request {run.python(step.dispatched.input)['number']}"
    else:
        assert len(others) == 1  # workers that nobody's run made are the process's
    assert not any(step.dispatched.shared for run in others for step in run.steps)


def test_processes_that_take_jobs_are_told_to_compete(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write(
        "program.py",
        """
        import concurrent.futures, multiprocessing
        import agentrace

        @agentrace.tool
        def ask(n):
            return n

        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                pool.map(ask, range(8), 1); pool.close(); pool.join()
            with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
                list(pool.map(ask, range(8)))
        """,
    )
    done = place.run(PYTHON, program)

    assert done.code == 0, done.err
    told = [step.dispatched.shared for record in place.runs() for step in steps_of(record)]
    assert told == [True] * 16
    (root,) = [record for record in place.runs() if not record.trace.run.parent.run_id]
    assert "a matter of timing" in place.do(PYTHON, "-m", "agentrace", "show", root.run_id.hex()).out
