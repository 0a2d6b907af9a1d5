"""Blocks as steps and as runs, and where in the program a step is told to be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import agentrace
from agentrace import events
from agentrace.testing import MemoryRecorder, recorded
from tests.unit import capture_programs as program


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


def told(record: MemoryRecorder) -> list[Any]:
    """Each step as ``(name, input, outcome, output)``."""
    return [
        (
            step.name,
            record.python(step.dispatched.input),
            step.ended and step.ended.outcome,
            record.python(step.ended.output) if isinstance(step.ended, events.StepCompleted) else None,
        )
        for step in record.steps
    ]


# --- blocks -------------------------------------------------------------------------------------------------


def test_blocks_are_steps_and_enclose(record: MemoryRecorder) -> None:
    with agentrace.step("plan", kind="planner", input={"goal": 1}) as plan:
        program.add(1)
        plan.output = ["a"]
    with pytest.raises(KeyError), agentrace.step("fails"):
        raise KeyError("x")
    program.add(2)

    assert told(record) == [
        ("plan", {"goal": 1}, "ok", ["a"]),
        ("add", {"a": 1}, "ok", 6),
        ("fails", None, "error", None),
        ("add", {"a": 2}, "ok", 7),
    ]
    assert [step.dispatched.parent for step in record.steps] == [0, 1, 0, 0]
    assert [step.path for step in record.steps] == ["/plan#0", "/plan#0/add#0", "/fails#1", "/add#2"]


def test_a_block_that_is_used_again_begins_anew(record: MemoryRecorder) -> None:
    block = agentrace.step("block")

    with block:
        block.output = 1
    with block:
        pass

    assert [output for *_, output in told(record)] == [1, None]


def test_async_blocks(record: MemoryRecorder) -> None:
    async def main() -> None:
        async with agentrace.step("outer") as outer:
            outer.output = await program.fetch(3)
        async with agentrace.run("other"):
            await program.fetch(4)

    asyncio.run(main())

    assert [[(s.name, s.dispatched.parent) for s in run.steps] for run in record.runs] == [
        [("outer", 0), ("fetch", 1)],
        [("fetch", 0)],
    ]


def test_runs_are_told_apart_and_end_with_their_blocks(record: MemoryRecorder) -> None:
    with agentrace.run("first") as first:
        program.add(1)
        with agentrace.run("second"):
            program.add(2)
        program.add(3)
    with pytest.raises(KeyError), agentrace.run("third"):
        raise KeyError("x")
    program.add(4)

    agentrace.shutdown()

    assert [(run.trace.run.name, run.trace.run.status, len(run.steps)) for run in record.runs[:3]] == [
        ("first", "completed", 2),
        ("second", "completed", 1),
        ("third", "failed", 0),
    ]
    assert len(record.runs[3].steps) == 1
    assert first.id.replace("-", "") == record.runs[0].run_id.hex()
    assert all(run.over for run in record.runs)


def test_the_caller_is_told(record: MemoryRecorder) -> None:
    program.add(1)
    list(program.count(1))
    asyncio.run(_calls())
    with agentrace.step("block"):
        pass

    sites = [step.dispatched.call_site for step in record.steps]
    here = __file__
    name = "test_the_caller_is_told"
    assert [site.partition(" ")[2] for site in sites] == [name, name, "_calls", "_calls", name]
    assert all(site.startswith(f"{here}:") for site in sites)


async def _calls() -> None:
    await program.fetch(1)
    async for _ in program.stream(1):
        pass
