"""Tools that nothing announces: named in the settings, recorded wherever the program holds them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agentrace
from agentrace.testing import MemoryRecorder, recorded

SHOP = """
import asyncio, functools, agentrace
from json import dumps

def lookup(order, *, details=False): return {"order": order, "details": details}
async def refund(order): await asyncio.sleep(0); return order
def watch(order):
    got = yield order
    return got
async def follow(order): yield order
def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs): return function(*args, **kwargs)
    return inner
@logged
def ship(order): return order
@agentrace.retriever
def search(order): return [order]
def again(order, depth=2): return order if not depth else again(order, depth - 1)
def _hidden(order): return order
class Basket:
    def put(self, order): return order
limit = 5
TOOLS = {"lookup": lookup, "refund": refund, "ship": ship}
bound = functools.partial(lookup, 1)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the program's own that nobody has imported yet."""
    name = "shop_module"
    (tmp_path / f"{name}.py").write_text(SHOP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield name
    sys.modules.pop(name, None)


def use(shop: ModuleType) -> None:
    """Call every function of the module, by all the ways there are."""
    assert shop.lookup(1, details=True) == {"order": 1, "details": True}
    assert shop.TOOLS["lookup"](2) == shop.bound.func(2) == {"order": 2, "details": False}
    assert asyncio.run(shop.refund(3)) == asyncio.run(shop.TOOLS["refund"](3)) == 3
    assert list(shop.watch(4)) == [4]
    assert asyncio.run(_all(shop.follow(5))) == [5]
    assert shop.ship(6) == 6
    assert shop.search(7) == [7]
    assert shop.dumps(1) == "1"


async def _all(stream: Any) -> list[Any]:
    return [item async for item in stream]


EVERY_USE = ["lookup", "lookup", "lookup", "refund", "refund", "watch", "follow", "ship", "search"]


def names(record: MemoryRecorder) -> list[str]:
    return [step.name for step in record.steps]


@pytest.mark.parametrize("imported", ["before", "after"])
def test_functions_of_a_module_are_recorded_once_each(imported: str, shop: str) -> None:
    module = importlib.import_module(shop) if imported == "before" else None

    with recorded(tools=[f"{shop}:*"]) as record:
        module = module or importlib.import_module(shop)
        use(module)

    assert names(record) == EVERY_USE
    assert [step.kind for step in record.steps] == ["tool"] * 8 + ["retriever"]
    assert [step.status for step in record.steps] == ["ok"] * 9
    assert record.python(record.steps[0].dispatched.input) == {"order": 1, "details": True}


def test_afterwards_the_module_is_as_it_was(shop: str) -> None:
    module = importlib.import_module(shop)
    before = {name: (value, getattr(value, "__code__", None)) for name, value in vars(module).items()}
    dicts = {name: dict(vars(value)) for name, value in vars(module).items() if inspect.isfunction(value)}

    with recorded(tools=[f"{shop}:*"]) as record:
        use(module)
    written = len(record.written)
    use(module)

    assert {name: (value, getattr(value, "__code__", None)) for name, value in vars(module).items()} == before
    assert {name: dict(vars(value)) for name, value in vars(module).items() if inspect.isfunction(value)} == dicts
    assert len(record.written) == written


def test_a_recorded_function_is_the_object_that_it_was(shop: str) -> None:
    module = importlib.import_module(shop)
    kept, signature = module.lookup, inspect.signature(module.lookup)

    with recorded(tools=[f"{shop}:*"]) as record:
        assert module.lookup is kept is pickle.loads(pickle.dumps(kept))
        assert inspect.signature(kept) == signature
        assert "order" in inspect.getsource(kept)
        assert inspect.iscoroutinefunction(module.refund)
        assert inspect.isgeneratorfunction(module.watch)
        assert inspect.isasyncgenfunction(module.follow)
        with pytest.raises(TypeError, match=r"lookup\(\) got an unexpected keyword argument 'x'"):
            kept(1, x=2)
        assert kept(order=1) == {"order": 1, "details": False}

    assert names(record) == ["lookup", "lookup"]


def test_a_function_that_calls_itself_is_recorded_at_every_depth(shop: str) -> None:
    module = importlib.import_module(shop)

    with recorded(tools=[f"{shop}:again"]) as record:
        assert module.again(1) == 1

    assert [step.path for step in record.steps] == ["/again#0", "/again#0/again#0", "/again#0/again#0/again#0"]


def test_names_alone_are_found_in_the_programs_own_modules_only(shop: str) -> None:
    with recorded(tools=["lookup", "dumps", "put"], retrievers=["se*", "ship"]) as record:
        use(importlib.import_module(shop))
        json.dumps(1)

    assert names(record) == ["lookup", "lookup", "lookup", "ship", "search"]
    assert [step.kind for step in record.steps] == ["tool"] * 3 + ["retriever"] * 2


def test_what_was_wrapped_is_told(shop: str) -> None:
    with recorded(tools=[f"{shop}:l*", f"{shop}:Basket*", "no_such:*"]) as record:
        importlib.import_module(shop).lookup(1)

    described = next(event for event in record.events if type(event).__name__ == "WorkflowDescribed")
    assert described.tools == [f"{shop}:logged", f"{shop}:lookup"]


def test_a_module_that_is_loaded_again_is_recorded_again(shop: str) -> None:
    with recorded(tools=[f"{shop}:lookup"]) as record:
        module = importlib.import_module(shop)
        module.lookup(1)
        importlib.reload(module)
        module.lookup(2)

    assert [record.python(step.dispatched.input) for step in record.steps] == [{"order": 1}, {"order": 2}]
    assert module.lookup.__code__.co_varnames == ("order", "details")


def test_what_the_program_put_in_its_place_since_stays(shop: str) -> None:
    def mine(order: int) -> int:
        return -order

    with recorded(tools=[f"{shop}:*"]):
        module = importlib.import_module(shop)
        module.ship = module.follow = mine

    assert module.ship is module.follow is mine


def test_modules_keep_their_loaders(shop: str) -> None:
    with recorded(tools=["nothing_of_that_name"]):
        module = importlib.import_module(shop)

    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"
    assert inspect.getsource(module) == SHOP


MAIN = """
import asyncio, os, sys
import agentrace
from agentrace.testing import recorded

def lookup(order): return order
async def refund(order): return order
TOOLS = {"lookup": lookup}

with recorded(tools=sys.argv[1:]) as record:
    with agentrace.step("first"):
        lookup(1)
        TOOLS["lookup"](2)
    asyncio.run(refund(3))
print([step.name for step in record.steps])
"""


@pytest.mark.parametrize("tools", [["__main__:*"], ["lookup", "refund"]])
def test_functions_of_the_script_itself(tools: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(MAIN))

    command = [sys.executable, "main.py", *tools]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout == "['first', 'lookup', 'lookup', 'refund']\n"


def test_nothing_is_looked_at_without_a_setting(shop: str) -> None:
    with recorded() as record:
        module = importlib.import_module(shop)
        agentrace.tool(module.lookup)(1)
        module.lookup(2)

    assert names(record) == ["lookup"]
