"""Programs on trio, with the real library: everything is recorded, in its place, and comes back as it was."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from typing import Any

import httpx
import openai
import pytest
import trio

import agentrace
from agentrace.testing import StubProvider, recorded
from tests.unit.replays import exact, record_of, replayed

_counter = itertools.count()
_chance = random.Random(3)


@agentrace.tool
async def look(given: Any) -> int:
    await trio.sleep(_chance.choice([0, 0.001, 0.002]))
    return next(_counter)


@agentrace.tool
def ask(given: Any) -> int:
    return next(_counter)


def test_a_sequential_program_is_replayed_exactly() -> None:
    async def main() -> Any:
        log = [await look(number) for number in range(3)]
        log.append(await trio.to_thread.run_sync(ask, 1))
        with trio.move_on_after(0.01):
            await slow()
        with trio.fail_after(5):
            log.append(await look(9))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, 10)
        return log

    exact(lambda: trio.run(main))


@agentrace.tool
async def slow() -> None:
    await trio.sleep(30)


def test_every_task_gets_its_own_answers_back() -> None:
    async def main() -> Any:
        seen: dict[int, list[int]] = {number: [] for number in range(6)}

        async def agent(number: int) -> None:
            for _ in range(3):
                seen[number].append(await look("same"))
                seen[number].append(await trio.to_thread.run_sync(ask, "same"))

        async with trio.open_nursery() as nursery:
            for number in seen:
                nursery.start_soon(agent, number)
        return seen

    for _ in range(3):
        seen, record = record_of(lambda: trio.run(main))
        again = replayed(record, lambda: trio.run(main))

        assert (again.seen, again.code, again.verdict) == (seen, "", "exact_with_caveats")
        assert len(record.trace.steps) == 36
        assert len({step.path for step in record.trace.steps.values()}) == 36


def test_answers_come_in_the_recorded_order() -> None:
    async def main() -> Any:
        log: list[int] = []

        async def agent() -> None:
            log.append(await look("same"))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(agent)
        return log

    seen, record = record_of(lambda: trio.run(main))
    again = replayed(record, lambda: trio.run(main))

    assert again.seen == seen
    assert not [caveat for caveat in again.caveats if "ORDER_RELAXED" in caveat]


def test_a_call_that_was_cancelled_and_is_not_now_is_told() -> None:
    patience = [0.01, 100.0]

    async def main() -> None:
        with trio.move_on_after(patience.pop(0)):
            await slow()

    _, record = record_of(lambda: trio.run(main))
    (step,) = record.trace.steps.values()

    again = replayed(record, lambda: trio.run(main))

    assert step.ended is not None
    assert (step.status, step.ended.outcome) == ("cancelled", "cancelled")
    assert again.code == "TIMEOUT"


def test_threads_are_told_by_where_they_were_asked_for_and_keep_their_names() -> None:
    names: list[str] = []

    @agentrace.tool(name="named")
    def named(given: int) -> None:
        names.append(threading.current_thread().name)

    async def main() -> None:
        for number in range(4):
            await trio.to_thread.run_sync(named, number)
            if number == 1:  # other threads are idle now than would be otherwise
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(trio.to_thread.run_sync, ask, 0)

    with recorded() as record:
        trio.run(main)

    paths = [step.path for step in record.steps if step.name == "named"]
    assert paths == [f"/thread:{number}/named#0" for number in range(4)]
    assert names[0].startswith("named from ")


def test_what_is_not_recorded_is_as_it_was() -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            await trio.to_thread.run_sync(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="asynchronous"):
            await trio.to_thread.run_sync(look.__wrapped__, 1)  # type: ignore[attr-defined]
        async with trio.open_nursery() as nursery:
            with pytest.raises(TypeError):
                nursery.start_soon(look(1))  # type: ignore[arg-type]

    before = trio.to_thread.run_sync, trio._core._run.Runner.spawn_impl
    with recorded():
        assert trio.to_thread.run_sync is not before[0]
        trio.run(main)
    assert (trio.to_thread.run_sync, trio._core._run.Runner.spawn_impl) == before


def test_models_through_httpx_and_openai() -> None:
    provider = StubProvider(seed=4)
    with provider.serve() as url:

        async def main() -> Any:
            async with httpx.AsyncClient() as http:
                body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}
                plain = (await http.post(f"{url}/v1/chat/completions", json=body)).json()["choices"]
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=None) as client:
                asked: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Ho"}]}
                stream = await client.chat.completions.create(**asked, stream=True)
                return plain, [chunk.model_dump() async for chunk in stream]

        seen, record = record_of(lambda: trio.run(main))

    again = replayed(record, lambda: trio.run(main))  # the provider is gone

    assert (again.code, again.verdict, again.seen) == ("", "exact", seen), again.caveats
    assert [step.kind for step in record.trace.steps.values()] == ["model", "model"]


def test_trio_as_a_guest_of_asyncio() -> None:
    async def guest() -> int:
        first = await look(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, 2)
            nursery.start_soon(look, 3)
        return first

    async def host() -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        return (await done).unwrap()

    seen, record = record_of(lambda: asyncio.run(host()))
    again = replayed(record, lambda: asyncio.run(host()))

    assert (again.seen, again.code, len(record.trace.steps)) == (seen, "", 3)
