"""What programs do with the anthropic client: the calls, helpers, failures and habits that the contract covers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
from pydantic import BaseModel

from tests.contract.scenarios import World

KEY = "sk-ant-api03-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928-AAAAAA"
MODEL = "claude-haiku-4-5"
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 512, "messages": HELLO}
TOOL: Any = {
    "name": "weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Person(BaseModel):
    """What an answer is asked to be."""

    name: str
    age: int


def client(world: World) -> Any:
    """A client of the far end that gives up at once."""
    made = anthropic.AsyncAnthropic if world.asynchronous else anthropic.Anthropic
    http = world.http_client(follow_redirects=True)
    return made(base_url=world.url, api_key=KEY, max_retries=0, timeout=5.0, http_client=http)


# --- whole answers ------------------------------------------------------------------------------------------


async def message(world: World, **options: Any) -> Any:
    return await world.of(world.client.messages.create(**{**ASK, **options}))


async def message_with_tools(world: World) -> Any:
    return await message(world, tools=[TOOL], tool_choice={"type": "any"})


async def message_with_thinking(world: World) -> Any:
    return await message(world, max_tokens=4096, extra_body={"thinking": {"type": "enabled", "budget_tokens": 1024}})


async def message_leaves_its_arguments_alone(world: World) -> Any:
    messages, tools = [dict(HELLO[0])], [TOOL]
    result = await message(world, messages=messages, tools=tools)
    world.notes["messages"], world.notes["tools"] = messages == HELLO, tools[0] is TOOL
    return result


async def message_of_an_iterator(world: World) -> Any:
    """What can be read only once is the client's to read."""

    def messages() -> Iterator[Any]:
        yield from HELLO

    return await message(world, messages=messages())


async def message_with_extras(world: World) -> Any:
    asking = world.client.with_options(default_headers={"x-tenant": "shop"})
    extras = {"extra_headers": {"x-trace": "1"}, "extra_query": {"v": "2"}, "extra_body": {"odd": [1, 2.5, None]}}
    return await world.of(asking.messages.create(**ASK, **extras))


async def beta_message(world: World) -> Any:
    return await world.of(world.client.beta.messages.create(**ASK, betas=["token-efficient-tools-2025-02-19"]))


async def parse(world: World) -> Any:
    return await world.of(world.client.messages.parse(**ASK, output_format=Person))


async def completion(world: World) -> Any:
    prompt = f"{anthropic.HUMAN_PROMPT} Hello{anthropic.AI_PROMPT}"
    asked = world.client.completions.create(model="claude-2.1", prompt=prompt, max_tokens_to_sample=9)
    return await world.of(asked)


async def count_tokens(world: World) -> Any:
    return await world.of(world.client.messages.count_tokens(model=MODEL, messages=HELLO, tools=[TOOL]))


async def beta_count_tokens(world: World) -> Any:
    return await world.of(world.client.beta.messages.count_tokens(model=MODEL, messages=HELLO))


async def tool_loop(world: World) -> Any:
    """The answer's own blocks go back as they are, with the tool's result behind them."""
    messages = list(HELLO)
    answer = await message(world, messages=messages, tools=[TOOL])
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "Rain."}]}
        for block in answer.content
        if block.type == "tool_use"
    ]
    messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    return [answer, await message(world, messages=messages, tools=[TOOL])]


# --- raw and streaming responses ----------------------------------------------------------------------------


async def raw_message(world: World) -> Any:
    raw = await world.of(world.client.messages.with_raw_response.create(**ASK))
    return [raw, raw.headers, await world.of(raw.parse())]


async def raw_message_stream(world: World) -> Any:
    raw = await world.of(world.client.messages.with_raw_response.create(**ASK, stream=True))
    return [raw.headers, await world.all(await world.of(raw.parse()))]


async def streamed_response_lines(world: World) -> Any:
    async with world.inside(world.client.messages.with_streaming_response.create(**ASK)) as response:
        return [await world.all(response.iter_lines()), response]


async def streamed_response_parsed(world: World) -> Any:
    async with world.inside(world.client.messages.with_streaming_response.create(**ASK)) as response:
        return [await world.of(response.parse()), response]


async def streamed_response_unread(world: World) -> Any:
    async with world.inside(world.client.messages.with_streaming_response.create(**ASK)) as response:
        return response.headers


# --- streams ------------------------------------------------------------------------------------------------


async def stream(world: World, **options: Any) -> Any:
    return await world.all(await message(world, stream=True, **options))


async def stream_as_object(world: World) -> Any:
    made = await message(world, stream=True)
    classes = [isinstance(made, anthropic.Stream), isinstance(made, anthropic.AsyncStream)]
    rest = await world.first(made, 1)
    return [classes, made, rest, await world.all(made), made]


async def stream_helper(world: World) -> Any:
    async with world.inside(world.client.messages.stream(**ASK)) as made:
        kinds = [event.type async for event in world.each(made)]
        return [kinds, await world.of(made.get_final_message())]


async def stream_helper_final(world: World) -> Any:
    """Only the end is asked for."""
    async with world.inside(world.client.messages.stream(**ASK, tools=[TOOL])) as made:
        final = await world.of(made.get_final_message())
        return [final, made.request_id if hasattr(made, "request_id") else None]


async def stream_helper_texts(world: World) -> Any:
    async with world.inside(world.client.messages.stream(**ASK)) as made:
        texts = await world.all(made.text_stream)
        return [texts, await world.of(made.get_final_text())]


async def stream_helper_left(world: World) -> Any:
    async with world.inside(world.client.messages.stream(**ASK)) as made:
        return await world.first(made, 3)


async def stream_left(world: World) -> Any:
    made = await message(world, stream=True)
    some = await world.first(made, 2)
    del made
    return some


async def stream_closed(world: World) -> Any:
    made = await message(world, stream=True)
    some = await world.first(made, 2)
    await world.of(made.close())
    return [some, made]


async def stream_closed_unread(world: World) -> Any:
    made = await message(world, stream=True)
    await world.of(made.close())
    return made


async def two_streams(world: World) -> Any:
    """Two streams read in turns."""
    one, other = await message(world, stream=True), await message(world, stream=True)
    mixed = [*await world.first(one, 2), *await world.first(other, 2)]
    return [*mixed, *await world.all(one), *await world.all(other)]


# --- other things than models -------------------------------------------------------------------------------


async def models(world: World) -> Any:
    page = await world.of(world.client.models.list())
    return [page, page.data]


async def model_pages(world: World) -> Any:
    return await world.all(world.client.models.list(limit=2))


async def batches(world: World) -> Any:
    return await world.all(world.client.messages.batches.list(limit=2))


async def batch_made(world: World) -> Any:
    asked = [{"custom_id": "one", "params": ASK}]
    return await world.of(world.client.messages.batches.create(requests=asked))


async def batch_results(world: World) -> Any:
    return await world.all(await world.of(world.client.messages.batches.results("msgbatch_1")))


# --- failures -----------------------------------------------------------------------------------------------


async def message_with_retries(world: World) -> Any:
    return await world.of(world.client.with_options(max_retries=2).messages.create(**ASK))


async def raw_message_with_retries(world: World) -> Any:
    asking = world.client.with_options(max_retries=2).messages.with_raw_response
    return await world.of(asking.create(**ASK))


async def message_too_slow(world: World) -> Any:
    asking = world.client.with_options(timeout=world.http.Timeout(5.0, read=0.2))
    return await world.of(asking.messages.create(**ASK))


async def stream_that_breaks(world: World) -> Any:
    seen: list[Any] = []
    world.notes["seen"] = seen
    async for event in world.each(await message(world, stream=True)):
        seen.append(event)
    return "ended"


async def helper_that_breaks(world: World) -> Any:
    seen: list[str] = []
    world.notes["seen"] = seen
    async with world.inside(world.client.messages.stream(**ASK)) as made:
        async for text in world.each(made.text_stream):
            seen.append(text)
    return "ended"


async def message_cancelled(world: World) -> Any:
    asking = asyncio.ensure_future(message(world))
    await world.asked()
    asking.cancel()
    return (await asyncio.gather(asking, return_exceptions=True))[0]


async def stream_cancelled(world: World) -> Any:
    seen: list[str] = []
    enough = asyncio.Event()

    async def read() -> None:
        async for event in await message(world, stream=True):
            seen.append(event.type)
            if len(seen) == 3:
                enough.set()

    reading = asyncio.ensure_future(read())
    await enough.wait()
    reading.cancel()
    return [seen, (await asyncio.gather(reading, return_exceptions=True))[0]]


# --- many at once -------------------------------------------------------------------------------------------


async def _ask_for(world: World, number: int) -> Any:
    answer = await message(world, messages=[{"role": "user", "content": f"number {number}"}])
    return answer.content[0].text


async def many_at_once(world: World) -> Any:
    return await asyncio.gather(*(_ask_for(world, n) for n in (1, 2, 3, 1, 2, 3)))


async def many_after_a_stream(world: World) -> Any:
    """The loop closes what the stream left open in tasks of its own, which are none of the program's."""
    made = await message(world, stream=True)
    some = await world.first(made, 2)
    del made
    gc.collect()
    await asyncio.sleep(0.01)
    return [some, *await asyncio.gather(_ask_for(world, 1), _ask_for(world, 2))]


async def many_threads(world: World) -> Any:
    def one(number: int) -> Any:
        asked = {**ASK, "messages": [{"role": "user", "content": f"number {number}"}]}
        return world.client.messages.create(**asked).content[0].text

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(one, (1, 2, 3, 1, 2, 3)))
