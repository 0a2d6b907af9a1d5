"""Real OpenAI clients that talk to a stub, and what their requests say.

A client is made once, because its TLS setup takes longer than a test.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

KEY = "sk-test"
MODEL = "gpt-4o-mini"
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
    },
}


class Person(BaseModel):
    """What an answer can be asked to be."""

    name: str
    age: int
    friends: list[Person]


@cache
def _client() -> OpenAI:
    return OpenAI(base_url="http://127.0.0.1/v1", api_key=KEY, http_client=httpx2.Client(verify=False))


def client(url: str, *, retries: int = 0, timeout: float = 30) -> OpenAI:
    """A client of the stub at ``url``."""
    return _client().with_options(base_url=f"{url}/v1", max_retries=retries, timeout=timeout)


def async_client(url: str, *, retries: int = 0) -> AsyncOpenAI:
    """An async client of the stub at ``url``, for one event loop."""
    http = httpx2.AsyncClient(verify=False)
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=retries, timeout=30, http_client=http)


@cache
def http() -> httpx2.Client:
    """A client that reads nothing into what it gets; it uses no connection twice."""
    return httpx2.Client(verify=False, limits=httpx2.Limits(max_keepalive_connections=0))


def posted(url: str, path: str, body: dict[str, Any]) -> httpx2.Response:
    """What the stub answers to a request without any client's reading."""
    return http().post(f"{url}/v1{path}", json=body)


def events_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """The JSON of the events of a stream."""
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]
