"""Bare HTTP requests that speak like a provider's library, over every wire: each is a model's call."""

from __future__ import annotations

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import aiohttp
import httpx
import httpx2
import urllib3

from tests.contract import aiohttp_subjects, anthropic_json, http_subjects, openai_json, urllib3_subjects
from tests.contract.openai_scenarios import HELLO, KEY, MODEL
from tests.contract.scenarios import Expected, Scenario, Subject, World

CHAT = {"model": MODEL, "messages": HELLO}
RESPONSE = {"model": MODEL, "input": "Hello there"}
EMBEDDING = {"model": "text-embedding-3-small", "input": ["one", "two"]}
MESSAGE = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": HELLO}
_VERSION = {"anthropic-version": "2023-06-01", "x-api-key": KEY}


async def over_httpx(world: World, path: str, body: Any, headers: dict[str, str]) -> Any:
    return (await world.of(world.client.post(f"{world.url}{path}", json=body, headers=headers))).text


async def over_urllib3(world: World, path: str, body: Any, headers: dict[str, str]) -> Any:
    told = {**headers, "content-type": "application/json"}
    asked = world.client.urlopen("POST", f"{world.url}{path}", body=json.dumps(body), headers=told)
    return asked.data.decode()


async def over_requests(world: World, path: str, body: Any, headers: dict[str, str]) -> Any:
    with world.client.post(f"{world.url}{path}", json=body, headers=headers, stream=True) as response:
        return b"".join(response.iter_content(None)).decode()


async def over_aiohttp(world: World, path: str, body: Any, headers: dict[str, str]) -> Any:
    async with aiohttp_subjects.session(world).post(f"{world.url}{path}", json=body, headers=headers) as response:
        return b"".join([line async for line in response.content]).decode()


def _asking(over: Any, path: str, body: Any, headers: dict[str, str]) -> Any:
    async def does(world: World) -> Any:
        return await over(world, path, body, headers)

    return does


def _scenario(name: str, over: Any, path: str, body: Any, operation: str, library: str, whole: str, **more: Any) -> Any:
    streamed = body.get("stream", False)
    kind = "embedding" if operation == "embeddings" else "model"
    called = f"{library}.{operation.replace('/', '.')}"
    told = f"{operation}:stream" if streamed else operation
    headers = _VERSION if "max_tokens" in body else {"authorization": f"Bearer {KEY}"}
    steps = (Expected(kind, called, told, whole, (200,), "exhausted"),)
    return Scenario(name, _asking(over, path, body, headers), steps, **more)


def subjects() -> tuple[Subject, ...]:
    """For each wire one subject of either provider's shape."""
    made: list[Subject] = []
    wires: tuple[tuple[str, ModuleType, Any, Any, str, Any], ...] = (
        ("httpx", httpx, http_subjects.client, over_httpx, "exhausted", {}),
        ("httpx2", httpx2, http_subjects.client, over_httpx, "exhausted", {}),
        ("urllib3", urllib3, urllib3_subjects.pool, over_urllib3, urllib3_subjects.WHOLE, {"only": "sync"}),
        ("requests", urllib3, urllib3_subjects.session, over_requests, "exhausted", {"only": "sync"}),
        ("aiohttp", aiohttp, aiohttp_subjects.nothing_yet, over_aiohttp, "exhausted", {"only": "async"}),
    )
    for name, module, client, over, whole, more in wires:
        first = (
            ("chat", "/v1/chat/completions", CHAT, "chat/completions"),
            ("chat-elsewhere", "/openai/v1/chat/completions", CHAT, "chat/completions"),
            ("chat-stream", "/v1/chat/completions", {**CHAT, "stream": True}, "chat/completions"),
            ("responses", "/v1/responses", RESPONSE, "responses"),
            ("embeddings", "/v1/embeddings", EMBEDDING, "embeddings"),
        )
        other = (
            ("messages", "/v1/messages", MESSAGE, "messages"),
            ("messages-stream", "/v1/messages", {**MESSAGE, "stream": True}, "messages"),
        )
        subject = Subject(f"spoken-{name}", module, client, (), key=KEY)
        asked = [_scenario(n, over, p, b, o, "openai", whole, **more) for n, p, b, o in first]
        made.append(replace(subject, scenarios=tuple(asked), told=openai_json.told_by))
        asked = [_scenario(n, over, p, b, o, "anthropic", whole, **more) for n, p, b, o in other]
        made.append(replace(subject, scenarios=tuple(asked), told=anthropic_json.told_by))
    return tuple(made)


SPOKEN = subjects()
