"""Modules whose tool ``lookup`` the program holds in all the ways that are found, and in some that are not."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from agentrace.testing import MemoryRecorder, StubProvider
from tests.unit.openai_clients import HELLO, MODEL, client

Loading = Callable[..., ModuleType]
_number = itertools.count()

_COMMON: Final = """
import asyncio, functools
REAL = []

def here(given):
    REAL.append(given)
    return [len(REAL) - len(REAL), given]
"""

FOUND: Final = {
    "function": """
def lookup(order, *, details=False): return here((order, details))
def use(): return lookup(1, details=True), lookup(order=2)
""",
    "held in a dict since before": """
def lookup(order): return here(order)
TOOLS = {"lookup": lookup}
def use(): return TOOLS["lookup"](1)
""",
    "by the key of a dict": """
def _fetch_order(order): return here(order)
TOOLS = {"lookup": _fetch_order}
def use(): return TOOLS["lookup"](1)
""",
    "lambda": """
TOOLS = {"lookup": lambda order: here(order)}
def use(): return TOOLS["lookup"](1)
""",
    "beside its schema": """
def _fetch(order): return here(order)
TOOLS = {"lookup": {"run": _fetch, "schema": {"type": "object"}}}
def use(): return TOOLS["lookup"]["run"](1)
""",
    "in a tuple with its schema": """
def _fetch(order): return here(order)
TOOLS = {"lookup": (_fetch, {"type": "object"})}
def use(): return TOOLS["lookup"][0](1)
""",
    "closure in a list": """
def make(scale):
    total = 0
    def lookup(order):
        nonlocal total
        total += order * scale
        return here(order), scale, total >= 0
    return lookup
TOOLS = [make(3)]
def use(): return TOOLS[0](1), TOOLS[0](order=2)
""",
    "coroutine": """
async def lookup(order):
    await asyncio.sleep(0)
    return here(order)
def use(): return asyncio.run(lookup(1))
""",
    "coroutine closure": """
def make(scale):
    async def lookup(order): return here(order * scale)
    return lookup
lookup = make(2)
async def several(): return await asyncio.gather(*(lookup(n) for n in range(5)))
def use(): return asyncio.run(several())
""",
    "generator": """
def lookup(order):
    got = yield here(order)
    yield got
    return "end"
def use():
    made = lookup(1)
    return next(made), made.send("sent"), list(made)
""",
    "async generator": """
async def lookup(order):
    try:
        while True: order = yield order
    except KeyError:
        yield "caught"
async def all_of():
    made = lookup(1)
    seen = [await made.__anext__(), await made.asend(5), await made.athrow(KeyError("x"))]
    await made.aclose()
    return seen
def use(): return asyncio.run(all_of())
""",
    "method of one class": """
class Shop:
    def lookup(self, order): return here(order)
shop = Shop()
bound = shop.lookup
def use(): return shop.lookup(1), bound(2), getattr(Shop(), "lookup")(order=3)
""",
    "method that calls what it overrides": """
class Base:
    def lookup(self, order): return [order]
class Shop(Base):
    def lookup(self, order): return here(order), super().lookup(order)
def use(): return Shop().lookup(1)
""",
    "static method": """
class Shop:
    @staticmethod
    def lookup(order): return here(order)
def use(): return Shop.lookup(1), Shop().lookup(2)
""",
    "class method": """
class Shop:
    @classmethod
    def lookup(cls, order): return here(order), cls.__name__
def use(): return Shop.lookup(1)
""",
    "bound method in a dict": """
class Shop:
    def _find(self, order): return here(order)
TOOLS = {"lookup": Shop()._find}
def use(): return TOOLS["lookup"](1)
""",
    "decorated": """
def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs): return ["logged", function(*args, **kwargs)]
    return inner
@logged
def lookup(order): return here(order)
@logged
def other(order): return order
def use(): return lookup(1), other(2)
""",
    "partial": """
def _find(kind, order): return here((kind, order))
TOOLS = {"lookup": functools.partial(_find, "parcel")}
def use(): return TOOLS["lookup"](1), TOOLS["lookup"](order=2)
""",
    "recursive": """
def lookup(order): return here(order) if not order else lookup(order - 1)
def use(): return lookup(3)
""",
    "fails": """
def lookup(order): raise KeyError(here(order))
def use():
    try: lookup(1)
    except KeyError as error: return [type(error).__name__, str(error)]
""",
    "called with what it does not take": """
def lookup(order): return here(order)
def use():
    try: lookup(bogus=1)
    except TypeError as error: return str(error)
""",
    "several of one name": """
class inner:
    pass
def _impl():
    def lookup(order): return here(order)
    return lookup
nested = _impl()
def lookup(order): return nested(order)
def use(): return lookup(1), nested(2)
""",
}
"""Each module has ``use``, which calls the tool and tells what came of it."""

_SEVERAL: Final = (
    "{module}:Cache.lookup and {module}:Shop.lookup are methods of that name; decorate the right one with "
    "@agentrace.tool"
)

NOT_FOUND: Final = {
    "methods of several classes": (
        """
class Cache:
    def lookup(self, key): return key
class Shop:
    def lookup(self, order): return here(order)
def use(): return Shop().lookup(1)
""",
        _SEVERAL,
    ),
    "made when it is called": (
        """
def use():
    def lookup(order): return here(order)
    return lookup(1)
""",
        "no function that the program's modules hold is called so; decorate it with @agentrace.tool",
    ),
    "a library's": (
        """
from json import dumps as lookup
def use(): return lookup(1)
""",
        "no function that the program's modules hold is called so; decorate it with @agentrace.tool",
    ),
}
"""What is not recorded, and the reason that is given."""


def source(shape: str) -> str:
    """A module's whole text."""
    return _COMMON + shape


@contextmanager
def loading(root: Path) -> Generator[Loading]:
    """What imports a text as a module of the program, from a directory below ``root`` if one is named."""
    made: list[str] = []
    path, written = list(sys.path), sys.dont_write_bytecode

    def load(text: str, place: str = "") -> ModuleType:
        made.append(f"offered_module_{next(_number)}")
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / f"{made[-1]}.py").write_text(text)
        sys.path.insert(0, str(root / place))
        importlib.invalidate_caches()
        return importlib.import_module(made[-1])

    sys.dont_write_bytecode = True
    try:
        yield load
    finally:
        sys.path[:], sys.dont_write_bytecode = path, written
        for name in made:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A provider that answers."""
    with StubProvider().serve() as address:
        yield address


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Loading]:
    """What imports a text as a module of the program."""
    with loading(tmp_path) as load:
        yield load


def chat_tools(*names: str) -> list[Any]:
    """How a chat completion offers tools."""
    return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]


def offer(url: str, *names: str) -> None:
    """One request that offers tools to a model."""
    client(url).chat.completions.create(model=MODEL, messages=HELLO, tools=chat_tools(*names))


def tools(record: MemoryRecorder) -> list[str]:
    """The names of the tool steps."""
    return [step.name for step in record.steps if step.kind == "tool"]


def described(record: MemoryRecorder) -> Any:
    """What the run tells at its end."""
    return next(event for event in record.events if type(event).__name__ == "WorkflowDescribed")
