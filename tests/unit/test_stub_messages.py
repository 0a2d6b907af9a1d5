"""The stub's messages, seen through the real Anthropic client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from agentrace.testing import Reply, StubProvider, ToolCall, Usage
from tests.unit.anthropic_clients import ASK, HELLO, MODEL, WEATHER, client, posted
from tests.unit.openai_clients import client as openai_client
from tests.unit.openai_clients import events_of, http


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


# --- whole messages -----------------------------------------------------------------------------------------


def test_a_message_has_what_a_real_one_has(stub: StubProvider, url: str) -> None:
    stub.reply("Hello!")

    response = posted(url, "/messages", ASK)
    body = response.json()

    Message.model_validate(body)
    assert re.fullmatch(r"msg_01[A-Za-z0-9]{22}", body.pop("id"))
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 0},
            "service_tier": "standard",
        },
    }
    assert re.fullmatch(r"req_011[A-Za-z0-9]{21}", response.headers["request-id"])
    assert response.headers["anthropic-ratelimit-requests-limit"] == "4000"


def test_a_message_thinks_speaks_and_calls(stub: StubProvider, url: str) -> None:
    stub.answer(Reply(text="Let me see.", tool_calls=(ToolCall("get_weather", {"city": "Oslo"}),), reasoning="Which?"))

    answer = client(url).messages.create(**ASK, tools=[WEATHER])

    thinking, text, call = answer.content
    assert (thinking.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert (thinking.thinking, text.text) == ("Which?", "Let me see.")
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    assert re.fullmatch(r"toolu_01[A-Za-z0-9]{22}", call.id)
    assert answer.stop_reason == "tool_use"
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.thinking_tokens >= 64


def test_a_request_to_think_is_followed(url: str) -> None:
    answer = posted(url, "/messages", {**ASK, "thinking": {"type": "enabled", "budget_tokens": 1024}}).json()

    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert answer["content"][0]["thinking"]


@pytest.mark.parametrize(
    ("told", "reason"), [("length", "max_tokens"), ("content_filter", "refusal"), ("pause_turn", "pause_turn")]
)
def test_the_reason_to_stop_is_told_in_its_words(stub: StubProvider, url: str, told: str, reason: str) -> None:
    stub.reply("Once upon", finish_reason=told)

    assert client(url).messages.create(**ASK).stop_reason == reason


def test_a_refusal_has_no_content(stub: StubProvider, url: str) -> None:
    stub.refusal("I will not.")

    body = posted(url, "/messages", ASK).json()

    assert (body["content"], body["stop_reason"]) == ([], "refusal")
    assert body["stop_details"]["explanation"] == "I will not."


def test_what_is_made_up_fits_the_request(url: str) -> None:
    forced = client(url).messages.create(**ASK, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"})
    shaped = posted(url, "/messages", {**ASK, "output_config": {"format": _format(WEATHER["input_schema"])}}).json()
    short = client(url).messages.create(model=MODEL, max_tokens=3, messages=HELLO)

    assert forced.content[0].type == "tool_use"
    assert set(forced.content[0].input) == {"city", "days"}  # type: ignore[call-overload]
    assert set(json.loads(shaped["content"][0]["text"])) == {"city", "days"}
    assert (short.stop_reason, short.usage.output_tokens <= 3) == ("max_tokens", True)


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "schema": schema}


# --- streams ------------------------------------------------------------------------------------------------


def test_a_message_streams_as_named_events(stub: StubProvider, url: str) -> None:
    stub.reply("Hi, you", reasoning="Hm", usage=Usage(input=100, cached=30, written=20, output=9, reasoning=4))

    response = posted(url, "/messages", {**ASK, "stream": True})
    events = events_of(response)

    read: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in events:
        if event["type"] != "ping":
            read.validate_python(event)
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * 2,
        "content_block_stop",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    names = [line[7:] for line in response.text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert [e["delta"]["type"] for e in events[3:5]] == ["thinking_delta", "signature_delta"]
    assert [e["delta"]["text"] for e in events[7:10]] == ["Hi", ",", " you"]
    assert events[-2]["usage"] == {
        "input_tokens": 50,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 30,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }


def test_a_stream_makes_the_message_that_comes_in_one_piece(stub: StubProvider, url: str) -> None:
    reply = Reply(text="Look:", tool_calls=(ToolCall("get_weather", {"city": "Oslo", "days": 2}),), reasoning="Hm.")
    stub.answer(reply).answer(reply)

    whole = client(url).messages.create(**ASK)
    with client(url).messages.stream(**ASK) as stream:
        final = stream.get_final_message()

    kept = {"type", "text", "thinking", "name", "input"}
    assert [block.model_dump(include=kept) for block in final.content] == [
        block.model_dump(include=kept) for block in whole.content
    ]
    assert final.stop_reason == whole.stop_reason


def test_arguments_that_are_no_json_stream_as_they_are(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", "{bad"), ("get_weather", {"city": "Rome"}))

    events = events_of(posted(url, "/messages", {**ASK, "stream": True}))

    pieces = {0: "", 1: ""}
    for event in events:
        if event["type"] == "content_block_delta":
            pieces[event["index"]] += event["delta"]["partial_json"]
    assert pieces == {0: "{bad", 1: '{"city":"Rome"}'}


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ttl", "bucket"), [({}, "5m"), ({"ttl": "1h"}, "1h")])
def test_the_cache_is_written_and_read_where_a_prompt_says_so(url: str, ttl: dict[str, str], bucket: str) -> None:
    long = {"type": "text", "text": "word " * 1200, "cache_control": {"type": "ephemeral", **ttl}}
    first = {**ASK, "system": [long]}
    second = {**first, "messages": [*HELLO, {"role": "assistant", "content": "Hi."}, *HELLO]}

    written = posted(url, "/messages", first).json()["usage"]
    read = posted(url, "/messages", second).json()["usage"]
    without = posted(url, "/messages", {**second, "system": "word " * 1200}).json()["usage"]

    assert (
        written["cache_creation"][f"ephemeral_{bucket}_input_tokens"] == written["cache_creation_input_tokens"] > 1024
    )
    assert read["cache_read_input_tokens"] >= 1024
    assert read["cache_creation_input_tokens"] == 0
    assert without["cache_read_input_tokens"] == without["cache_creation_input_tokens"] == 0


def test_tokens_are_counted_without_an_answer(stub: StubProvider, url: str) -> None:
    counted = client(url).messages.count_tokens(model=MODEL, messages=HELLO)

    assert counted.input_tokens == client(url).messages.create(**ASK).usage.input_tokens
    assert stub.requests[0].endpoint == "count_tokens"


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
def test_an_error_is_the_one_of_its_status(
    stub: StubProvider, url: str, status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    stub.error(status)

    with pytest.raises(raised) as failed:
        client(url).messages.create(**ASK)

    body: Any = failed.value.body
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == failed.value.request_id == failed.value.response.headers["request-id"]


def test_an_error_says_when_to_come_again(stub: StubProvider, url: str) -> None:
    stub.error(429, retry_after=0.01).error(529, retry_after_ms=1).reply("At last.")

    answer = client(url, retries=2).messages.create(**ASK)

    assert answer.content[0].type == "text"
    assert len(stub.requests) == 3


def test_an_error_inside_a_stream_is_its_last_event(stub: StubProvider, url: str) -> None:
    stub.error(529, after_chunks=4, of=Reply(text="One two three"))

    with client(url).messages.stream(**ASK) as stream:
        first = next(stream.text_stream)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            next(stream.text_stream)

    assert first == "One"


CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"max_tokens": 9, "messages": HELLO}, "model: Field required"),
        ({"model": MODEL, "max_tokens": 9}, "messages: Field required"),
        ({"model": MODEL, "messages": HELLO}, "max_tokens: Field required"),
        ({**ASK, "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
        ({**ASK, "messages": [*HELLO, CALLED, *HELLO]}, "messages.1: `tool_use` ids were found without"),
    ],
)
def test_a_request_that_would_be_refused_is_refused(url: str, body: dict[str, Any], message: str) -> None:
    response = posted(url, "/messages", body)

    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


def test_a_tool_that_was_answered_goes_on(stub: StubProvider, url: str) -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Rain."}]}
    client(url).messages.create(**{**ASK, "messages": [*HELLO, CALLED, {"role": "user", "content": [result]}]})

    assert (stub.requests[0].role, stub.requests[0].text) == ("tool", "Rain.")


# --- whose request it is ------------------------------------------------------------------------------------


def test_a_path_that_two_providers_have_is_answered_for_the_one_that_is_asked(url: str) -> None:
    ours, theirs = client(url).models.list(), openai_client(url).models.list()

    assert {model.id for model in ours.data}.isdisjoint(model.id for model in theirs.data)
    assert client(url).models.retrieve("claude-haiku-4-5").display_name == "Claude Haiku 4.5"
    with pytest.raises(anthropic.NotFoundError):
        client(url).models.retrieve("gpt-4o")


def test_a_path_that_nobody_has_is_missed_in_the_words_of_the_one_that_is_asked(url: str) -> None:
    mine = posted(url, "/nowhere", {})
    other = http().post(f"{url}/v1/nowhere", json={})
    wrong_method = http().get(f"{url}/v1/messages", headers={"anthropic-version": "2023-06-01"})

    assert (mine.status_code, mine.json()["error"]["type"]) == (404, "not_found_error")
    assert (other.status_code, other.json()["error"]["type"]) == (404, "invalid_request_error")
    assert wrong_method.status_code == 405


def test_a_script_may_be_for_one_endpoint(stub: StubProvider, url: str) -> None:
    stub.error(500, on="count_tokens")

    assert client(url).messages.create(**ASK).stop_reason == "end_turn"
    with pytest.raises(anthropic.InternalServerError):
        client(url).messages.count_tokens(model=MODEL, messages=HELLO)
