"""A recorded function is the function that it was to everything that looks at it, and nothing around it changes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import inspect
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import agentrace
from agentrace.testing import MemoryRecorder, recorded
from tests.unit import capture_programs as program


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


# --- what can be seen of a function -------------------------------------------------------------------------

FUNCTIONS = [
    program.add,
    program.fetch,
    program.count,
    program.stream,
    program.Shop.buy,
    program.Shop("s").buy,
    program.Shop.price,
    program.Shop.open,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_a_function_looks_as_it_did(function: Any) -> None:
    original = inspect.unwrap(function)

    assert function is not original
    for predicate in (
        inspect.isfunction,
        inspect.ismethod,
        inspect.isroutine,
        inspect.iscoroutinefunction,
        asyncio.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        bound = function.__func__ if inspect.ismethod(function) else function
        assert predicate(bound) == predicate(original), predicate.__name__
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(function, name) == getattr(original, name)
    skipped = 1 if inspect.ismethod(function) else 0
    assert (
        list(inspect.signature(function).parameters.values())
        == (list(inspect.signature(original).parameters.values())[skipped:])
    )


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_pickles_and_copies_of_a_function_are_the_function(function: Any, record: MemoryRecorder) -> None:
    again = [pickle.loads(pickle.dumps(function)), copy.copy(function), copy.deepcopy(function)]

    for other in again:
        assert other.__qualname__ == function.__qualname__
        assert getattr(other, "__func__", other) is getattr(function, "__func__", function)


BY_VALUE = """
import contextlib, functools, pickle, sys
import cloudpickle
import agentrace
from agentrace.testing import recorded

@agentrace.tool
def add(a, b=1): return a + b
@agentrace.tool
async def fetch(a): return a
@agentrace.tool
def count(n): yield from range(n)
@agentrace.tool
async def stream(n): yield n
class Shop:
    @agentrace.tool
    def buy(self, item): return item
@agentrace.tool
@contextlib.contextmanager
def opened(name): yield name
class Adder:
    def __call__(self, b): return b + 1
half = agentrace.tool(functools.partial(lambda a, b: a / b, 5), name="half")
adder = agentrace.tool(Adder(), codec=agentrace.Codec("x/1", lambda value: b"", lambda data: None), name="adder")

with recorded() as record:
    travelled = [pickle.loads(cloudpickle.dumps(f)) for f in (add, fetch, count, stream, Shop().buy, opened, half, adder)]
    print(travelled[0](1), list(travelled[2](2)), travelled[4]("tea"), travelled[6](2), travelled[7](2))
    with travelled[5]("file") as name: print(name)
print([step.name for step in record.steps])
"""


def test_functions_of_main_travel_by_value() -> None:
    pytest.importorskip("cloudpickle")
    done = subprocess.run([sys.executable, "-c", BY_VALUE], capture_output=True, text=True, check=False)

    names = ["add", "count", "Shop.buy", "half", "adder", "opened"]
    assert done.stdout == f"2 [0, 1] tea 2.5 3\nfile\n{names}\n", done.stderr


def test_a_generator_looks_as_it_did(record: MemoryRecorder) -> None:
    generator = program.count(1)

    assert (generator.__name__, generator.__qualname__) == ("count", "count")
    assert inspect.getgeneratorstate(generator) == "GEN_CREATED"
    assert record.written == []


# --- what surrounds a program -------------------------------------------------------------------------------


def test_the_programs_own_state_is_left_alone(record: MemoryRecorder) -> None:
    mine: contextvars.ContextVar[int] = contextvars.ContextVar("mine")
    mine.set(5)
    random.seed(7)
    state, threads = random.getstate(), threading.enumerate()
    hooks = _hooks()
    given: list[Any] = [1, {"k": (2,)}]

    @agentrace.tool
    def keep(value: Any) -> Any:
        mine.set(6)
        return value

    result = keep(given)

    assert result is given
    assert given == [1, {"k": (2,)}]
    assert mine.get() == 6
    assert random.getstate() == state
    assert threading.enumerate() == threads
    assert hooks == _hooks()


def _hooks() -> list[Any]:
    functions = [sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook]
    return [*functions, sys.gettrace(), sys.getprofile()]


def test_a_task_factory_of_the_program_is_used(record: MemoryRecorder) -> None:
    made: list[str] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        made.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def main() -> int:
        asyncio.get_running_loop().set_task_factory(factory)
        assert asyncio.get_running_loop().get_task_factory() is factory
        return await asyncio.create_task(program.fetch(1))

    assert asyncio.run(main()) == 1
    assert made[0] == "fetch"
    assert [step.dispatched.flow for step in record.steps] == ["task:0"]


def test_no_object_outlives_its_call(record: MemoryRecorder) -> None:
    import gc
    import weakref

    class Thing: ...

    @agentrace.tool
    def take(thing: Any) -> Any:
        return [thing]

    @agentrace.tool
    def lose(thing: Any) -> None:
        raise ValueError(thing)

    gc.collect()
    gc.disable()
    try:
        thing = Thing()
        gone = weakref.ref(thing)
        take(thing)
        with contextlib.suppress(ValueError):
            lose(thing)
        del thing
        assert gone() is None
    finally:
        gc.enable()
