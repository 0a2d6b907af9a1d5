"""What programs do with the openai client: the calls, helpers, failures and habits that the contract covers."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from pydantic import BaseModel

from tests.contract.scenarios import World

KEY = "sk-proj-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928"
MODEL = "gpt-4o-mini"
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    """What an answer is asked to be."""

    name: str
    age: int


def client(world: World) -> Any:
    """A client of the far end that gives up at once."""
    made = openai.AsyncOpenAI if world.asynchronous else openai.OpenAI
    http = world.http_client(follow_redirects=True)
    return made(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0, timeout=5.0, http_client=http)


# --- whole answers ------------------------------------------------------------------------------------------


async def chat(world: World, **options: Any) -> Any:
    return await world.of(world.client.chat.completions.create(model=MODEL, messages=HELLO, **options))


async def chat_with_tools(world: World) -> Any:
    return await chat(world, tools=[TOOL], tool_choice="required", parallel_tool_calls=True)


async def chat_parse(world: World) -> Any:
    asked = world.client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)
    return await world.of(asked)


async def chat_leaves_its_arguments_alone(world: World) -> Any:
    messages, tools = [dict(HELLO[0])], [TOOL]
    result = await world.of(world.client.chat.completions.create(model=MODEL, messages=messages, tools=tools))
    world.notes["messages"], world.notes["tools"] = messages == HELLO, tools[0] is TOOL
    return result


async def chat_with_extras(world: World) -> Any:
    asking = world.client.with_options(default_headers={"x-tenant": "shop"})
    extras = {"extra_headers": {"x-trace": "1"}, "extra_query": {"v": "2"}, "extra_body": {"odd": [1, 2.5, None]}}
    return await world.of(asking.chat.completions.create(model=MODEL, messages=HELLO, **extras))


async def responses(world: World, **options: Any) -> Any:
    return await world.of(world.client.responses.create(model=MODEL, input="Hello there", **options))


async def responses_parse(world: World) -> Any:
    return await world.of(world.client.responses.parse(model=MODEL, input="Hello there", text_format=Person))


async def embeddings(world: World, **options: Any) -> Any:
    asked = {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 8}
    return await world.of(world.client.embeddings.create(**asked, **options))


async def embeddings_as_numbers(world: World) -> Any:
    return await embeddings(world, encoding_format="float")


async def conversation(world: World) -> Any:
    messages = list(HELLO)
    for question in ("And then?", "And in the end?"):
        answer = await world.of(world.client.chat.completions.create(model=MODEL, messages=messages))
        messages += [answer.choices[0].message.model_dump(), {"role": "user", "content": question}]
    return messages


# --- raw and streaming responses ----------------------------------------------------------------------------


async def raw_chat(world: World) -> Any:
    asking = world.client.chat.completions.with_raw_response
    raw = await world.of(asking.create(model=MODEL, messages=HELLO))
    return [raw, raw.headers, await world.of(raw.parse())]


async def raw_chat_stream(world: World) -> Any:
    asking = world.client.chat.completions.with_raw_response
    raw = await world.of(asking.create(model=MODEL, messages=HELLO, stream=True))
    return [raw.headers, await world.all(await world.of(raw.parse()))]


async def raw_embeddings(world: World) -> Any:
    asking = world.client.embeddings.with_raw_response
    raw = await world.of(asking.create(model="text-embedding-3-small", input="one", dimensions=8))
    return [raw, await world.of(raw.parse())]


async def streamed_response_lines(world: World) -> Any:
    asking = world.client.chat.completions.with_streaming_response
    async with world.inside(asking.create(model=MODEL, messages=HELLO)) as response:
        return [await world.all(response.iter_lines()), response]


async def streamed_response_parsed(world: World) -> Any:
    asking = world.client.chat.completions.with_streaming_response
    async with world.inside(asking.create(model=MODEL, messages=HELLO)) as response:
        return [await world.of(response.parse()), response]


async def streamed_response_unread(world: World) -> Any:
    asking = world.client.chat.completions.with_streaming_response
    async with world.inside(asking.create(model=MODEL, messages=HELLO)) as response:
        return response.headers


# --- streams ------------------------------------------------------------------------------------------------


async def chat_stream(world: World, **options: Any) -> Any:
    return await world.all(await chat(world, stream=True, **options))


async def chat_stream_with_usage(world: World) -> Any:
    return await chat_stream(world, stream_options={"include_usage": True})


async def chat_stream_as_object(world: World) -> Any:
    stream = await chat(world, stream=True)
    classes = [isinstance(stream, openai.Stream), isinstance(stream, openai.AsyncStream)]
    rest = await world.first(stream, 1)
    return [classes, stream, rest, await world.all(stream), stream]


async def chat_stream_helper(world: World) -> Any:
    async with world.inside(world.client.chat.completions.stream(model=MODEL, messages=HELLO)) as stream:
        kinds = [event.type async for event in world.each(stream)]
        return [kinds, await world.of(stream.get_final_completion())]


async def chat_stream_helper_parses(world: World) -> Any:
    asking = world.client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Person)
    async with world.inside(asking) as stream:
        await world.all(stream)
        return (await world.of(stream.get_final_completion())).choices[0].message.parsed


async def responses_stream(world: World) -> Any:
    return await world.all(await responses(world, stream=True))


async def responses_stream_helper(world: World) -> Any:
    async with world.inside(world.client.responses.stream(model=MODEL, input="Hello there")) as stream:
        kinds = [event.type async for event in world.each(stream)]
        return [kinds, await world.of(stream.get_final_response())]


async def chat_stream_left(world: World) -> Any:
    stream = await chat(world, stream=True)
    some = await world.first(stream, 2)
    del stream
    return some


async def chat_stream_closed(world: World) -> Any:
    stream = await chat(world, stream=True)
    some = await world.first(stream, 2)
    await world.of(stream.close())
    return [some, stream]


async def chat_stream_closed_unread(world: World) -> Any:
    stream = await chat(world, stream=True)
    await world.of(stream.close())
    return stream


async def chat_stream_helper_left(world: World) -> Any:
    async with world.inside(world.client.chat.completions.stream(model=MODEL, messages=HELLO)) as stream:
        return await world.first(stream, 2)


# --- other things than models -------------------------------------------------------------------------------


async def models(world: World) -> Any:
    page = await world.of(world.client.models.list())
    return [page, page.data]


async def pages(world: World) -> Any:
    return await world.all(world.client.files.list(limit=2))


async def speech(world: World) -> Any:
    return await world.of(world.client.audio.speech.create(model="tts-1", voice="alloy", input="Hello"))


async def upload(world: World) -> Any:
    content = ("notes.txt", b"\x00 one\r\ntwo \xff")
    return await world.of(world.client.files.create(file=content, purpose="assistants"))


async def transcription(world: World) -> Any:
    asked = {"model": "whisper-1", "file": ("a.wav", b"RIFF....WAVE"), "temperature": 0.5}
    return await world.of(world.client.audio.transcriptions.create(**asked))


# --- failures -----------------------------------------------------------------------------------------------


async def chat_with_retries(world: World) -> Any:
    asking = world.client.with_options(max_retries=2)
    return await world.of(asking.chat.completions.create(model=MODEL, messages=HELLO))


async def raw_chat_with_retries(world: World) -> Any:
    asking = world.client.with_options(max_retries=2).chat.completions.with_raw_response
    return await world.of(asking.create(model=MODEL, messages=HELLO))


async def chat_too_slow(world: World) -> Any:
    asking = world.client.with_options(timeout=world.http.Timeout(5.0, read=0.2))
    return await world.of(asking.chat.completions.create(model=MODEL, messages=HELLO))


async def chat_stream_that_breaks(world: World) -> Any:
    seen: list[Any] = []
    world.notes["seen"] = seen
    async for chunk in world.each(await chat(world, stream=True)):
        seen.append(chunk)
    return "ended"


async def responses_stream_that_breaks(world: World) -> Any:
    seen: list[Any] = []
    world.notes["seen"] = seen
    async for event in world.each(await responses(world, stream=True)):
        seen.append(event.type)
    return "ended"


async def chat_cancelled(world: World) -> Any:
    asking = asyncio.ensure_future(chat(world))
    await world.asked()
    asking.cancel()
    return (await asyncio.gather(asking, return_exceptions=True))[0]


async def chat_stream_cancelled(world: World) -> Any:
    seen: list[str] = []
    enough = asyncio.Event()

    async def read() -> None:
        async for chunk in await chat(world, stream=True):
            seen.append(chunk.choices[0].delta.content)
            if len(seen) == 2:
                enough.set()

    reading = asyncio.ensure_future(read())
    await enough.wait()
    reading.cancel()
    return [seen, (await asyncio.gather(reading, return_exceptions=True))[0]]


async def chat_out_of_time(world: World) -> Any:
    try:
        async with asyncio.timeout(None) as limit:
            asked = asyncio.ensure_future(world.asked())
            asked.add_done_callback(lambda _: limit.reschedule(0))
            return await chat(world)
    except TimeoutError:
        return await world.of(world.client.responses.create(model=MODEL, input="Hello there"))
