"""The stub's chat completions, seen through the real OpenAI client."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agentrace.testing import StubProvider, Usage
from tests.unit.openai_clients import HELLO, MODEL, WEATHER, Person, async_client, client, events_of, posted

CHAT_TOOL: Any = {"type": "function", "function": WEATHER}


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


# --- whole answers ------------------------------------------------------------------------------------------


def test_a_chat_completion_has_what_a_real_one_has(stub: StubProvider, url: str) -> None:
    stub.reply("Hello!")

    raw = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    body = json.loads(raw.content)

    ChatCompletion.model_validate(body)
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{29}", body["id"])
    assert re.fullmatch(r"fp_[0-9a-f]{10}", body["system_fingerprint"])
    assert body["model"] == "gpt-4o-mini-2024-07-18"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_the_usual_headers_come_with_an_answer(url: str) -> None:
    headers = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO).headers

    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
    assert headers["content-type"] == "application/json"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-ratelimit-remaining-tokens"] == str(2_000_000 - 7)
    assert int(headers["openai-processing-ms"]) < 100
    assert headers["date"].endswith(" GMT")


def test_without_a_script_the_last_message_is_echoed(url: str) -> None:
    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO).choices[0]

    assert answer.message.content is not None
    assert answer.message.content.startswith('You said "Hello there". ')
    assert answer.finish_reason == "stop"


def test_parallel_tool_calls(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", {"city": "Oslo"}), ("get_weather", '{"city": "Ro'))

    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO, tools=[CHAT_TOOL]).choices[0]

    calls = answer.message.tool_calls or []
    assert answer.finish_reason == "tool_calls"
    assert answer.message.content is None
    assert [call.function.arguments for call in calls if call.type == "function"] == [
        '{"city":"Oslo"}',
        '{"city": "Ro',
    ]
    assert all(re.fullmatch(r"call_[A-Za-z0-9]{24}", call.id) for call in calls)
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_demanded_tool_is_called_with_arguments_that_fit(url: str, choice: Any) -> None:
    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO, tools=[CHAT_TOOL], tool_choice=choice)

    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert arguments.keys() == {"city", "days"}
    assert 1 <= arguments["days"] <= 7


def test_a_refusal(stub: StubProvider, url: str) -> None:
    stub.refusal("I cannot help with that.")

    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO).choices[0]

    assert (answer.message.refusal, answer.message.content) == ("I cannot help with that.", None)
    assert answer.finish_reason == "stop"


def test_several_choices(stub: StubProvider, url: str) -> None:
    stub.reply("Four token text.")

    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO, n=3)

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"Four token text."}
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_an_answer_stays_within_its_limit(url: str) -> None:
    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=4)

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == 'You said "Hello'


def test_usage_and_model_can_be_told(stub: StubProvider, url: str) -> None:
    stub.reply(
        "x",
        usage=Usage(input=2000, output=300, cached=1024, reasoning=256),
        finish_reason="length",
        model="gpt-9",
    )

    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO)

    assert answer.model == "gpt-9"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        2000,
        300,
        2300,
    )
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 1024
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 256


def test_a_long_conversation_is_read_from_the_cache(url: str) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 1200}, {"role": "assistant", "content": "Yes."}]

    first = client(url).chat.completions.create(model=MODEL, messages=long[:1]).usage
    second = client(url).chat.completions.create(model=MODEL, messages=[*long, *HELLO]).usage

    assert first is not None
    assert first.prompt_tokens_details is not None
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second is not None
    assert second.prompt_tokens_details is not None
    assert second.prompt_tokens_details.cached_tokens == (second.prompt_tokens // 128 - 1) * 128 > 1000


def test_a_reasoning_model_spends_reasoning_tokens(url: str) -> None:
    answer = client(url).chat.completions.create(model="gpt-5-nano", messages=HELLO)

    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) in range(64, 385, 64)
    assert answer.system_fingerprint is None


def test_parse_gets_an_object_of_its_class(url: str) -> None:
    answer = client(url).chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)

    person = answer.choices[0].message.parsed
    assert isinstance(person, Person)
    assert len(person.friends) == 2


def test_an_object_can_be_the_reply(stub: StubProvider, url: str) -> None:
    stub.reply({"name": "Kim", "age": 7, "friends": []})

    answer = client(url).chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)

    assert answer.choices[0].message.parsed == Person(name="Kim", age=7, friends=[])


def test_json_mode_gets_an_object(url: str) -> None:
    answer = client(url).chat.completions.create(model=MODEL, messages=HELLO, response_format={"type": "json_object"})

    assert json.loads(answer.choices[0].message.content or "") == {"echo": "Hello there"}


# --- streams ------------------------------------------------------------------------------------------------


def test_a_chat_stream_is_chunks_and_an_end(stub: StubProvider, url: str) -> None:
    stub.reply("Hello, world!")

    response = posted(url, "/chat/completions", {"model": MODEL, "messages": HELLO, "stream": True})
    chunks = events_of(response)

    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.text.endswith("\n\ndata: [DONE]\n\n")
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello"},
        {"content": ","},
        {"content": " world"},
        {"content": "!"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 5 + ["stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk and chunk["obfuscation"] for chunk in chunks)


def test_usage_ends_a_stream_that_wants_it(stub: StubProvider, url: str) -> None:
    stub.reply("Hi", usage=Usage(input=5, output=1))

    stream = client(url).chat.completions.create(
        model=MODEL,
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
    )
    chunks = list(stream)

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all("obfuscation" not in (chunk.model_extra or {}) for chunk in chunks)


def test_the_pieces_of_a_stream_can_be_told(stub: StubProvider, url: str) -> None:
    stub.reply("one two", pieces=("one ", "two"))

    stream = client(url).chat.completions.create(model=MODEL, messages=HELLO, stream=True)

    assert [chunk.choices[0].delta.content for chunk in stream] == ["", "one ", "two", None]


def test_tool_calls_stream_by_their_arguments(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", {"city": "Oslo"}), ("get_time", {}))

    response = posted(url, "/chat/completions", {"model": MODEL, "messages": HELLO, "stream": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in events_of(response)]

    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    names = [(call["index"], call["function"]["name"]) for call in calls if "id" in call]
    arguments = ["".join(c["function"]["arguments"] for c in calls if c["index"] == index) for index in (0, 1)]
    assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}
    assert names == [(0, "get_weather"), (1, "get_time")]
    assert arguments == ['{"city":"Oslo"}', "{}"]
    assert len(calls) > 6


def test_every_choice_of_a_stream_has_an_end(stub: StubProvider, url: str) -> None:
    stub.refusal("No.")

    stream = list(client(url).chat.completions.create(model=MODEL, messages=HELLO, n=2, stream=True))

    refusals = [(c.choices[0].index, c.choices[0].delta.refusal) for c in stream if c.choices[0].delta.refusal]
    ends = [(c.choices[0].index, c.choices[0].finish_reason) for c in stream if c.choices[0].finish_reason]
    assert refusals == [(0, "No"), (0, "."), (1, "No"), (1, ".")]
    assert ends == [(0, "stop"), (1, "stop")]


def test_the_stream_helper_puts_the_answer_together(stub: StubProvider, url: str) -> None:
    stub.tool_calls(("get_weather", {"city": "Oslo"}), reasoning="It asks for the weather.")

    with client(url).chat.completions.stream(model=MODEL, messages=HELLO, tools=[CHAT_TOOL]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()

    assert "tool_calls.function.arguments.delta" in kinds
    assert kinds[-1] == "tool_calls.function.arguments.done"
    (call,) = final.choices[0].message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Oslo"}')


def test_the_async_client_streams_the_same(stub: StubProvider, url: str) -> None:
    stub.reply("Hello, world!")

    async def read() -> list[str | None]:
        async with async_client(url) as openai:
            stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            return [chunk.choices[0].delta.content async for chunk in stream]

    assert asyncio.run(read()) == ["", "Hello", ",", " world", "!", None]
