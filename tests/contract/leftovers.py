"""What a program leaves to its event loop: tasks that still run, and async generators that nobody has closed.

The clients keep an abandoned stream in reference cycles, so its generators are closed by the collector if that happens
to run before the loop ends, and by the loop otherwise. Here it does not run by itself, and once when it is told to.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def collecting_when_told() -> Iterator[None]:
    """Collect only in :func:`left_behind`, and nothing that is older than the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


class Abandoned:
    """The async generators of the running loop that nobody could reach any more before they had ended."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._begun, self._loops_own = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._begun, self._finalize)  # the loop puts its own back when it stops

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.names.append(generator.__qualname__)
        if self._loops_own is not None:
            self._loops_own(generator)  # which makes a task that closes it


async def left_behind(abandoned: Abandoned) -> dict[str, Any]:
    """The generators that were abandoned, before and after a collection, and the tasks that are left beside this one."""
    await _closed()
    at_once = sorted(abandoned.names)
    gc.collect()
    await _closed()
    return {"at once": at_once, "in all": sorted(abandoned.names), "tasks": sorted(map(_name, _others()))}


async def _closed() -> None:
    """Wait until every abandoned generator is closed, and every other that it alone held."""
    await asyncio.sleep(0)  # the tasks that close them are made in the loop's next turn
    while closing := [task for task in _others() if _is_closing(task)]:
        await asyncio.gather(*closing, return_exceptions=True)
        await asyncio.sleep(0)


def _others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def _name(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", task))


def _is_closing(task: asyncio.Task[Any]) -> bool:
    """Whether the loop made the task to close a generator; the class has no public name."""
    return type(task.get_coro()).__name__ == "async_generator_athrow"
