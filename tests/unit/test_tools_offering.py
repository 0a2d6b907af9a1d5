"""``--tools auto``: every way to ask a model offers its tools, in time; and the program sees the functions that it had."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import cloudpickle
import httpx2
import pytest

import agentrace
from agentrace.capture import process
from agentrace.integrations.catalogue import integration
from agentrace.testing import recorded
from tests.contract.recording import recording, replaying
from tests.unit import offered_shapes
from tests.unit.offered_shapes import Loading, chat_tools, described, offer, tools
from tests.unit.openai_clients import HELLO, MODEL, async_client, client

url, load = offered_shapes.url, offered_shapes.load


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

    with recorded(tools=["auto"]) as record:
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

    with recorded(tools=["auto"]) as record:
        for order in (1, 2):
            with agentrace.run(f"run {order}"):
                module.lookup(0)
                offer(url, "lookup")
                module.lookup(order)

    made = [[run.python(step.dispatched.input) for step in run.steps if step.kind == "tool"] for run in record.runs]
    assert made == [[{"order": 1}], [{"order": 2}]]


def test_a_module_imported_when_its_tool_is_called_is_covered(url: str, load: Loading) -> None:
    with recorded(tools=["auto"]) as record:
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

    with recording(tools=["auto"]) as made:
        assert module.lookup(ask, 2) == "found"
    with replaying(made.record, {"tools": ["auto"]}) as again:
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

    with recorded(tools=["auto"]) as record:
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

    with recorded(tools=["auto"]) as record, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(agent, names)) == [1] * 8

    assert sorted(tools(record)) == names


def test_who_offers_the_same_waits_until_it_is_recorded(load: Loading) -> None:
    names = [f"tool_{number}" for number in range(8)]
    module = load("".join(f"def {name}(order): return order\n" for name in names))
    ready = threading.Barrier(8)

    def agent(name: str) -> int:
        recording = process.current
        assert recording is not None
        ready.wait(30)
        recording.offer(names)  # what a request does before it goes out
        return int(getattr(module, name)(1))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with recorded(tools=["auto"]) as record, ThreadPoolExecutor(8) as pool:
            assert list(pool.map(agent, names)) == [1] * 8
    finally:
        sys.setswitchinterval(interval)

    assert sorted(tools(record)) == names


# --- what a program can see of it ---------------------------------------------------------------------------


ASKED = """
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
KINDS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def asked(functions: list[Any]) -> list[Any]:
    """What a program may ask about its functions."""
    return [
        (
            inspect.signature(f),
            inspect.getfullargspec(f),
            inspect.getsource(f),
            inspect.getclosurevars(f).nonlocals,
            [kind(f) for kind in KINDS],
            (f.__name__, f.__qualname__, f.__module__, f.__doc__, f.__defaults__, f.__kwdefaults__, f.__annotations__),
            set(f.__code__.co_freevars),
            f.__code__.co_name,
            set(inspect.unwrap(f).__code__.co_varnames) <= set(f.__code__.co_varnames),
        )
        for f in functions
    ]


def test_a_program_that_asks_about_its_function_is_told_the_same(url: str, load: Loading) -> None:
    module = load(ASKED)
    functions = [getattr(module, name) for name in ("lookup", "plain", "old", "stream")]

    before = asked(functions)
    with recorded(tools=["auto"]) as record:
        offer(url, "lookup", "plain", "old", "stream")
        assert asked(functions) == before
        assert pickle.loads(pickle.dumps(module.plain)) is module.plain
        copy = pickle.loads(cloudpickle.dumps(module.lookup))
        assert copy is module.lookup or copy(1) == "kept"

    told = [tool for tool in described(record).tools if tool.startswith(f"{module.__name__}:")]
    assert len(told) == 4  # other tests may have functions of these names
