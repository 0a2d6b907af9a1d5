"""A replay of four times the calls takes four times as long, not sixteen: nothing in it is looked for one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import agentrace
from tests.unit.replays import Program, record_of, replayed

FEW, MANY, MOST = 1_000, 4_000, 6.0
TRIES = 4
"""Another process may need the machine in between: what grows too much does so each time."""


@agentrace.tool
def ask(given: object) -> object:
    return {"of": given}


@agentrace.tool
async def look(given: object) -> object:
    await asyncio.sleep(0)
    return {"of": given}


def in_turn(calls: int) -> Program:
    return lambda: [ask(number) for number in range(calls)]


def in_groups(calls: int) -> Program:
    async def program() -> None:
        for first in range(0, calls, 10):
            await asyncio.gather(*(look(first + number) for number in range(10)))

    return program


def in_threads(calls: int) -> Program:
    def program() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ask, range(calls)))

    return program


@pytest.mark.parametrize("program", [in_turn, in_groups, in_threads])
def test_answering_does_not_grow_with_the_record(program: Callable[[int], Program]) -> None:
    records = {calls: record_of(program(calls))[1] for calls in (FEW, MANY)}

    def seconds(calls: int) -> float:
        began = time.process_time()
        assert replayed(records[calls], program(calls)).code == ""
        return time.process_time() - began

    assert any(seconds(MANY) < MOST * seconds(FEW) for _ in range(TRIES))


def test_a_changed_call_is_found_as_quickly_in_a_long_record() -> None:
    records = {calls: record_of(in_turn(calls))[1] for calls in (FEW, MANY)}

    def seconds(calls: int) -> float:
        began = time.process_time()
        found = replayed(records[calls], lambda: ask("something else"))
        assert found.code == "CALL_CHANGED"
        return time.process_time() - began

    assert any(seconds(MANY) < MOST * seconds(FEW) for _ in range(TRIES))
