"""Real Anthropic clients that talk to a stub, and what it answers without any client's reading."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx2
from anthropic import Anthropic

from tests.unit.openai_clients import http

KEY = "sk-ant-test"
MODEL = "claude-haiku-4-5"
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 256, "messages": HELLO}
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
    },
}


@cache
def _client() -> Anthropic:
    return Anthropic(base_url="http://127.0.0.1", api_key=KEY, http_client=httpx2.Client(verify=False))


def client(url: str, *, retries: int = 0) -> Anthropic:
    """A client of the stub at ``url``."""
    return _client().with_options(base_url=url, max_retries=retries, timeout=30)


def posted(url: str, path: str, body: dict[str, Any]) -> httpx2.Response:
    """What the stub answers to a request that says whom it is for."""
    return http().post(f"{url}/v1{path}", json=body, headers={"anthropic-version": "2023-06-01"})
