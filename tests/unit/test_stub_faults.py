"""How the stub provider fails: errors, broken connections and waiting, seen through the real client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from agentrace.testing import Reply, StubProvider, ToolCall
from tests.unit.openai_clients import HELLO, MODEL, async_client, client, http

CHAT = {"model": MODEL, "messages": HELLO}
LONG = "one two three four five six"


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


def ask(url: str, **options: Any) -> str | None:
    return client(url, **options).chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content


def read_stream(url: str) -> tuple[list[str], Exception | None]:
    """The texts of a stream, and what ended it."""
    texts: list[str] = []
    try:
        stream = client(url).chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        texts.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    except openai.APIError as error:
        return texts, error
    return texts, None


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code", "says"),
    [
        (400, openai.BadRequestError, None, "could not be processed"),
        (401, openai.AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        (403, openai.PermissionDeniedError, "model_not_found", "does not have access to model `gpt-4o-mini`"),
        (404, openai.NotFoundError, "model_not_found", "The model `gpt-4o-mini` does not exist"),
        (409, openai.ConflictError, "conflict", "try again"),
        (418, openai.APIStatusError, None, "could not be processed"),
        (422, openai.UnprocessableEntityError, "unprocessable_entity", "could not be followed"),
        (429, openai.RateLimitError, "rate_limit_exceeded", "Rate limit reached for gpt-4o-mini"),
        (500, openai.InternalServerError, None, "The server had an error"),
        (503, openai.InternalServerError, None, "overloaded"),
        (504, openai.InternalServerError, None, "The server had an error"),
        (529, openai.InternalServerError, "overloaded", "overloaded"),
    ],
)
def test_an_error_has_its_type_and_body(
    stub: StubProvider, url: str, status: int, kind: type[openai.APIStatusError], code: str | None, says: str
) -> None:
    stub.error(status)

    with pytest.raises(kind) as failed:
        ask(url)

    error = failed.value
    assert type(error) is kind
    assert says in error.message
    assert (error.status_code, error.code) == (status, code)
    assert isinstance(error.body, dict)
    assert error.body.keys() == {"message", "type", "param", "code"}
    assert (error.request_id or "").startswith("req_")


def test_a_bad_gateway_is_a_page_of_html(stub: StubProvider, url: str) -> None:
    stub.error(502)

    with pytest.raises(openai.InternalServerError) as failed:
        ask(url)

    assert failed.value.response.headers["content-type"] == "text/html"
    assert "502 Bad Gateway" in failed.value.response.text


def test_everything_about_an_error_can_be_told(stub: StubProvider, url: str) -> None:
    stub.error(429, message="Too much.", type="insufficient_quota", code="insufficient_quota", param="model")
    stub.error(400, body="not json", content_type="text/x-odd", headers={"X-Should-Retry": "false"})

    with pytest.raises(openai.RateLimitError) as spent:
        ask(url)
    with pytest.raises(openai.BadRequestError) as odd:
        ask(url)

    assert spent.value.body == {
        "message": "Too much.",
        "type": "insufficient_quota",
        "param": "model",
        "code": "insufficient_quota",
    }
    assert odd.value.response.text == "not json"
    assert odd.value.response.headers["content-type"] == "text/x-odd"
    assert odd.value.response.headers["x-should-retry"] == "false"


def test_the_client_retries_until_there_is_an_answer(stub: StubProvider, url: str) -> None:
    stub.drop(on="chat").error(429, retry_after=0.01).error(503, retry_after_ms=5).reply("At last")

    async def ask_async() -> str | None:
        async with async_client(url, retries=1) as again:
            answer = await again.chat.completions.create(model=MODEL, messages=HELLO)
            return answer.choices[0].message.content

    answer = ask(url, retries=3)
    stub.error(500, retry_after_ms=1).reply("Here too")
    answer_async = asyncio.run(ask_async())

    counts = [request.headers["x-stainless-retry-count"] for request in stub.requests]
    assert (answer, answer_async) == ("At last", "Here too")
    assert counts == ["0", "1", "2", "3", "0", "1"]


def test_the_waits_of_a_rate_limit_are_in_its_headers(stub: StubProvider, url: str) -> None:
    stub.error(429, retry_after=20, retry_after_ms=20_500)

    with pytest.raises(openai.RateLimitError) as failed:
        ask(url)

    assert failed.value.response.headers["retry-after"] == "20"
    assert failed.value.response.headers["retry-after-ms"] == "20500"


# --- errors inside a stream ---------------------------------------------------------------------------------


def test_an_error_can_come_in_the_midst_of_a_stream(stub: StubProvider, url: str) -> None:
    stub.error(500, after_chunks=3, of=Reply(text=LONG), message="It broke.")

    texts, error = read_stream(url)

    assert texts == ["", "one", " two"]
    assert type(error) is openai.APIError
    assert error.message == "It broke."
    assert isinstance(error.body, dict)
    assert error.body["type"] == "server_error"


def test_an_error_in_a_response_is_two_events(stub: StubProvider, url: str) -> None:
    stub.error(500, after_chunks=5, of=Reply(text=LONG), message="It broke.").error(429, after_chunks=99)

    lines = http().post(f"{url}/v1/responses", json={"model": MODEL, "input": "x", "stream": True}).text
    with pytest.raises(openai.APIError, match="Rate limit reached"):
        list(client(url).responses.create(model=MODEL, input="x", stream=True))

    events = [json.loads(line[6:]) for line in lines.splitlines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in events] == list(range(7))
    assert events[5]["type"] == "error"
    assert events[5]["error"]["message"] == "It broke."
    assert events[6]["type"] == "response.failed"
    assert events[6]["response"]["id"] == events[0]["response"]["id"]
    assert events[6]["response"]["status"] == "failed"
    assert events[6]["response"]["error"] == {"code": "server_error", "message": "It broke."}


def test_without_a_stream_it_is_an_error_like_others(stub: StubProvider, url: str) -> None:
    stub.error(500, after_chunks=3)

    with pytest.raises(openai.InternalServerError):
        ask(url)


# --- broken connections -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "cause"), [("reset", httpx2.ReadError), ("close", httpx2.RemoteProtocolError)])
def test_a_connection_breaks_before_the_answer(stub: StubProvider, url: str, how: Any, cause: type[Exception]) -> None:
    stub.drop(how=how)

    with pytest.raises(openai.APIConnectionError) as failed:
        ask(url)

    assert type(failed.value.__cause__) is cause


@pytest.mark.parametrize(("how", "cause"), [("reset", httpx2.ReadError), ("close", httpx2.RemoteProtocolError)])
def test_a_connection_breaks_in_the_midst_of_an_answer(
    stub: StubProvider, url: str, how: Any, cause: type[Exception]
) -> None:
    stub.reply("whole").drop(1, how=how).drop(after_bytes=0, how=how)
    whole = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)

    got: list[tuple[int, str, bytes]] = []
    for _ in range(2):
        received: list[bytes] = []
        request = http().stream("POST", f"{url}/v1/chat/completions", json=CHAT)
        with request as response, pytest.raises(cause):
            received.extend(response.iter_raw())
        got.append((response.status_code, response.headers["content-length"], b"".join(received)))

    (status, length, half), (_, _, nothing) = got
    assert status == 200
    assert abs(int(length) - len(whole.content)) < 300
    assert len(half) == int(length) // 2
    assert nothing == b""


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_stream_breaks_after_some_of_its_chunks(stub: StubProvider, url: str, how: Any) -> None:
    stub.drop(3, how=how, of=Reply(text=LONG))

    texts, error = read_stream(url)

    assert texts == ["", "one", " two"]
    assert type(error) is openai.APIConnectionError


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_stream_breaks_before_its_first_chunk(stub: StubProvider, url: str, how: Any) -> None:
    stub.drop(0, how=how)

    with client(url).chat.completions.with_streaming_response.create(
        model=MODEL, messages=HELLO, stream=True
    ) as response:
        status = response.status_code
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            response.read()

    assert status == 200


def test_a_stream_breaks_within_a_chunk(stub: StubProvider, url: str) -> None:
    stub.drop(after_bytes=300, how="end", of=Reply(text=LONG))

    response = http().post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True})

    assert len(response.content) == 300
    assert not response.content.endswith(b"\n\n")


def test_a_stream_can_end_without_its_end(stub: StubProvider, url: str) -> None:
    stub.drop(3, how="end", of=Reply(tool_calls=(ToolCall("get_weather", {"city": "Oslo"}),)))

    response = http().post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True})

    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line]
    assert [call["tool_calls"][0]["function"]["arguments"] for call in deltas(chunks)[1:]] == ["", "{"]


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_a_whole_answer_can_be_cut_short_politely(stub: StubProvider, url: str) -> None:
    stub.drop(after_bytes=50, how="end")

    response = http().post(f"{url}/v1/chat/completions", json=CHAT)

    assert (response.headers["content-length"], len(response.content)) == ("50", 50)


def test_a_broken_connection_is_not_used_again(stub: StubProvider, url: str) -> None:
    stub.drop()

    with pytest.raises(openai.APIConnectionError):
        ask(url)

    assert ask(url) is not None


# --- waiting ------------------------------------------------------------------------------------------------


def test_an_answer_that_takes_too_long(stub: StubProvider, url: str) -> None:
    stub.reply("too late", delay=30)

    with pytest.raises(openai.APITimeoutError):
        ask(url, timeout=0.05)


def test_a_stream_that_stops_for_too_long(stub: StubProvider, url: str) -> None:
    stub.reply(LONG, chunk_delay=30)
    texts: list[str | None] = []

    stream = client(url, timeout=0.5).chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(openai.APITimeoutError):
        texts.extend(chunk.choices[0].delta.content for chunk in stream)

    assert texts == [""]


def test_latency_is_waited_for_and_told() -> None:
    stub = StubProvider(latency=(0.02, 0.03), chunk_latency=0.01).reply("a b").reply("c", delay=0.0)

    with stub.serve() as url:
        started = time.perf_counter()
        raw = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, stream=True)
        chunks = list(raw.parse())
        took = time.perf_counter() - started
        quick = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)

    assert took >= 0.02 + 0.01 * (len(chunks) - 1)
    assert int(raw.headers["openai-processing-ms"]) >= 20
    assert int(quick.headers["openai-processing-ms"]) < 10
