"""How the stub provider is told what to answer: scripts, rules, files, and what it tells about requests."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrace.errors import ConfigError
from agentrace.testing import Drop, Failure, Reply, Request, StubProvider, ToolCall, Vectors
from tests.unit.openai_clients import KEY, MODEL, async_client, client, http


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def ask(url: str, text: str = "Hello") -> str | None:
    answer = client(url).chat.completions.create(model=MODEL, messages=said(text))
    return answer.choices[0].message.content


def vector(url: str) -> list[float]:
    return client(url).embeddings.create(model="text-embedding-3-small", input="x").data[0].embedding


# --- scripts ------------------------------------------------------------------------------------------------


def test_each_endpoint_takes_the_first_item_that_suits_it(stub: StubProvider, url: str) -> None:
    stub.reply("first").embedding([1.0]).reply("only here", on="responses").reply("second").reply("third")

    answers = [
        ask(url),
        ask(url),
        client(url).responses.create(model=MODEL, input="x").output_text,
        vector(url),
        client(url).responses.create(model=MODEL, input="x").output_text,
    ]

    assert answers == ["first", "second", "only here", [1.0], "third"]
    assert stub.remaining == []


def test_an_error_strikes_whatever_comes_first_unless_told_where(stub: StubProvider, url: str) -> None:
    stub.error(500, on="embeddings").error(503).drop(on="models")

    with pytest.raises(openai.InternalServerError) as chat:
        ask(url)
    with pytest.raises(openai.InternalServerError) as embeddings:
        vector(url)
    with pytest.raises(openai.APIConnectionError):
        client(url).models.list()

    assert (chat.value.status_code, embeddings.value.status_code) == (503, 500)


def test_what_is_not_used_remains(stub: StubProvider, url: str) -> None:
    stub.reply("one").reply("two").embedding([0.5]).error(429).drop(2)

    ask(url)

    assert stub.remaining == [
        Reply(text="two"),
        Vectors(vectors=((0.5,),)),
        Failure(status=429),
        Drop(after_chunks=2),
    ]


@pytest.mark.parametrize(
    ("say", "says"),
    [
        (lambda stub: stub.reply("x", delay="soon"), "got `str` - at `$.delay`"),
        (lambda stub: stub.reply("x", dellay=1), "unknown field `dellay`"),
        (lambda stub: stub.error("429"), "Expected `int`, got `str` - at `$.status`"),
        (lambda stub: stub.drop(2, how="softly"), "Invalid enum value 'softly'"),
        (lambda stub: stub.tool_calls("get_weather"), "at `$.tool_calls[0]`"),
        (lambda stub: stub.reply("x", on="chats"), 'there is no endpoint "chats"'),
        (
            lambda stub: stub.when("x").reply("x", on="chats"),
            "use one of: chat, count_tokens, embeddings, messages, models, responses",
        ),
    ],
)
def test_nonsense_is_noticed_when_it_is_said(stub: StubProvider, say: Any, says: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        say(stub)

    assert says in str(wrong.value)
    assert stub.remaining == []


# --- rules --------------------------------------------------------------------------------------------------


def test_a_rule_answers_as_long_as_it_holds(stub: StubProvider, url: str) -> None:
    stub.when("weather").reply("Rain.").when(lambda request: request.model == "gpt-5").reply("Deep.")

    answers = [ask(url, "the weather?"), ask(url, "weather again"), ask(url, "the news?")]
    other = client(url).chat.completions.create(model="gpt-5", messages=said("the news?"))

    assert answers[:2] == ["Rain.", "Rain."]
    assert (answers[2] or "").startswith('You said "the news?"')
    assert other.choices[0].message.content == "Deep."


def test_the_script_comes_before_rules_and_the_first_rule_before_others(stub: StubProvider, url: str) -> None:
    stub.when("x", times=2).reply("rule").when("x").reply("later rule").reply("script")

    assert [ask(url, "x") for _ in range(4)] == ["script", "rule", "rule", "later rule"]


def test_a_rule_for_another_endpoint_is_passed_over(stub: StubProvider, url: str) -> None:
    stub.when("x").embedding([1.0]).when("x").reply("text")

    assert ask(url, "x") == "text"
    assert vector(url) == [1.0]


def test_a_function_is_a_rule(stub: StubProvider, url: str) -> None:
    def answer(request: Request) -> Reply | str | None:
        if request.role == "tool":
            return f"The tool says {request.text}."
        return Reply(tool_calls=(ToolCall(request.tools[0], {"city": "Oslo"}),)) if request.tools else None

    stub.rule(answer).rule(lambda request: request.json["messages"][0]["content"].upper())
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}

    first = client(url).chat.completions.create(model=MODEL, messages=said("weather?"), tools=[tool]).choices[0]
    (call,) = first.message.tool_calls or []
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    conversation: list[Any] = [*said("weather?"), first.message.to_dict(), result]
    second = client(url).chat.completions.create(model=MODEL, messages=conversation, tools=[tool]).choices[0]

    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert second.message.content == "The tool says rain."
    assert ask(url, "shout") == "SHOUT"


def test_an_async_rule_decides_which_of_two_answers_comes_first(stub: StubProvider, url: str) -> None:
    second_is_here = threading.Event()
    answered: list[str] = []

    async def answer(request: Request) -> str:
        if request.text == "first":
            await asyncio.to_thread(second_is_here.wait, 10)
        second_is_here.set()
        answered.append(request.text)
        return f"answer to {request.text}"

    stub.rule(answer)
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(lambda text: ask(url, text), ["first", "second"]))

    assert answered == ["second", "first"]
    assert texts == ["answer to first", "answer to second"]


def test_a_rule_that_raises_is_a_server_error_and_reported(
    stub: StubProvider, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub.rule(lambda request: request.json["no such key"])

    with pytest.raises(openai.InternalServerError) as failed:
        ask(url)

    assert failed.value.response.text == "KeyError: 'no such key'\n"
    assert "the app failed to answer POST /v1/chat/completions" in caplog.text
    assert "KeyError" in caplog.text


def test_rules_that_end_are_shared_fairly_by_parallel_requests(stub: StubProvider, url: str) -> None:
    stub.when("x", times=10).reply("rule").when("x").reply("rest")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(url, "x"), range(30)))

    assert (answers.count("rule"), answers.count("rest")) == (10, 20)


# --- what was received --------------------------------------------------------------------------------------


def test_requests_are_kept_as_they_came(stub: StubProvider, url: str) -> None:
    before = time.time()
    ask(url, "Hello")
    client(url).models.list(extra_query={"a": "b"}, extra_headers={"X-Twice": "1"})

    chat, models = stub.requests

    assert (chat.number, chat.method, chat.path, chat.endpoint) == (1, "POST", "/v1/chat/completions", "chat")
    assert chat.json == {"model": MODEL, "messages": said("Hello")}
    assert json.loads(chat.body) == chat.json
    assert chat.headers["authorization"] == f"Bearer {KEY}"
    assert (chat.model, chat.text, chat.role, chat.stream, chat.tools) == (MODEL, "Hello", "user", False, ())
    assert before <= chat.time <= models.time <= time.time()
    assert (models.number, models.endpoint, models.query, models.json) == (2, "models", "a=b", None)
    assert models.headers["x-twice"] == "1"


def test_repeated_headers_are_joined(stub: StubProvider, url: str) -> None:
    http().get(f"{url}/v1/models", headers=[("x-a", "1"), ("X-A", "2")])

    assert stub.requests[0].headers["x-a"] == "1, 2"


def test_only_the_newest_requests_are_kept() -> None:
    stub = StubProvider(keep=2)

    with stub.serve() as url:
        for text in ("a", "b", "c"):
            ask(url, text)

    assert [(request.number, request.text) for request in stub.requests] == [(2, "b"), (3, "c")]


# --- chance and seeds ---------------------------------------------------------------------------------------


def conversation_with(stub: StubProvider, texts: list[str]) -> dict[str, list[bytes]]:
    """The bodies of the answers to each text."""
    answers: dict[str, list[bytes]] = {text: [] for text in texts}
    with stub.serve() as url:
        for text in texts:
            raw = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=said(text))
            answers[text].append(str(sorted(raw.headers.items())).encode() + raw.content)
            stream = client(url).responses.with_raw_response.create(model=MODEL, input=text, stream=True)
            answers[text].append(stream.http_response.read())
    return answers


def test_the_same_seed_gives_the_same_answers_in_any_order() -> None:
    one = conversation_with(StubProvider(seed=7), ["a", "b", "a"])
    other = conversation_with(StubProvider(seed=7), ["b", "a", "a"])

    assert one == other
    assert one["a"][0] != one["a"][2]


def test_another_seed_or_none_gives_other_answers() -> None:
    seeds = [7, 8, None, None]

    answers = [conversation_with(StubProvider(seed=seed), ["a"])["a"] for seed in seeds]

    assert len({body for bodies in answers for body in bodies}) == 2 * len(seeds)


def test_a_seeded_pause_is_the_same_too() -> None:
    def processing(seed: int) -> str:
        with StubProvider(seed=seed, latency=(0.0, 0.02)).serve() as url:
            raw = client(url).chat.completions.with_raw_response.create(model=MODEL, messages=said("x"))
        return str(raw.headers["openai-processing-ms"])

    assert processing(1) == processing(1)
    assert len({processing(seed) for seed in range(5)}) > 1


# --- many at once -------------------------------------------------------------------------------------------


def test_fifty_parallel_requests_get_each_their_own_answer(stub: StubProvider, url: str) -> None:
    stub.rule(lambda request: f"answer to {request.text}")

    async def ask_all() -> list[str | None]:
        async with async_client(url) as parallel:
            calls = (parallel.chat.completions.create(model=MODEL, messages=said(str(n))) for n in range(50))
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    answers = asyncio.run(ask_all())

    assert answers == [f"answer to {n}" for n in range(50)]
    assert sorted(request.number for request in stub.requests) == list(range(1, 51))


def test_a_script_is_used_up_once_by_parallel_requests(stub: StubProvider, url: str) -> None:
    for number in range(20):
        stub.reply(str(number))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(url), range(20)))

    assert sorted(answers, key=lambda text: int(text or "")) == [str(number) for number in range(20)]


# --- texts --------------------------------------------------------------------------------------------------


def streamed(text: str) -> str:
    """``text`` as the pieces of a stream, put together again. The app needs no server for that."""

    async def read() -> str:
        transport = httpx2.ASGITransport(app=StubProvider().reply(text).app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://stub") as web:
            body = {"model": MODEL, "messages": said("x"), "stream": True}
            lines = (await web.post("/v1/chat/completions", json=body)).text.split("\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)

    return asyncio.run(read())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_is_changed_by_streaming(text: str) -> None:
    assert streamed(text) == text
