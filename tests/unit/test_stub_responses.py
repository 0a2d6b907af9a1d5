"""The stub's responses, seen through the real OpenAI client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from agentrace.testing import StubProvider
from tests.unit.openai_clients import MODEL, WEATHER, Person, client, events_of, posted

RESPONSES_TOOL: Any = {"type": "function", "strict": False, **WEATHER}


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


def test_a_response_has_what_a_real_one_has(stub: StubProvider, url: str) -> None:
    stub.reply("Hello!")

    body = posted(
        url,
        "/responses",
        {"model": MODEL, "input": "Hello there", "temperature": 0.5, "metadata": {"a": "b"}},
    ).json()

    Response.model_validate(body)
    assert re.fullmatch(r"resp_[0-9a-f]{50}", body["id"])
    assert body["status"] == "completed"
    assert (body["temperature"], body["metadata"], body["top_p"]) == (0.5, {"a": "b"}, 1.0)
    assert body["text"] == {"verbosity": "medium", "format": {"type": "text"}}
    (message,) = body["output"]
    assert re.fullmatch(r"msg_[0-9a-f]{50}", message.pop("id"))
    assert message.pop("content") == [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello!"}]
    assert message == {"type": "message", "status": "completed", "role": "assistant"}
    assert body["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 9,
    }


def test_a_response_thinks_then_calls(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"}), reasoning="Both.")

    answer = client(url).responses.create(model=MODEL, input="Weather?", tools=[RESPONSES_TOOL])

    assert [item.type for item in answer.output] == ["reasoning", "function_call", "function_call"]
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Oslo", "Rome"]
    assert all(re.fullmatch(r"call_[A-Za-z0-9]{24}", call.call_id) for call in calls)
    assert all(re.fullmatch(r"fc_[0-9a-f]{50}", call.id or "") for call in calls)
    assert answer.output[0].type == "reasoning"
    assert [part.text for part in answer.output[0].summary] == ["Both."]
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens >= 64


@pytest.mark.parametrize(("told", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_response_that_is_not_finished_says_why(stub: StubProvider, url: str, told: str, reason: str) -> None:
    stub.reply("Once upon", finish_reason=told).reply("Once upon", finish_reason=told)

    answer = client(url).responses.create(model=MODEL, input="A story")
    stream = posted(url, "/responses", {"model": MODEL, "input": "A story", "stream": True})

    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == reason
    assert events_of(stream)[-1]["type"] == "response.incomplete"


def test_a_text_response_streams_as_numbered_events(stub: StubProvider, url: str) -> None:
    stub.reply("Hi, you")

    response = posted(url, "/responses", {"model": MODEL, "input": "Hello", "stream": True})
    events = events_of(response)

    read: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        read.validate_python(event)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    names = [line[7:] for line in response.text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["delta"] for event in events[4:7]] == ["Hi", ",", " you"]
    assert events[2]["item"]["content"] == []
    assert events[2]["item"]["status"] == "in_progress"
    assert (events[0]["response"]["usage"], events[0]["response"]["output"]) == (None, [])
    assert events[-1]["response"]["output"] == [events[-2]["item"]]
    assert events[-1]["response"]["usage"]["output_tokens"] == 2


def test_function_calls_and_thoughts_stream_too(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", {"city": "Oslo"}), reasoning="Hm.")

    events = events_of(posted(url, "/responses", {"model": MODEL, "input": "Hello", "stream": True}))

    read: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        read.validate_python(event)
    kinds = list(dict.fromkeys(event["type"].removeprefix("response.") for event in events))
    deltas = [e["delta"] for e in events if e["type"] == "response.function_call_arguments.delta"]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "completed",
    ]
    assert "".join(deltas) == '{"city":"Oslo"}'
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == [
        0,
        1,
    ]


def test_the_responses_helper_streams_and_parses(url: str) -> None:
    with client(url).responses.stream(model=MODEL, input="Who?", text_format=Person) as stream:
        stream.until_done()
        streamed = stream.get_final_response().output_parsed
    parsed = client(url).responses.parse(model=MODEL, input="Who?", text_format=Person).output_parsed

    assert isinstance(streamed, Person)
    assert isinstance(parsed, Person)


def test_a_response_can_refuse(stub: StubProvider, url: str) -> None:
    stub.refusal("No, no.")

    with client(url).responses.stream(model=MODEL, input="Tell me") as stream:
        deltas = [event.delta for event in stream if event.type == "response.refusal.delta"]
        final = stream.get_final_response()

    assert "".join(deltas) == "No, no."
    assert final.output[0].type == "message"
    assert final.output[0].content[0].model_dump() == {"type": "refusal", "refusal": "No, no."}


def test_a_demanded_tool_is_called_by_a_response(url: str) -> None:
    answer = client(url).responses.create(
        model=MODEL,
        input="x",
        tools=[RESPONSES_TOOL],
        tool_choice={"type": "function", "name": "get_weather"},
    )

    (call,) = answer.output
    assert call.type == "function_call"
    assert json.loads(call.arguments).keys() == {"city", "days"}
