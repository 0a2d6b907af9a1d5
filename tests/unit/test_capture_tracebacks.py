"""A recorded traceback is the one that the program would print if nobody recorded it; its exception stays as it is."""

from __future__ import annotations

import asyncio
import operator
import re
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace.errors import ConfigError
from agentrace.events import StepFailed
from agentrace.testing import MemoryRecorder, recorded

OURS = str(Path(agentrace.__file__).parent)
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


@agentrace.tool
def inner(order: int) -> int:
    raise KeyError(order)


@agentrace.agent
def outer(order: int) -> int:
    return inner(order)


@agentrace.tool
async def waiting(order: int) -> int:
    await asyncio.sleep(0)
    return outer(order)


@agentrace.tool
def pages(order: int) -> Iterator[int]:
    yield 1
    yield outer(order)


@agentrace.tool
async def streamed(order: int) -> AsyncIterator[int]:
    yield 1
    yield await waiting(order)


@agentrace.tool
def deep(order: int) -> int:
    return deep(order - 1) if order else inner(order)


@agentrace.tool
def several(order: int) -> None:
    found: list[Exception] = []
    for number in range(2):
        try:
            inner(order + number)
        except KeyError as error:
            found.append(error)
    raise ExceptionGroup("both failed", found)


def in_a_block(order: int) -> None:
    with agentrace.step("block", kind="task"):
        outer(order)


async def _all(order: int) -> list[int]:
    return [page async for page in streamed(order)]


CALLS: list[tuple[Callable[[], Any], list[str]]] = [
    (lambda: inner(1), ["inner"]),
    (lambda: outer(1), ["outer", "inner"]),
    (lambda: asyncio.run(waiting(1)), ["waiting", "outer", "inner"]),
    (lambda: list(pages(1)), ["pages", "outer", "inner"]),
    (lambda: asyncio.run(_all(1)), ["streamed", "waiting", "outer", "inner"]),
    (lambda: deep(2), ["deep", "deep", "deep", "inner"]),
    (lambda: in_a_block(1), ["in_a_block", "outer", "inner"]),
]


@pytest.mark.parametrize(("call", "frames"), CALLS, ids=[frames[0] for _, frames in CALLS])
def test_frames_of_ours_are_not_in_a_recorded_traceback(
    record: MemoryRecorder, call: Callable[[], Any], frames: list[str]
) -> None:
    with pytest.raises(KeyError):
        call()

    outermost = [event for event in record.events if isinstance(event, StepFailed)][-1]
    told = outermost.failure.traceback
    assert [name for _, _, name in _FRAME.findall(told)] == frames
    assert {file for file, _, _ in _FRAME.findall(told)} == {__file__}
    assert "raise KeyError(order)" in told
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith(("KeyError: 1\n", "KeyError: 0\n"))


def test_the_exception_keeps_all_of_its_frames(record: MemoryRecorder) -> None:
    with pytest.raises(KeyError) as raised:
        outer(1)

    files = [frame.filename for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert any(file.startswith(OURS) for file in files)
    assert files[-1] == __file__


def test_groups_are_told_without_our_frames_too(record: MemoryRecorder) -> None:
    with pytest.raises(ExceptionGroup):
        several(1)

    (told,) = [event.failure.traceback for event in record.events if isinstance(event, StepFailed)][-1:]
    assert OURS not in told
    assert "KeyError: 1" in told
    assert "KeyError: 2" in told


def test_what_is_raised_inside_a_call_without_frames_of_the_program_is_told_all_the_same(
    record: MemoryRecorder,
) -> None:
    with pytest.raises(KeyError):
        agentrace.tool(operator.getitem)({}, "seven")

    (failed,) = [event for event in record.events if isinstance(event, StepFailed)]
    assert failed.failure.traceback == "KeyError: 'seven'\n"


def test_an_error_of_ours_says_where_it_came_from(record: MemoryRecorder) -> None:
    @agentrace.tool
    def opens() -> None:
        agentrace.open("nowhere.agentrace")

    with pytest.raises(Exception, match="nowhere") as raised:
        opens()

    (failed,) = [event for event in record.events if isinstance(event, StepFailed)]
    assert type(raised.value).__module__ == ConfigError.__module__
    assert OURS in failed.failure.traceback
