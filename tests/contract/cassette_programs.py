"""Programs that teams test with cassettes: each asks over another client, and returns all that it saw as plain data."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import httpx
import openai
import requests
import urllib3

from agentrace.testing import Failure, Reply, StubProvider, ToolCall
from tests.contract.far_end import Canned, canned

KEY = "sk-proj-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928"
MODEL = "gpt-4o-mini"
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def provider() -> StubProvider:
    """The models: a tool call first, then whatever was asked for; the third request of a chat fails once."""
    stub = StubProvider(seed=7)
    stub.answer(Reply(tool_calls=(ToolCall("weather", {"city": "Kraków"}),)))
    stub.answer(Reply(text="It is 7 °C in Kraków."))
    stub.answer(Failure(status=429, retry_after_ms=1))
    stub.answer(Reply(text="Once more: 7 °C."))
    stub.answer(Failure(status=404, message="no such model"))
    return stub


def service() -> Any:
    """What is no model: JSON, a compressed body, a stream, bytes, nothing, and a header twice."""
    of_json = (("content-type", "application/json"),)
    packed = gzip.compress(b'{"packed": "caf\xc3\xa9"}', mtime=0)
    return canned(
        {
            "GET /items?q=a+b&limit=2": Canned(b'{"items": [1, 2]}', headers=of_json),
            "POST /items": Canned(b'{"made": true}', 201, of_json),
            "GET /packed": Canned(packed, headers=(*of_json, ("content-encoding", "gzip"))),
            "GET /events": Canned(b"data: 1\n\ndata: 2\n\n", headers=(("content-type", "text/event-stream"),)),
            "GET /bytes": Canned(bytes(range(256)), headers=(("content-type", "application/octet-stream"),)),
            "DELETE /items": Canned(b"", 204, ()),
            "GET /links": Canned(b"[]", headers=(("link", "<a>; rel=next"), ("link", "<b>; rel=last"))),
            "GET /moved": Canned(b"", 302, (("location", "/packed"),)),
            "GET /missing": Canned(b'{"detail": "nothing here"}', 404, of_json),
        }
    )


ASKED = (
    ("GET", "/items?q=a+b&limit=2", None),
    ("POST", "/items", {"name": "lamp", "price": 1.5}),
    ("GET", "/packed", None),
    ("GET", "/events", None),
    ("GET", "/bytes", None),
    ("DELETE", "/items", None),
    ("GET", "/links", None),
    ("GET", "/moved", None),
    ("GET", "/missing", None),
)


def by_openai(url: str) -> list[Any]:
    """A chat with a tool, a stream, a retry, embeddings, a response, a list and an error."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=1) as client:
        messages: list[Any] = [{"role": "user", "content": "How warm is it in Kraków?"}]
        first = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
        said = first.choices[0].message
        result = {"role": "tool", "tool_call_id": (said.tool_calls or [])[0].id, "content": "7"}
        messages += [said.to_dict(), result]
        stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        told = [part.to_dict() for part in stream]
        again = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "And now?"}])
        try:
            client.chat.completions.create(model="none", messages=[{"role": "user", "content": "?"}])
        except openai.NotFoundError as error:
            failed = [type(error).__name__, str(error), error.status_code]
        vectors = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
        response = client.responses.create(model=MODEL, input="Say hello", temperature=0.5)
        listed = [model.id for model in client.models.list()]
        return [first.to_dict(), told, again.to_dict(), failed, vectors.to_dict(), response.to_dict(), listed]


def by_openai_at_once(url: str) -> list[Any]:
    """Calls that are open at the same time, in tasks."""

    async def main() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:

            async def ask(number: int) -> str | None:
                asked: list[Any] = [{"role": "user", "content": f"Question {number}"}]
                answer = await client.chat.completions.create(model=MODEL, messages=asked)
                return answer.choices[0].message.content

            return list(await asyncio.gather(*(ask(number) for number in range(6))))

    return asyncio.run(main())


def by_anthropic(url: str) -> list[Any]:
    """A message, a stream and a count."""
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        asked: Any = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Grüß Gott"}]}
        whole = client.messages.create(max_tokens=50, **asked)
        with client.messages.stream(max_tokens=50, **asked) as stream:
            told = [event.to_dict() for event in stream]
        counted = client.messages.count_tokens(**asked)
        return [whole.to_dict(), told, counted.to_dict()]


def by_httpx(url: str) -> list[Any]:
    """The service, over httpx."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}, follow_redirects=True) as client:
        answers = [client.request(method, path, json=body) for method, path, body in ASKED]
        return [[one.status_code, one.content, one.headers.get_list("link")] for one in answers]


def by_httpx_speaking(url: str) -> list[Any]:
    """A model, asked without any library of its provider."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with httpx.Client(base_url=url) as client:
        return [client.post("/v1/chat/completions?api-version=2", json=body).json()]


def by_requests(url: str) -> list[Any]:
    """The service, over requests."""
    with requests.Session() as session:
        answers = [session.request(method, f"{url}{path}", json=body) for method, path, body in ASKED]
        return [[one.status_code, one.content, one.headers.get("link")] for one in answers]


def by_urllib3(url: str) -> list[Any]:
    """The service, over urllib3."""
    with urllib3.PoolManager() as pool:
        answers = [pool.request(method, f"{url}{path}", json=body) for method, path, body in ASKED]
        return [[one.status, one.data, one.headers.getlist("link")] for one in answers]


def by_aiohttp(url: str) -> list[Any]:
    """The service, over aiohttp."""

    async def main() -> list[Any]:
        seen: list[Any] = []
        async with aiohttp.ClientSession() as session:
            for method, path, body in ASKED:
                sent = None if body is None else json.dumps(body).encode()
                async with session.request(method, f"{url}{path}", data=sent) as answer:
                    seen.append([answer.status, await answer.read(), answer.headers.getall("link", [])])
        return seen

    return asyncio.run(main())


MODELS: tuple[Callable[[str], list[Any]], ...] = (by_openai, by_openai_at_once, by_anthropic, by_httpx_speaking)
SERVICE: tuple[Callable[[str], list[Any]], ...] = (by_httpx, by_requests, by_urllib3, by_aiohttp)
