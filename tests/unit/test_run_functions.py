"""Functions each call of which is a run: they stay what they are."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import agentrace
from agentrace.testing import MemoryRecorder, recorded


@agentrace.tool
def note(what: object) -> object:
    return what


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded(name="process") as record:
        yield record


def told(record: MemoryRecorder) -> list[tuple[str, str, int]]:
    """Name, status and number of steps of each run."""
    runs = [run.trace.run for run in record.runs]
    return [(run.name, run.status, run.steps) for run in runs]


@agentrace.run("nightly")
def nightly(number: int, *, twice: bool = False) -> int:
    """Add one."""
    note(number)
    return number + 1 + twice


def test_a_decorated_function_stays_what_it_is(record: MemoryRecorder) -> None:
    @agentrace.run()
    async def hourly(number: int) -> int:
        await asyncio.sleep(0)
        if number == 3:
            raise LookupError(number)
        return nightly(number)

    async def main() -> list[Any]:
        return await asyncio.gather(*map(hourly, range(4)), return_exceptions=True)

    assert pickle.loads(pickle.dumps(nightly)) is nightly
    assert (nightly.__name__, nightly.__doc__, nightly(1, twice=True)) == ("nightly", "Add one.", 3)
    assert asyncio.iscoroutinefunction(hourly)
    assert asyncio.run(main())[:3] == [1, 2, 3]

    named = "test_a_decorated_function_stays_what_it_is.hourly"
    assert sorted(told(record)) == sorted(
        [("nightly", "completed", 1)] * 4 + [(named, "completed", 0)] * 3 + [(named, "failed", 0)]
    )


def test_what_cannot_be_a_run_is_refused() -> None:
    def pieces() -> Iterator[int]:
        yield 1

    with pytest.raises(agentrace.AgentraceError, match="begins and ends with its call"):
        agentrace.run("pieces")(pieces)
    with pytest.raises(agentrace.AgentraceError, match=r"agentrace.run\(\)"):
        agentrace.run(pieces)  # type: ignore[arg-type]
