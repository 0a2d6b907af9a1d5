"""The stub's embeddings, models, other ways in and refusals, seen through the real OpenAI client."""

from __future__ import annotations

import asyncio
import base64
import math
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AzureOpenAI, BadRequestError, NotFoundError
from openai.types import CreateEmbeddingResponse

import agentrace.testing
from agentrace.testing import Reply, StubProvider
from agentrace.testing.defaults import vector_of
from tests.unit.openai_clients import HELLO, MODEL, async_client, client, http, posted


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


# --- embeddings and models ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_in_both_encodings(stub: StubProvider, url: str, encoding: Any) -> None:
    stub.embedding([0.5, -0.25], [1.0, 0.0])

    body = posted(
        url,
        "/embeddings",
        {"model": "text-embedding-3-small", "input": ["a", "b", "c"], "encoding_format": encoding},
    ).json()

    written = [item["embedding"] for item in body["data"]]
    vectors = [list(struct.unpack("<2f", base64.b64decode(one))) if encoding == "base64" else one for one in written]
    assert vectors == [[0.5, -0.25], [1.0, 0.0], [0.5, -0.25]]
    assert [item["index"] for item in body["data"]] == [0, 1, 2]
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    if encoding == "float":
        CreateEmbeddingResponse.model_validate(body)


def test_vectors_are_near_when_texts_share_words(url: str) -> None:
    texts = [
        "the cat sat on the mat",
        "on the mat the cat sat",
        "a cat on a mat",
        "stock prices fell sharply",
    ]

    data = client(url).embeddings.create(model="text-embedding-3-small", input=texts).data
    vectors = [item.embedding for item in data]

    def near(one: int, other: int) -> float:
        return sum(x * y for x, y in zip(vectors[one], vectors[other], strict=True))

    assert near(0, 0) == pytest.approx(1.0)
    assert near(0, 1) == pytest.approx(1.0)
    assert near(0, 2) > 0.3 > abs(near(0, 3))


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        ({"model": "text-embedding-3-small"}, 1536),
        ({"model": "text-embedding-3-large"}, 3072),
        ({"model": "text-embedding-3-large", "dimensions": 256}, 256),
    ],
)
def test_vectors_have_the_length_that_is_asked_for(url: str, asked: dict[str, Any], length: int) -> None:
    data = client(url).embeddings.create(input=[[1, 2, 3], [4]], **asked).data

    assert [len(item.embedding) for item in data] == [length, length]


@given(st.text(), st.integers(1, 8))
def test_every_text_has_a_vector_of_length_one(text: str, dimensions: int) -> None:
    vector = vector_of(text, dimensions)

    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1.0)


def test_models_are_listed_over_all_pages(url: str) -> None:
    async def names() -> list[str]:
        async with async_client(url) as openai:
            return [model.id async for model in openai.models.list()]

    listed = [model.id for model in client(url).models.list()]

    assert "gpt-4o-mini" in listed
    assert asyncio.run(names()) == listed
    assert client(url).models.retrieve("gpt-4o-mini").owned_by == "system"
    with pytest.raises(NotFoundError, match="The model 'gpt-0' does not exist"):
        client(url).models.retrieve("gpt-0")


# --- other ways in ------------------------------------------------------------------------------------------


def test_azure_reaches_the_same_endpoints(stub: StubProvider, url: str) -> None:
    options: dict[str, Any] = {"api_key": "k", "api_version": "2025-04-01-preview"}

    with AzureOpenAI(azure_endpoint=url, http_client=httpx2.Client(verify=False), **options) as azure:
        answer = azure.chat.completions.create(model="my-deployment", messages=HELLO)

    assert answer.model == "my-deployment"
    assert stub.requests[0].path == "/openai/deployments/my-deployment/chat/completions"
    assert stub.requests[0].query == "api-version=2025-04-01-preview"


def test_the_app_runs_without_a_server(stub: StubProvider) -> None:
    stub.reply("Hi", pieces=("H", "i")).reply("Hello")

    async def ask() -> list[str | None]:
        transport = httpx2.ASGITransport(app=stub.app)
        web = httpx2.AsyncClient(transport=transport)
        async with async_client("http://stub").with_options(http_client=web) as openai:
            stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            texts = [chunk.choices[0].delta.content async for chunk in stream]
            whole = await openai.chat.completions.create(model=MODEL, messages=HELLO)
            return [*texts, whole.choices[0].message.content]

    assert asyncio.run(ask()) == ["", "H", "i", None, "Hello"]


def test_the_app_runs_under_a_server_of_the_users(stub: StubProvider) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    stub.reply("Hi").drop(2)
    server = uvicorn.Server(uvicorn.Config(stub.app, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    body = {"model": MODEL, "messages": HELLO, "stream": True}

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(server.run, sockets=[listener])
        whole = posted(url, "/chat/completions", body)
        with pytest.raises(httpx2.RemoteProtocolError):
            posted(url, "/chat/completions", body)
        server.should_exit = True

    assert served.exception() is None
    assert whole.text.endswith("data: [DONE]\n\n")


# --- requests that a provider would not take ----------------------------------------------------------------

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/chat/completions", {"messages": HELLO}, "you must provide a model parameter"),
        ("/chat/completions", {"model": MODEL}, "Missing required parameter: 'messages'."),
        ("/chat/completions", {"model": MODEL, "messages": []}, "Missing required parameter: 'messages'."),
        (
            "/chat/completions",
            {"model": MODEL, "messages": [{"role": "assistant", "tool_calls": [CALL]}, *HELLO]},
            "did not have response messages: call_1",
        ),
        (
            "/chat/completions",
            {
                "model": MODEL,
                "messages": HELLO,
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            "Tool choice 'f' not found in 'tools' parameter.",
        ),
        ("/responses", {"input": "x"}, "you must provide a model parameter"),
        ("/responses", {"model": MODEL}, "Missing required parameter: 'input'."),
        (
            "/responses",
            {"model": MODEL, "input": [{"type": "function_call", "call_id": "call_2", "name": "f"}]},
            "No tool output found for function call call_2.",
        ),
        (
            "/responses",
            {"model": MODEL, "input": "x", "tool_choice": {"type": "function", "name": "f"}},
            "Tool choice 'f' not found in 'tools' parameter.",
        ),
        ("/embeddings", {"input": "x"}, "you must provide a model parameter"),
        ("/embeddings", {"model": "text-embedding-3-small", "input": []}, "'$.input' is invalid"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    stub: StubProvider, url: str, path: str, body: Any, message: str
) -> None:
    stub.reply("never")

    with pytest.raises(BadRequestError) as refused:
        client(url).post(path, cast_to=object, body=body)

    assert message in refused.value.message
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "invalid_request_error"
    assert len(stub.remaining) == 1


def test_tool_results_are_taken(stub: StubProvider, url: str) -> None:
    conversation: list[Any] = [
        *HELLO,
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
    ]
    items: list[Any] = [
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
    ]

    chat = client(url).chat.completions.create(model=MODEL, messages=conversation)
    response = client(url).responses.create(model=MODEL, input=items)

    assert (chat.choices[0].message.content or "").startswith('You said "sun"')
    assert response.output_text.startswith('You said "sun"')
    assert [(request.role, request.text) for request in stub.requests] == [("tool", "sun")] * 2


@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(url: str, body: bytes) -> None:
    response = http().post(f"{url}/v1/chat/completions", content=body)

    assert response.status_code == 400
    assert "could not parse the JSON body" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("POST", "/v1/nothing", 404, None), ("GET", "/v1/embeddings", 405, "method_not_supported")],
)
def test_a_path_that_is_not_there(
    stub: StubProvider, url: str, method: str, path: str, status: int, code: str | None
) -> None:
    stub.error(500)

    response = http().request(method, f"{url}{path}")

    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert path in response.json()["error"]["message"]
    assert (stub.requests[0].endpoint, len(stub.remaining)) == ("", 1)


def test_the_text_of_a_message_is_that_of_its_parts(stub: StubProvider, url: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts: Any = [{"type": "text", "text": "What is "}, image, {"type": "text", "text": "this?"}]

    client(url).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    client(url).responses.create(
        model=MODEL, input=[{"role": "user", "content": [{"type": "input_text", "text": "And this?"}]}]
    )

    assert [request.text for request in stub.requests] == ["What is this?", "And this?"]


def test_a_reply_by_hand_is_the_same_as_by_word(stub: StubProvider) -> None:
    by_word = stub.reply("Hi", on="chat").remaining
    by_hand = StubProvider().answer(Reply(text="Hi", on="chat")).remaining

    assert by_word == by_hand


def test_every_public_name_is_there() -> None:
    found = [getattr(agentrace.testing, name).__name__ for name in agentrace.testing.__all__]

    assert found == agentrace.testing.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Stub'"):
        _ = agentrace.testing.Stub
