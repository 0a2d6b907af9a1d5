"""Ten thousand tasks, three thousand threads: everything is there, and what it takes is bounded."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace.query import Runs
from tests.unit.replays import record_of, replayed

TASKS = 10_000
MOST_TIMES_AS_LONG = 60.0
"""A task that awaits nothing but the next turn takes 15 µs; with a recorded call in it, 60 to 130."""
MOST_SECONDS_TO_REPLAY = 30.0
"""It takes 2 to 6. Were it quadratic, it would take minutes."""
THREADS = 3_000 if os.environ.get("AGENTRACE_SOAK") else 1_000
MOST_BYTES_KEPT = 150_000
"""Growth of what is in memory after as many threads again; one object kept for each would be more."""
MOST_BYTES_A_STEP = 120
"""On disk, sealed; it is about 30."""


@agentrace.tool
async def look(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def gathered() -> list[int]:
    return await asyncio.gather(*map(look, range(TASKS)))


async def bare() -> list[int]:
    async def one(number: int) -> int:
        await asyncio.sleep(0)
        return number

    return await asyncio.gather(*map(one, range(TASKS)))


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and what it returned."""
    began = time.process_time()
    value = call()
    return time.process_time() - began, value


def test_a_gather_of_ten_thousand_tasks() -> None:
    without, _ = seconds(lambda: asyncio.run(bare()))
    took, (seen, record) = seconds(lambda: record_of(gathered))
    again_took, again = seconds(lambda: replayed(record, gathered))

    steps = list(record.trace.steps.values())
    assert (len(steps), seen) == (TASKS, list(range(TASKS)))
    assert sorted(step.path for step in steps) == sorted(f"/task:{number}/look#0" for number in range(TASKS))
    assert (again.code, again.verdict, again.seen) == ("", "exact", seen)
    assert took < MOST_TIMES_AS_LONG * without, (took, without)
    assert again_took < MOST_SECONDS_TO_REPLAY


@agentrace.tool
def ask(number: int) -> int:
    return number


def started(count: int) -> None:
    for first in range(0, count, 50):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(first, first + 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def bare_threads(count: int) -> None:
    import _thread

    for number in range(count):
        over = _thread.allocate_lock()
        over.acquire()
        _thread.start_new_thread(lambda number, over: (ask(number), over.release()), (number, over))
        over.acquire()


def in_contexts_of_others(count: int) -> None:
    import contextvars

    ask(-1)
    for first in range(0, count, 50):
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(ask, number))
            for number in range(first, first + 50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("threads", [started, bare_threads, in_contexts_of_others])
def test_threads_that_come_and_go_leave_nothing_but_their_steps(tmp_path: Path, threads: Callable[[int], None]) -> None:
    agentrace.init(home=tmp_path, seal=False)
    try:
        threads(500)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        threads(THREADS)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        agentrace.shutdown()

    runs = Runs(tmp_path)
    (record,) = (runs.record(run_id) for run_id in runs.ids)
    steps = [step for step in record.trace.steps.values() if step.ended is not None]
    disk = sum(file.stat().st_size for file in (tmp_path / "segments").rglob("*") if file.is_file())
    assert len(steps) >= THREADS + 500
    assert len({step.path for step in steps}) == len(steps)
    assert kept < MOST_BYTES_KEPT
    assert disk < MOST_BYTES_A_STEP * len(steps)
