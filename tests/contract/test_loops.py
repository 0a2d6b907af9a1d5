"""Every event loop tells the same tree of the same program, and replays it as docs/replay.md says."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentrace
from agentrace.query import RunRecord
from tests.contract.loops_subject import LOOPS, PROGRAMS, SEQUENTIAL, ask, look, slow, tasks, threads
from tests.unit.replays import record_of, replayed

Run = Callable[[Callable[[], Any]], Any]


def recorded(loop: str, program: Callable[[], Any]) -> tuple[Any, RunRecord]:
    """What a program saw in a loop, and its record."""
    return record_of(functools.partial(LOOPS[loop], program))


def tree(record: RunRecord) -> list[tuple[str, str]]:
    """The places of the steps, without what the loops themselves do for ``from_thread``, and how each ended."""
    return sorted(
        (step.path.replace("/worker:0/task:0", "/worker:0"), getattr(step.ended, "outcome", ""))
        for step in record.trace.steps.values()
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_tells_the_same_tree(loop: str, program: Callable[[], Any]) -> None:
    _, record = recorded(loop, program)
    _, of_asyncio = recorded("asyncio", program)

    expected = tree(of_asyncio)
    if program is threads and loop in ("uvloop", "trio"):  # asyncio's own loops tell what a thread gives to them
        expected = [(path.replace("/posted:0/task:0", "/worker:0"), outcome) for path, outcome in expected]
    assert sorted(tree(record)) == sorted(expected)
    assert all(step.ended is not None for step in record.trace.steps.values())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_replays_what_it_recorded(loop: str, program: Callable[[], Any]) -> None:
    seen, record = recorded(loop, program)

    again = replayed(record, functools.partial(LOOPS[loop], program))

    assert (again.code, again.seen) == ("", seen)
    told = [step.dispatched.shared for step in record.trace.steps.values()]
    assert again.verdict == ("exact_with_caveats" if any(told) else "exact"), again.caveats
    if program in SEQUENTIAL:
        assert not any(told)


def test_trio_tells_that_the_order_of_its_tasks_is_its_own_business() -> None:
    _, record = recorded("trio", tasks)
    alone = [step for step in record.trace.steps.values() if step.path == "/ask#0"]

    again = replayed(record, functools.partial(LOOPS["trio"], tasks))

    assert [step.dispatched.shared for step in alone] == [False]
    assert any(step.dispatched.shared for step in record.trace.steps.values())
    assert "a matter of timing" in "".join(again.caveats)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_asyncio_alone_can_do(loop: str) -> None:
    async def program() -> Any:
        here = asyncio.get_running_loop()
        called: asyncio.Future[int] = here.create_future()
        thread = threading.Thread(target=lambda: here.call_soon_threadsafe(called.set_result, ask(0)))
        thread.start()
        numbers = await asyncio.gather(
            *map(look, range(3)), asyncio.to_thread(ask, 4), here.run_in_executor(None, ask, 5)
        )
        async with asyncio.timeout(5):
            return numbers, await called

    seen, record = recorded(loop, program)
    _, of_asyncio = recorded("asyncio", program)

    assert tree(record) == tree(of_asyncio)
    again = replayed(record, functools.partial(LOOPS[loop], program))
    assert (again.code, again.verdict, again.seen) == ("", "exact", seen), again.caveats


PARTS = st.recursive(
    st.sampled_from(["look", "ask", "thread", "timeout"]),
    lambda parts: st.tuples(st.sampled_from(["agent", "tasks"]), st.lists(parts, max_size=3)),
    max_leaves=8,
)


async def performed(part: Any, seen: list[Any]) -> None:
    """Do a part of a program; ``seen`` is what the task that does it sees."""
    if isinstance(part, tuple):
        await DONE[part[0]](part[1], seen)
    else:
        seen.append(await SINGLE[part]())


async def within_an_agent(parts: Sequence[Any], seen: list[Any]) -> None:
    with agentrace.step("agent", kind="agent"):
        for part in parts:
            await performed(part, seen)


async def in_tasks(parts: Sequence[Any], seen: list[Any]) -> None:
    apart: list[list[Any]] = [[] for _ in parts]
    async with anyio.create_task_group() as group:
        for part, own in zip(parts, apart, strict=True):
            group.start_soon(performed, part, own)
    seen.extend(apart)


async def timed_out() -> bool:
    with anyio.move_on_after(0.002) as scope:
        await slow(1)
    return scope.cancelled_caught


async def asked() -> int:
    return ask(2)


DONE: Final[dict[str, Callable[..., Any]]] = {"agent": within_an_agent, "tasks": in_tasks}
SINGLE: Final[dict[str, Callable[[], Any]]] = {
    "look": lambda: look(1),
    "ask": asked,
    "thread": lambda: anyio.to_thread.run_sync(ask, 3),
    "timeout": timed_out,
}


@settings(max_examples=25, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=4))
def test_any_program_has_one_tree_and_sees_the_same_again(parts: list[Any]) -> None:
    async def program() -> Any:
        seen: list[Any] = []
        for part in parts:
            await performed(part, seen)
        return seen

    _, of_asyncio = recorded("asyncio", program)
    seen, of_trio = recorded("trio", program)
    again = replayed(of_trio, functools.partial(LOOPS["trio"], program))

    assert tree(of_trio) == tree(of_asyncio)
    assert (again.code, again.seen) == ("", seen)
    one_at_a_time = not any("tasks" in str(part) for part in parts)
    assert again.verdict == "exact" or not one_at_a_time
