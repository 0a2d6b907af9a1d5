"""Where a step is in the program does not depend on timing: the same program under other schedules gives the same
paths, whatever tasks, threads and pools it runs in."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

import agentrace
from agentrace.testing import recorded


class Node(Struct):
    """A piece of a program: a leaf takes a step, the others run their parts in some manner."""

    manner: str
    parts: list[Node] = []
    id: int = 0


class Schedule:
    """In which order what is concurrent gets its turns."""

    def __init__(self, seed: int, workers: int) -> None:
        self._random = random.Random(seed)
        self.workers = workers

    def turns(self) -> int:
        """For how many rounds of its loop a task waits."""
        return self._random.choice([0, 0, 1, 2, 5])

    def shuffled(self, items: list[Any]) -> list[Any]:
        """The order in which threads may go."""
        return self._random.sample(items, len(items))


MANNERS = ["in turn", "block", "gather", "task group", "later", "threads", "pool", "to_thread", "executor", "loops"]
PROGRAMS = st.recursive(
    st.builds(lambda: Node("leaf")),
    lambda parts: st.builds(Node, st.sampled_from(MANNERS), st.lists(parts, min_size=1, max_size=3)),
    max_leaves=8,
)


def numbered(node: Node, first: int = 1) -> tuple[Node, int]:
    """The program with ids in it, in program order, and the next id."""
    parts: list[Node] = []
    number = first + 1
    for part in node.parts:
        part, number = numbered(part, number)
        parts.append(part)
    return Node(node.manner, parts, first), number


@agentrace.tool
def leaf(number: int) -> int:
    return number


@agentrace.tool(name="leaf")
async def waiting_leaf(number: int, turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return number


async def run_async(node: Node, schedule: Schedule) -> None:
    for _ in range(schedule.turns()):
        await asyncio.sleep(0)
    if node.manner == "leaf":
        await waiting_leaf(node.id, schedule.turns())
    elif node.manner in ("in turn", "loops"):
        for part in node.parts:
            await run_async(part, schedule)
    elif node.manner == "block":
        async with agentrace.step("block"):
            for part in node.parts:
                await run_async(part, schedule)
    elif node.manner == "gather":
        await asyncio.gather(*(run_async(part, schedule) for part in node.parts))
    elif node.manner == "task group":
        async with asyncio.TaskGroup() as group:
            for part in node.parts:
                group.create_task(run_async(part, schedule))
    elif node.manner == "later":
        tasks = [asyncio.create_task(run_async(part, schedule)) for part in node.parts]
        await run_async(Node("leaf", [], -node.id), schedule)
        for task in schedule.shuffled(tasks):
            await task
    elif node.manner == "to_thread":
        await asyncio.gather(*(asyncio.to_thread(run, part, schedule) for part in node.parts))
    elif node.manner == "executor":
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(schedule.workers) as pool:
            await asyncio.gather(*(loop.run_in_executor(pool, run, part, schedule) for part in node.parts))
    else:
        run(node, schedule)


def run(node: Node, schedule: Schedule) -> None:
    if node.manner == "leaf":
        leaf(node.id)
    elif node.manner == "in turn":
        for part in node.parts:
            run(part, schedule)
    elif node.manner == "block":
        with agentrace.step("block"):
            for part in node.parts:
                run(part, schedule)
    elif node.manner == "threads":
        gates = [threading.Event() for _ in node.parts]
        threads = [
            threading.Thread(target=_gated, args=(gate, part, schedule))
            for gate, part in zip(gates, node.parts, strict=True)
        ]
        for thread in threads:
            thread.start()
        leaf(-node.id)
        for gate in schedule.shuffled(gates):
            gate.set()
        for thread in threads:
            thread.join()
    elif node.manner == "pool":
        with ThreadPoolExecutor(schedule.workers) as pool:
            for job in [pool.submit(run, part, schedule) for part in node.parts]:
                job.result()
    elif node.manner == "loops":
        for part in node.parts:
            _outside_of_loops(part, schedule)
    else:
        _outside_of_loops(node, schedule)


def _gated(gate: threading.Event, node: Node, schedule: Schedule) -> None:
    gate.wait()
    run(node, schedule)


def _outside_of_loops(node: Node, schedule: Schedule) -> None:
    """A loop of its own: in this thread, or where one is running, in a new thread."""
    if asyncio._get_running_loop() is None:
        asyncio.run(run_async(node, schedule))
    else:
        thread = threading.Thread(target=lambda: asyncio.run(run_async(node, schedule)))
        thread.start()
        thread.join()


def places(node: Node, schedule: Schedule) -> dict[int, str]:
    """Where in the program each leaf took its step."""
    with recorded() as record:
        run(node, schedule)
    leaves = [step for step in record.steps if step.name == "leaf"]
    found = {record.python(step.dispatched.input)["number"]: step.path for step in leaves}
    assert len(found) == len(leaves) == len(set(found.values()))
    assert not any(step.dispatched.shared for step in record.steps)
    assert all(step.status == "ok" for step in record.steps)
    return found


@settings(deadline=None, max_examples=40 if os.environ.get("AGENTRACE_SOAK") else 20)
@given(PROGRAMS, st.integers(0, 9), st.integers(1, 4))
def test_the_same_program_has_the_same_places_under_another_schedule(program: Node, seed: int, workers: int) -> None:
    node, _ = numbered(program)

    first = places(node, Schedule(0, 1))
    second = places(node, Schedule(seed + 1, workers))

    assert first == second
