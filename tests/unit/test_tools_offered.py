"""``--tools auto``: what a request offers is recorded wherever the program holds it, and nothing else is."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import anthropic
import cloudpickle
import httpx2
import pytest

import agentrace
from agentrace.integrations.catalogue import integration
from agentrace.query import inferred, replayable
from agentrace.testing import MemoryRecorder, StubProvider
from agentrace.testing import recorded as recorded_in_memory
from tests.contract.recording import recording, replaying
from tests.unit.offered_shapes import FOUND, NOT_FOUND, source
from tests.unit.openai_clients import HELLO, MODEL, async_client, client

_number = itertools.count()
AUTO = {"tools": ["auto"]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with StubProvider().serve() as address:
        yield address


Loading = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loading]:
    """Imports a text as a module of the program; with a directory, from there."""
    made: list[str] = []

    def loaded(text: str, place: str = "") -> ModuleType:
        made.append(f"offered_module_{next(_number)}")
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{made[-1]}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / place))
        return importlib.import_module(made[-1])

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield loaded
    for name in made:
        sys.modules.pop(name, None)


def chat_tools(*names: str) -> list[Any]:
    return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]


def offer(url: str, *names: str) -> None:
    """One request that offers tools to a model."""
    client(url).chat.completions.create(model=MODEL, messages=HELLO, tools=chat_tools(*names))


def tools(record: MemoryRecorder) -> list[str]:
    return [step.name for step in record.steps if step.kind == "tool"]


def described(record: MemoryRecorder) -> Any:
    return next(event for event in record.events if type(event).__name__ == "WorkflowDescribed")


# --- what is found ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", FOUND)
def test_a_tool_is_recorded_from_the_request_that_offers_it(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))
    unrecorded = module.use()

    with recorded_in_memory(**AUTO) as record:
        before = module.use()
        assert record.steps == []
        offer(url, "lookup")
        during = module.use()

    assert before == during == unrecorded == module.use()
    assert set(tools(record)) == {"lookup"}
    assert len(described(record).tools) >= 1
    assert described(record).missing_tools == {}
    assert record.trace.run.ended.faults == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("shape", FOUND)
def test_a_replay_answers_the_same_calls(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))

    def program() -> Any:
        before = module.use()
        offer(url, "lookup")
        done = len(module.REAL)
        return before, module.use(), len(module.REAL) - done

    with recording(**AUTO) as made:
        early, seen, calls = program()
    with replaying(made.record, dict(AUTO)) as again:
        early_again, seen_again, calls_again = program()

    assert again.tape is not None
    assert again.tape.verdict()[0] in ("exact", "exact_with_caveats")
    assert again.tape.latched is None
    assert (early_again, seen_again) == (early, seen)
    assert calls_again == 0, f"{calls_again} of {calls} calls were made for real"


@pytest.mark.parametrize("shape", FOUND)
def test_afterwards_everything_is_as_it_was(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))

    def functions() -> dict[str, Any]:
        held = [
            *vars(module).values(),
            *(m for c in vars(module).values() if isinstance(c, type) for m in vars(c).values()),
        ]
        plain = [value for value in held if inspect.isfunction(value)]
        return {f"{f.__qualname__} {number}": (f, f.__code__, dict(vars(f))) for number, f in enumerate(plain)}

    before = functions()
    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        module.use()
    written = len(record.written)
    module.use()

    assert functions() == before
    assert len(record.written) == written


@pytest.mark.parametrize("shape", NOT_FOUND)
def test_what_is_not_found_is_told_with_the_reason(shape: str, url: str, load: Loading) -> None:
    text, reason = NOT_FOUND[shape]
    module = load(source(text))

    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        module.use()

    assert tools(record) == []
    assert described(record).missing_tools == {"lookup": reason.format(module=module.__name__)}
    assert described(record).tools == []


def test_the_reason_stands_with_the_verdict_on_the_run(url: str) -> None:
    stub = StubProvider().tool_calls(("lookup", {"order": 1})).reply("done")
    with stub.serve() as address, recording(**AUTO) as made:
        asked = client(address).chat.completions.create(model=MODEL, messages=HELLO, tools=chat_tools("lookup"))
        message = asked.choices[0].message
        assert message.tool_calls is not None
        answer: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "1"}
        told: Any = [*HELLO, message.model_dump(exclude_none=True), answer]
        client(address).chat.completions.create(model=MODEL, messages=told, tools=chat_tools("lookup"))

    (reason,) = replayable(made.record, inferred(made.record)).because
    assert reason.startswith("the tool lookup ran once without being recorded: no function that the program's modules")


# --- what is left alone -------------------------------------------------------------------------------------


def test_functions_of_libraries_are_never_touched(url: str, load: Loading, tmp_path: Path) -> None:
    text = "def lookup(order): return order\nTOOLS = {'lookup': lookup}\nclass Shop:\n    lookup = lookup"
    places = ("lib/site-packages", "lib/dist-packages", "layer")
    libraries = [load(text, place) for place in places]
    info = tmp_path / "layer" / "shop-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(f"{libraries[-1].__name__}.py,sha256=x,10\n")
    names = ", ".join(f"{library.__name__} as l{number}" for number, library in enumerate(libraries))
    held = ", ".join(f"l{number}.lookup" for number in range(len(libraries)))
    own = load(f"import {names}\nTOOLS = [{held}]\nlookup = TOOLS[0]")
    codes = [library.lookup.__code__ for library in libraries]

    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        assert [library.lookup.__code__ for library in libraries] == codes
        assert [tool(1) for tool in own.TOOLS] == [1, 1, 1]

    assert tools(record) == []
    assert "lookup" in described(record).missing_tools


def test_beside_what_pip_put_there_a_program_is_still_its_own(url: str, load: Loading, tmp_path: Path) -> None:
    module = load("def lookup(order): return order", "task")
    info = tmp_path / "task" / "shop-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("shop/__init__.py,sha256=x,10\n")

    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        module.lookup(1)

    assert tools(record) == ["lookup"]


def test_what_a_decorator_records_already_is_recorded_once(url: str, load: Loading) -> None:
    module = load("import agentrace\n@agentrace.tool(name='mine')\ndef lookup(order): return order\n")

    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        module.lookup(1)

    assert tools(record) == ["mine"]


def test_names_and_auto_together_record_each_function_once(url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\ndef other(order): return order\n")

    with recorded_in_memory(tools=["auto", f"{module.__name__}:lookup"]) as record:
        module.lookup(0)
        module.other(0)
        offer(url, "lookup", "other")
        module.lookup(1)
        module.other(1)

    assert tools(record) == ["lookup", "lookup", "other"]
    assert described(record).tools == [f"{module.__name__}:{name}" for name in ("lookup", "other")]


def test_nothing_of_the_program_is_asked(url: str, load: Loading) -> None:
    text = """
class Proxy:
    asked = []
    @property
    def __class__(self): self.asked.append("class"); return dict
    def __getattr__(self, name): self.asked.append(name); raise AttributeError(name)
    def __eq__(self, other): self.asked.append("eq"); return True
    __hash__ = object.__hash__
class Meta(type):
    def __getattribute__(cls, name): Proxy.asked.append(name); return super().__getattribute__(name)
class Odd(metaclass=Meta):
    pass
proxy = Proxy()
TOOLS = {"lookup": Proxy(), "other": [Proxy()], proxy: 1}
LIST = [Proxy()]
Proxy.asked.clear()
"""
    module = load(text)

    with recorded_in_memory(**AUTO):
        offer(url, "lookup", "other")

    assert module.Proxy.asked == []


def test_without_the_setting_nothing_is_looked_at(url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\n")
    with recorded_in_memory() as record:
        offer(url, "lookup")
        module.lookup(1)
    assert tools(record) == []


# --- who offers, and when -----------------------------------------------------------------------------------

ANTHROPIC: Any = [{"name": "lookup", "input_schema": {"type": "object"}}]
RESPONSES: Any = [{"type": "function", "name": "lookup", "parameters": {"type": "object"}, "strict": False}]


def _chat_stream(url: str) -> None:
    asking = client(url).chat.completions
    list(asking.create(model=MODEL, messages=HELLO, tools=chat_tools("lookup"), stream=True))


def _responses(url: str) -> None:
    client(url).responses.create(model=MODEL, input="Hello", tools=RESPONSES)


def _messages(url: str) -> None:
    asking = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, http_client=httpx2.Client(verify=False))
    asking.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "Hi"}], tools=ANTHROPIC)


def _async_messages(url: str) -> None:
    async def ask() -> None:
        http = httpx2.AsyncClient(verify=False)
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, http_client=http) as asking:
            said: Any = [{"role": "user", "content": "Hi"}]
            async with asking.messages.stream(model=MODEL, max_tokens=9, messages=said, tools=ANTHROPIC) as stream:
                await stream.get_final_message()

    asyncio.run(ask())


def _async_chat(url: str) -> None:
    async def ask() -> None:
        async with async_client(url) as asking:
            await asking.chat.completions.create(model=MODEL, messages=HELLO, tools=chat_tools("lookup"))

    asyncio.run(ask())


def _by_hand(url: str) -> None:
    asked = {"model": MODEL, "messages": HELLO, "tools": chat_tools("lookup")}
    httpx2.post(f"{url}/v1/chat/completions", json=asked)


WAYS = (lambda url: offer(url, "lookup"), _chat_stream, _responses, _messages, _async_messages, _async_chat, _by_hand)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_ask_a_model_offers(way: Callable[[str], None], url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\nTOOLS = {'lookup': lookup}")

    with recorded_in_memory(**AUTO) as record:
        way(url)
        module.TOOLS["lookup"](1)

    assert [step.kind for step in record.steps] == ["model", "tool"]


FUNCTION, NAMED = {"type": "function"}, {"name": "a"}
REQUESTS: list[tuple[str, Any, list[str]]] = [
    ("openai", {"tools": [{**FUNCTION, "function": NAMED}, {**FUNCTION, "function": {"name": "b"}}]}, ["a", "b"]),
    ("openai", {"tools": [{"type": "custom", "custom": NAMED}]}, ["a"]),
    ("openai", {"functions": [NAMED]}, ["a"]),
    ("openai", {"tools": [{**FUNCTION, **NAMED}, {"type": "custom", "name": "b"}]}, ["a", "b"]),
    ("openai", {"tools": [{"type": "web_search", "name": "web_search"}, {"type": "mcp", "server_label": "x"}]}, []),
    ("openai", {"tools": "a"}, []),
    ("openai", {"tools": [None, 3, {}, {"type": []}, {**FUNCTION, "function": 3}, {**FUNCTION, "name": 4}]}, []),
    ("openai", None, []),
    ("anthropic", {"tools": [NAMED, {"type": "custom", "name": "b"}]}, ["a", "b"]),
    ("anthropic", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, ["bash"]),
    ("anthropic", {"tools": [{"type": "web_search_20250305", "name": "web_search"}, {"type": "mcp_toolset"}]}, []),
    ("anthropic", {"tools": {"name": "a"}}, []),
    ("anthropic", [], []),
]


@pytest.mark.parametrize(("library", "request_json", "names"), REQUESTS)
def test_the_tools_of_a_request_are_read_from_its_json(library: str, request_json: Any, names: list[str]) -> None:
    declared = integration(library)
    assert declared is not None
    assert list(declared.offered(request_json)) == names


def test_each_run_begins_where_it_offers(url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\n")

    with recorded_in_memory(**AUTO) as record:
        for order in (1, 2):
            with agentrace.run(f"run {order}"):
                module.lookup(0)
                offer(url, "lookup")
                module.lookup(order)

    made = [[run.python(step.dispatched.input) for step in run.steps if step.kind == "tool"] for run in record.runs]
    assert made == [[{"order": 1}], [{"order": 2}]]


def test_a_module_imported_when_its_tool_is_called_is_covered(url: str, load: Loading) -> None:
    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup")
        module = load("def lookup(order): return order\n")
        module.lookup(1)

    assert tools(record) == ["lookup"]
    assert described(record).missing_tools == {}


def test_the_one_that_asks_is_executed_again_by_a_replay(url: str, load: Loading) -> None:
    module = load("def lookup(offer, depth):\n    offer()\n    return lookup(offer, depth - 1) if depth else 'found'\n")
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        offer(url, "lookup")

    with recording(**AUTO) as made:
        assert module.lookup(ask, 2) == "found"
    with replaying(made.record, dict(AUTO)) as again:
        assert module.lookup(ask, 2) == "found"

    told = [(step.kind, step.dispatched.replay) for step in made.record.trace.steps.values()]
    assert told == [("model", ""), *[("tool", "reexecute"), ("model", "")] * 2]
    assert again.tape is not None
    assert again.tape.latched is None
    assert len(asked) == 6


def test_what_is_under_way_when_it_is_offered_goes_on_as_it_began(url: str, load: Loading) -> None:
    text = """
def lookup(order):
    while True:
        order = yield order
def deep(order, then): return then() if not order else [deep(order - 1, then), order]
TOOLS = {"deep": deep}
"""
    module = load(text)

    with recorded_in_memory(**AUTO) as record:
        made = module.lookup(1)
        first = next(made)
        nested = module.deep(3, lambda: offer(url, "lookup", "deep"))
        rest = [made.send(2), made.send(3)]
        made.close()
        assert module.deep(1, lambda: "bottom") == ["bottom", 1]

    assert (first, nested, rest) == (1, [[[None, 1], 2], 3], [2, 3])
    assert tools(record) == ["deep", "deep"]


def test_threads_that_offer_and_call_at_once_lose_no_call(url: str, load: Loading) -> None:
    names = [f"tool_{number}" for number in range(8)]
    module = load("".join(f"def {name}(order): return order\n" for name in names))
    ready = threading.Barrier(8)

    def agent(name: str) -> int:
        ready.wait(30)
        offer(url, *names)
        return int(getattr(module, name)(1))

    with recorded_in_memory(**AUTO) as record, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(agent, names)) == [1] * 8

    assert sorted(tools(record)) == names


# --- what a program can see of it ---------------------------------------------------------------------------


def test_a_program_that_asks_about_its_function_is_told_the_same(url: str, load: Loading) -> None:
    text = """
import types
def make():
    cell = "kept"
    def lookup(order: int, *rest: str, details: bool = False) -> str:
        "Finds an order."
        return cell
    return lookup
def plain(order: int, *rest: str, details: bool = False) -> str:
    "Finds an order."
@types.coroutine
def old(order):
    yield
    return order
async def stream(order): yield order
lookup = make()
"""
    module = load(text)
    functions = [getattr(module, name) for name in ("lookup", "plain", "old", "stream")]

    def asked() -> list[Any]:
        return [
            (
                inspect.signature(f),
                inspect.getfullargspec(f),
                inspect.getsource(f),
                inspect.getclosurevars(f).nonlocals,
                [
                    kind(f)
                    for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
                ],
                (
                    f.__name__,
                    f.__qualname__,
                    f.__module__,
                    f.__doc__,
                    f.__defaults__,
                    f.__kwdefaults__,
                    f.__annotations__,
                ),
                set(f.__code__.co_freevars),
                f.__code__.co_name,
                set(inspect.unwrap(f).__code__.co_varnames) <= set(f.__code__.co_varnames),
            )
            for f in functions
        ]

    before = asked()
    with recorded_in_memory(**AUTO) as record:
        offer(url, "lookup", "plain", "old", "stream")
        assert asked() == before
        assert pickle.loads(pickle.dumps(module.plain)) is module.plain
        copy = pickle.loads(cloudpickle.dumps(module.lookup))
        assert copy is module.lookup or copy(1) == "kept"

    assert len(described(record).tools) == 4
