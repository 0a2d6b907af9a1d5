"""Which bare HTTP calls are a model's: those that say so themselves, whoever is asked, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

import agentrace
from agentrace.integrations.declaration import Usage
from agentrace.store import RunRecord
from tests.contract.far_end import Canned, FarEnd, canned
from tests.contract.recording import recording, replaying

HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "tiny-llama",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7},
}
EVENTS = (
    b'data: {"model": "tiny-llama", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": "."}, "finish_reason": "stop"}]}\n\n',
    b'data: {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}\n\ndata: [DONE]\n\n',
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of models that nobody knows, and of other things."""
    whole = Canned(json.dumps(ANSWER).encode())
    stream = Canned(EVENTS, headers=(("content-type", "text/event-stream"),))
    paths = ("/v1/chat/completions", "/deployments/tiny/chat/completions?api-version=1", "/messages", "/v1/responses")
    answers = {f"POST {path}": whole for path in paths} | {"GET /v1/chat/completions": whole}
    with FarEnd(canned({**answers, "POST /stream/chat/completions": stream})).serve() as address:
        yield address


def recorded(url: str, body: bytes, method: str = "POST") -> RunRecord:
    """The record of one request."""
    with recording() as made, httpx2.Client(verify=False) as asking:
        asking.request(method, url, content=body).read()
    return made.record


def told(record: RunRecord) -> list[Any]:
    return [(step.kind, step.name, step.dispatched.operation) for step in record.trace.steps.values()]


def test_a_call_of_an_unknown_server_has_model_tokens_and_text(url: str) -> None:
    asked = {"model": "tiny", "messages": HELLO}
    whole = recorded(f"{url}/v1/chat/completions", json.dumps(asked).encode())
    streamed = recorded(f"{url}/stream/chat/completions", json.dumps({**asked, "stream": True}).encode())

    assert told(whole) == [("model", "openai.chat.completions", "chat/completions")]
    assert told(streamed) == [("model", "openai.chat.completions", "chat/completions:stream")]
    for record in (whole, streamed):
        facts = record.facts(1)
        assert facts is not None
        assert (facts.model, facts.text, facts.finish_reason) == ("tiny-llama", "Hi.", "stop")
        assert facts.usage == Usage(input_fresh=11, output_visible=7)
    assert whole.values.json(whole.trace.steps[1].dispatched.input) == asked


def test_what_the_url_asks_for_is_part_of_the_call(url: str) -> None:
    record = recorded(
        f"{url}/deployments/tiny/chat/completions?api-version=1", json.dumps({"messages": HELLO}).encode()
    )

    assert told(record)[0][0] == "model"
    assert record.values.json(record.trace.steps[1].dispatched.input) == {"messages": HELLO, "$query": "api-version=1"}


@pytest.mark.parametrize(
    ("path", "body", "method"),
    [
        ("/v1/chat/completions", b"", "POST"),
        ("/v1/chat/completions", b"{not JSON", "POST"),
        ("/v1/chat/completions", b'["messages"]', "POST"),
        ("/v1/chat/completions", b'{"messages": "all"}', "POST"),
        ("/v1/chat/completions", b'{"messages": []}', "GET"),
        ("/v1/responses", b'{"survey": 7, "input": "yes"}', "POST"),
        ("/messages", b'{"to": "Ann", "messages": ["Hello"]}', "POST"),
        ("/messages", b"[" * 100_000, "POST"),
        ("/messages", b'{"model": "\xff"}', "POST"),
    ],
)
def test_other_requests_are_tools(url: str, path: str, body: bytes, method: str) -> None:
    record = recorded(f"{url}{path}", body, method)

    assert told(record) == [("tool", f"{method} 127.0.0.1{path}", f"{method} {path}")]


def test_inside_a_tool_it_is_an_exchange_of_the_tool(url: str) -> None:
    @agentrace.tool
    def ask() -> Any:
        return httpx2.post(f"{url}/v1/chat/completions", json={"messages": HELLO}, verify=False).json()

    with recording() as made:
        live = ask()
    with replaying(made.record) as again:
        replayed = ask()

    assert [step.kind for step in made.record.trace.steps.values()] == ["tool"]
    assert len(made.record.exchanges(1)) == 1
    assert replayed == live == ANSWER
    assert again.tape is not None
    assert again.tape.latched is None


def test_a_changed_prompt_is_a_changed_call(url: str) -> None:
    def program(said: str) -> Any:
        body = {"messages": [{"role": "user", "content": said}]}
        return httpx2.post(f"{url}/v1/chat/completions", json=body, verify=False).json()

    with recording() as made:
        program("Hello")

    with pytest.raises(agentrace.ReplayDivergence, match="CALL_CHANGED"), replaying(made.record):
        program("Goodbye")
