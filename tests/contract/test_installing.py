"""Putting the hooks in place and taking them back: in any order with the program's own doings, and without a trace."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import anthropic._base_client
import httpx
import httpx2
import openai
import pytest
import urllib3
import urllib3.util.connection
from openai._base_client import AsyncAPIClient, SyncAPIClient

import agentrace
from agentrace.integrations import libraries
from agentrace.integrations.httpx_family import asks_for_transport, install
from agentrace.store import Store
from agentrace.testing import StubProvider
from tests.contract.openai_scenarios import HELLO, KEY, MODEL
from tests.contract.recording import Recording, recording, replaying

WIRES = (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient)
ANTHROPIC = (anthropic._base_client.SyncAPIClient, anthropic._base_client.AsyncAPIClient)
POOLS = (urllib3.connectionpool.HTTPConnectionPool, urllib3.connectionpool.HTTPSConnectionPool)
OTHER_WIRES = (*POOLS, urllib3.util.connection, urllib3.util.Retry, aiohttp.ClientSession)
HOOKED = (SyncAPIClient, AsyncAPIClient, *ANTHROPIC, anthropic._base_client.BaseClient, *WIRES, *OTHER_WIRES)


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider(seed=20)


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, http_client=httpx2.Client(verify=False))


def names(recorded: Recording) -> list[str]:
    return [step.name for step in recorded.record.trace.steps.values()]


def test_clients_and_methods_from_before_are_recorded(url: str) -> None:
    with client(url) as early:
        create, listing = early.chat.completions.create, early.models.list

        with recording() as recorded:
            create(model=MODEL, messages=HELLO)
            listing()

    assert names(recorded) == ["openai.chat.completions", "openai.models"]


def test_an_early_client_of_its_own_making_is_recorded(url: str) -> None:
    """The client that the library makes for itself, TLS and all."""
    early = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY)

    with recording() as recorded:
        early.chat.completions.create(model=MODEL, messages=HELLO)
    early.close()

    assert names(recorded) == ["openai.chat.completions"]


def test_a_stream_from_before_goes_on_unrecorded(url: str) -> None:
    with client(url) as early:
        stream = early.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(stream)

        with recording() as recorded:
            rest = list(stream)

    assert rest[-1].choices[0].finish_reason == "stop"
    assert recorded.memory.written == []


def test_a_stream_that_outlives_the_recording_goes_on(url: str) -> None:
    with client(url) as asking:
        with recording() as recorded:
            stream = asking.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            next(stream)
        rest = list(stream)

    (step,) = recorded.record.trace.steps.values()
    assert rest[-1].choices[0].finish_reason == "stop"
    assert step.ended is not None
    assert step.ended.outcome == "closed_by_consumer"


def test_initialising_twice_records_once(url: str, tmp_path: Path) -> None:
    agentrace.init(home=str(tmp_path / "store"))
    agentrace.init(home=str(tmp_path / "store"))
    with client(url) as asking:
        asking.chat.completions.create(model=MODEL, messages=HELLO)
    agentrace.shutdown()

    store = Store(tmp_path / "store")
    (entry,) = store.entries
    assert [step.name for step in store.record(entry.run_id).trace.steps.values()] == ["openai.chat.completions"]


def test_nothing_is_left_behind(url: str) -> None:
    before = [dict(vars(owner)) for owner in HOOKED]
    watching = list(sys.meta_path)
    order = [list(vars(owner)) for owner in HOOKED]

    for _ in range(2):
        with recording() as recorded, client(url) as asking:
            asking.models.list()
        with replaying(recorded.record), client(url) as asking:
            asking.models.list()

    assert [dict(vars(owner)) for owner in HOOKED] == before
    assert [list(vars(owner)) for owner in HOOKED] == order
    assert sys.meta_path == watching


def test_hooked_functions_look_as_before() -> None:
    def looked_at() -> list[Any]:
        ours = [SyncAPIClient.request, AsyncAPIClient.request, *(owner._request for owner in ANTHROPIC)]
        others = [POOLS[0]._make_request, POOLS[1]._prepare_proxy, aiohttp.ClientSession._request]
        return [*ours, httpx.Client._transport_for_url, *others]

    before = [_looks(function) for function in looked_at()]
    originals = set(looked_at())

    with recording():
        hooked = looked_at()
        during = [_looks(function) for function in hooked]
        copies = [pickle.loads(pickle.dumps(function)) for function in hooked]

    assert during == before
    assert copies == hooked
    assert not set(hooked) & originals


def _looks(function: Any) -> list[Any]:
    kinds = (inspect.isfunction(function), inspect.iscoroutinefunction(function))
    return [inspect.signature(function), function.__qualname__, function.__module__, function.__doc__, kinds]


def test_no_integration_is_long() -> None:
    """What libraries have in common stands beside them."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in Path(libraries.__path__[0]).glob("*.py")}

    assert {"urllib3.py", "aiohttp.py"} <= set(lengths)
    assert {name for name, lines in lengths.items() if lines > 150} == set()


def test_an_aliased_library_is_hooked_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx2 can stand in for httpx, under both names at once."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)

    with recording() as recorded, httpx2.Client(verify=False) as asking:
        asking.get(f"{url}/v1/models")

    (step,) = recorded.record.trace.steps.values()
    assert step.exchanges == 1


# --- a library that chooses its transports in another way ---------------------------------------------------


def other_family() -> Any:
    """A library like httpx2 whose clients do not ask for a transport where they used to."""
    original, original_async = httpx2.Client.__dict__, httpx2.AsyncClient.__dict__

    class Client(httpx2.Client):
        _transport_for_url = original["_transport_for_url"]
        send = original["send"]

    class AsyncClient(httpx2.AsyncClient):
        _transport_for_url = original_async["_transport_for_url"]
        send = original_async["send"]

    return SimpleNamespace(**{**vars(httpx2), "Client": Client, "AsyncClient": AsyncClient})


def test_whether_a_transport_is_asked_for_is_tested() -> None:
    other = other_family()

    assert all(asks_for_transport(owner) for owner in WIRES)
    assert not asks_for_transport(other.Client)
    assert not asks_for_transport(other.AsyncClient)
    with pytest.raises(RuntimeError, match=r"neither Client\._transport_for_url nor Client\.send"):
        install(SimpleNamespace(**{**vars(httpx2), "Client": type("Client", (), {})}), "other")


def test_sending_is_recorded_where_no_transport_is_asked_for(url: str, stub: StubProvider) -> None:
    other = other_family()

    def program() -> list[Any]:
        install(other, "other")
        with other.Client(verify=False, base_url=url) as asking:
            whole = asking.get("/v1/models/gpt-4o")
            with asking.stream("POST", "/v1/chat/completions", json=STREAMED) as response:
                lines = list(response.iter_lines())
            with pytest.raises(httpx2.ConnectError) as refused:
                asking.get("http://127.0.0.1:1/")
        return [whole.json(), whole.request.url.path, whole.headers["x-request-id"], lines, str(refused.value)]

    with recording() as recorded:
        live = program()
    asked = len(stub.requests)
    with replaying(recorded.record) as again:
        replayed = program()

    told = [(step.operation, step.outcome, step.exchanges) for step in steps(recorded)]
    assert told == [
        ("GET /v1/models/gpt-4o", "exhausted", 1),
        ("chat/completions:stream", "exhausted", 1),
        ("GET /", "error", 1),
    ]
    assert replayed == live
    assert len(stub.requests) == asked
    assert again.tape is not None
    assert again.tape.latched is None


def test_sending_is_recorded_in_an_async_client_too(url: str, stub: StubProvider) -> None:
    other = other_family()

    async def program() -> list[Any]:
        install(other, "other")
        async with other.AsyncClient(verify=False, base_url=url) as asking:
            whole = await asking.get("/v1/models/gpt-4o")
            async with asking.stream("POST", "/v1/chat/completions", json=STREAMED) as response:
                lines = [line async for line in response.aiter_lines()]
            with pytest.raises(httpx2.ConnectError):
                await asking.get("http://127.0.0.1:1/")
        return [whole.json(), whole.headers["x-request-id"], lines]

    with recording() as recorded:
        live = asyncio.run(program())
    asked = len(stub.requests)
    with replaying(recorded.record):
        replayed = asyncio.run(program())

    assert [step.outcome for step in steps(recorded)] == ["exhausted", "exhausted", "error"]
    assert replayed == live
    assert len(stub.requests) == asked


STREAMED = {"model": MODEL, "messages": HELLO, "stream": True}


def steps(recorded: Recording) -> list[SimpleNamespace]:
    """Operation, outcome and number of exchanges of each step."""
    return [
        SimpleNamespace(
            operation=step.dispatched.operation,
            outcome="" if step.ended is None else step.ended.outcome,
            exchanges=step.exchanges,
        )
        for step in recorded.record.trace.steps.values()
    ]
