"""What programs put beneath the openai client: transports, hooks, redirects and many calls at once."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

from tests.contract.openai_scenarios import HELLO, KEY, MODEL, chat
from tests.contract.scenarios import World

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
_CHUNK = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,%s}]}'
EVENTS = (
    b"data: " + _CHUNK % b'"delta":{"role":"assistant","content":"Hi."}' + b"\n\n",
    b"data: " + _CHUNK % b'"delta":{},"finish_reason":"stop"' + b"\n\nda",
    b"ta: [DONE]\n\n",
)
"""A stream whose last event comes in two pieces."""


def over(world: World, transport: Any, **options: Any) -> Any:
    """The world's client over another transport."""
    http = world.http_client(transport=transport, **options)
    made = openai.AsyncOpenAI if world.asynchronous else openai.OpenAI
    return made(base_url="http://far.example/v1", api_key=KEY, max_retries=0, http_client=http)


async def ask(world: World, client: Any, **options: Any) -> Any:
    return await world.of(client.chat.completions.create(model=MODEL, messages=HELLO, **options))


async def mock_transport(world: World) -> Any:
    """A response that was read before it is handed over, and is handed on as the same object."""
    given: list[Any] = []

    def answer(request: Any) -> Any:
        given.append(world.http.Response(200, json=ANSWER, headers={"x-request-id": "req_1"}))
        return given[-1]

    asking = over(world, world.http.MockTransport(answer)).chat.completions.with_raw_response
    raw = await world.of(asking.create(model=MODEL, messages=HELLO))
    world.notes["same object"] = not given or raw.http_response is given[0]
    return [raw, await world.of(raw.parse())]


async def mock_stream(world: World) -> Any:
    def answer(request: Any) -> Any:
        return world.http.Response(200, content=b"".join(EVENTS), headers={"content-type": "text/event-stream"})

    return await world.all(await ask(world, over(world, world.http.MockTransport(answer)), stream=True))


async def mock_failure(world: World) -> Any:
    def answer(request: Any) -> Any:
        raise world.http.ReadError("the wire was cut", request=request)

    return await ask(world, over(world, world.http.MockTransport(answer)))


async def mock_mistake(world: World) -> Any:
    """What a transport of the program raises by mistake is the program's to see."""

    def answer(request: Any) -> Any:
        raise KeyError("answer")

    return await ask(world, over(world, world.http.MockTransport(answer)))


async def http2_transport(world: World) -> Any:
    """A head as HTTP/2 gives it: no reason phrase, lower-case names; and a stream that is cut in odd places."""
    return await _over_pieces(world, {"http_version": b"HTTP/2", "stream_id": 3})


async def bare_transport(world: World) -> Any:
    """A head without any extension."""
    return await _over_pieces(world, {})


async def _over_pieces(world: World, extensions: dict[str, Any]) -> Any:
    http, closed = world.http, world.notes

    class Pieces(http.AsyncByteStream if world.asynchronous else http.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from EVENTS

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in EVENTS:
                yield piece

        def close(self) -> None:
            closed["closed"] = True

        async def aclose(self) -> None:
            closed["closed"] = True

    class Transport(http.AsyncBaseTransport if world.asynchronous else http.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            headers = {"content-type": "text/event-stream"}
            return http.Response(200, headers=headers, stream=Pieces(), extensions=extensions)

        async def handle_async_request(self, request: Any) -> Any:
            return Transport.handle_request(self, request)

    stream = await ask(world, over(world, Transport()), stream=True)
    chunks = await world.all(stream)
    closed.pop("closed", None)  # on a replay there is no transport to close
    return [chunks, stream]


async def event_hooks(world: World) -> Any:
    """Hooks see every request and response, and may read the body."""
    seen: list[Any] = []

    def asked(request: Any) -> None:
        request.headers["x-hook"] = "1"
        seen.append(request.method)

    def answered(response: Any) -> None:
        response.read()
        seen.append(response.json()["object"])

    async def asked_async(request: Any) -> None:
        asked(request)

    async def answered_async(response: Any) -> None:
        await response.aread()
        seen.append(response.json()["object"])

    hooks = {"request": [asked], "response": [answered]}
    if world.asynchronous:
        hooks = {"request": [asked_async], "response": [answered_async]}
    http = world.http_client(event_hooks=hooks)
    result = await ask(world, world.client.with_options(http_client=http))
    return [result, seen]


async def hook_that_asks(world: World) -> Any:
    """A response hook that makes a request of its own, while the answer is still to be streamed."""

    def answered(response: Any) -> None:
        if "chat" in str(response.request.url):
            world.http.get(f"{world.url}/v1/models/gpt-4o", trust_env=False, verify=False)

    async def answered_async(response: Any) -> None:
        answered(response)

    http = world.http_client(event_hooks={"response": [answered_async if world.asynchronous else answered]})
    return await world.all(await ask(world, world.client.with_options(http_client=http), stream=True))


async def many_at_once(world: World) -> Any:
    asking = [_ask_for(world, n) for n in (1, 2, 3, 1, 2, 3)]
    return await asyncio.gather(*asking)


async def _ask_for(world: World, number: int) -> Any:
    asked: list[Any] = [{"role": "user", "content": f"number {number}"}]
    answer = await world.client.chat.completions.create(model=MODEL, messages=asked)
    return answer.choices[0].message.content


async def many_after_a_stream(world: World) -> Any:
    """The loop closes what the stream left open in tasks of its own, which are none of the program's."""
    stream = await chat(world, stream=True)
    some = await world.first(stream, 2)
    del stream
    gc.collect()
    await asyncio.sleep(0.01)
    return [some, *await asyncio.gather(_ask_for(world, 1), _ask_for(world, 2))]


async def many_threads(world: World) -> Any:
    def one(number: int) -> Any:
        asked: list[Any] = [{"role": "user", "content": f"number {number}"}]
        return world.client.chat.completions.create(model=MODEL, messages=asked).choices[0].message.content

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(one, (1, 2, 3, 1, 2, 3)))


async def two_streams(world: World) -> Any:
    """Two streams read in turns."""
    one, other = await chat(world, stream=True), await chat(world, stream=True)
    mixed = [*await world.first(one, 2), *await world.first(other, 2)]
    return [*mixed, *await world.all(one), *await world.all(other)]


def canned_answer() -> bytes:
    """A whole chat completion."""
    return json.dumps(ANSWER).encode()
