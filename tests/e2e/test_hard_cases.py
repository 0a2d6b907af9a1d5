"""The ten cases in which replays usually go wrong, each with the real client libraries, and with the network refused."""

from __future__ import annotations

import asyncio
import enum
import itertools
import random
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

import agentrace
from agentrace.query import RunRecord
from agentrace.testing import StubProvider
from tests.e2e.place import PYTHON, Place
from tests.unit.openai_clients import HELLO, MODEL, async_client, client
from tests.unit.replays import Replayed, exact, performed, record_of, replayed

_counter = itertools.count()


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


def once(stub: StubProvider, program: Callable[[str], Any]) -> tuple[Any, RunRecord, Callable[..., Replayed]]:
    """What a program sees of the stub, its record, and how to replay it when the stub is gone."""
    with stub.serve() as url:
        seen, record = record_of(lambda: performed(lambda: program(url)))
    asked = len(stub.requests)

    def again(other: Callable[[str], Any] = program) -> Replayed:
        found = replayed(record, lambda: performed(lambda: other(url)))
        assert len(stub.requests) == asked
        return found

    return seen, record, again


def test_1_identical_concurrent_calls_with_different_answers(stub: StubProvider) -> None:
    """Handed out by signature and occurrence, most of these go to another branch."""
    for number in range(12):
        stub.reply(f"answer {number}")

    def program(url: str) -> Any:
        async def branch(model: Any, number: int) -> Any:
            texts = []
            for _ in range(2):
                await asyncio.sleep(random.choice([0, 0.001]))
                reply = await model.chat.completions.create(model=MODEL, messages=HELLO)
                texts.append(reply.choices[0].message.content)
            return number, texts

        async def main() -> Any:
            async with async_client(url) as model:
                return await asyncio.gather(*(branch(model, number) for number in range(6)))

        return asyncio.run(main())

    seen, _, again = once(stub, program)
    replay = again()

    assert len({text for _, texts in seen for text in texts}) == 12
    assert (replay.seen, replay.verdict) == (seen, "exact")


def test_2_first_completed_and_timeouts() -> None:
    @agentrace.tool
    async def ask(seconds: float) -> int:
        await asyncio.sleep(seconds)
        return next(_counter)

    async def program() -> Any:
        winners = []
        pending = {asyncio.create_task(ask(0.002 * n)) for n in (3, 1, 2)}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            winners.append(sorted(task.result() for task in done))
        try:
            await asyncio.wait_for(ask(0.5), 0.02)
        except TimeoutError:
            winners.append([-1])
        return winners

    assert exact(program)[-1] == [-1]


def test_3_a_retry_whose_jitter_comes_from_the_programs_own_generator(stub: StubProvider) -> None:
    stub.error(429).error(503).reply("at last")

    def program(url: str) -> Any:
        random.seed(20)
        reply = client(url, retries=2).chat.completions.create(model=MODEL, messages=HELLO)
        return reply.choices[0].message.content, random.random()

    seen, _, again = once(stub, program)

    assert (again().seen, again().verdict) == (seen, "exact")


def test_4_a_stream_that_was_closed_early(stub: StubProvider) -> None:
    stub.reply("one two three four five six")

    def reading(count: int) -> Callable[[str], Any]:
        def program(url: str) -> Any:
            stream = client(url).chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            pieces = [piece.choices[0].delta.content for piece in itertools.islice(stream, count)]
            stream.close()
            return pieces

        return program

    seen, _, again = once(stub, reading(3))

    assert (again().seen, again().verdict) == (seen, "exact")
    assert again(reading(100)).code == "RECORD_INCOMPLETE"


def test_5_the_headers_of_an_error_that_is_raised_again(stub: StubProvider) -> None:
    stub.error(429)

    def program(url: str) -> Any:
        try:
            client(url).chat.completions.create(model=MODEL, messages=HELLO)
        except openai.RateLimitError as error:
            return error.status_code, sorted(error.response.headers.items()), error.body, str(error)

    seen, _, again = once(stub, program)

    assert seen[0] == 429
    assert (again().seen, again().verdict) == (seen, "exact")


def test_6_messages_that_are_changed_after_the_call(stub: StubProvider) -> None:
    stub.reply("one").reply("two")

    def program(url: str) -> Any:
        messages: list[Any] = [dict(HELLO[0])]
        first = client(url).chat.completions.create(model=MODEL, messages=messages)
        messages[0]["content"] = "changed"
        messages.append({"role": "assistant", "content": first.choices[0].message.content})
        second = client(url).chat.completions.create(model=MODEL, messages=messages)
        messages.clear()
        return first.choices[0].message.content, second.choices[0].message.content

    seen, record, again = once(stub, program)
    first, second = (record.values.json(step.dispatched.input)["messages"] for step in record.trace.steps.values())

    assert [message["content"] for message in first] == ["Hello there"]
    assert [message["content"] for message in second] == ["changed", "one"]
    assert (again().seen, again().verdict) == (seen, "exact")


SWALLOWING = """
    import asyncio, sys
    from concurrent.futures import ThreadPoolExecutor
    import agentrace

    @agentrace.tool
    async def ask(word):
        return 1

    @agentrace.tool
    def tell(word):
        return 2

    async def main():
        print(len(await asyncio.gather(ask(sys.argv[1]), ask("b"), return_exceptions=True)))

    asyncio.run(main())
    with ThreadPoolExecutor() as pool:
        print(pool.submit(tell, "x").exception() is None)
    try:
        tell("y")
    except BaseException:
        pass
    print("as if nothing had happened")
"""


def test_7_a_divergence_that_is_swallowed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("agent.py", SWALLOWING)
    place.run(PYTHON, "agent.py", "a")

    done = place.replay("@last", "--", PYTHON, "agent.py", "z")

    assert done.code == 3
    assert done.out.endswith("as if nothing had happened\n")
    assert done.err.count("the replay stops: ") == 1
    assert place.runs()[-1].trace.run.replay == "diverged"


def test_8_ids_that_repeat_and_ids_that_the_program_made(stub: StubProvider) -> None:
    call = ("lookup", {"word": "a"})
    stub.tool_calls(call).tool_calls(call).reply("done")

    @agentrace.tool
    def lookup(word: str, own: str) -> str:
        return f"{word} {own} {next(_counter)}"

    def program(url: str) -> Any:
        messages = list(HELLO)
        own = str(agentrace.uuid4())
        for _ in range(2):
            reply = client(url).chat.completions.create(model=MODEL, messages=messages)
            (asked,) = reply.choices[0].message.tool_calls or []
            messages += [
                reply.choices[0].message,
                {"role": "tool", "tool_call_id": asked.id, "content": lookup("a", own)},
            ]
        return own, client(url).chat.completions.create(model=MODEL, messages=messages).choices[0].message.content

    seen, _, again = once(stub, program)

    assert (again().seen, again().verdict) == (seen, "exact")


def test_8_ids_that_nobody_recorded_are_found_and_explained(stub: StubProvider) -> None:
    stub.reply("done")

    def program(url: str) -> Any:
        messages = [{"role": "user", "content": f"request {uuid.uuid4()}"}]
        return client(url).chat.completions.create(model=MODEL, messages=messages)  # type: ignore[arg-type]

    _, _, again = once(stub, program)
    report = again().report

    assert "likely cause: nondeterminism that is not recorded (only a UUID differs)" in report
    assert "--patch uuid" in report


class Own(httpx2.BaseTransport):
    """A transport that a program brings along."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"number": next(_counter)})


class OwnToo(httpx.BaseTransport):
    """The same for the other library."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"number": next(_counter)})


def test_9_both_transport_libraries_and_transports_of_ones_own() -> None:
    def program() -> Any:
        with httpx2.Client(transport=Own(), verify=False) as one, httpx.Client(transport=OwnToo(), verify=False) as two:
            return [one.get("http://shop.test/a").json(), two.get("http://shop.test/a").json()]

    seen = exact(program)

    assert seen[0] != seen[1]


def test_10_a_clock_in_a_prompt() -> None:
    @agentrace.tool
    def ask(prompt: str) -> int:
        return next(_counter)

    exact(lambda: ask(f"It is {agentrace.now()}."))
    _, record = record_of(lambda: ask(f"It is 2026-11-20 10:00:{next(_counter) % 50 + 10}."))
    again = replayed(record, lambda: ask("It is 2026-11-21 11:30:00."))

    assert "likely cause: nondeterminism that is not recorded (only a date or time differs)" in again.report


def test_10_a_set_in_a_prompt() -> None:
    @agentrace.tool
    def ask(words: list[str]) -> int:
        return next(_counter)

    _, record = record_of(lambda: ask(["a", "b", "c"]))
    again = replayed(record, lambda: ask(["c", "a", "b"]))

    assert "the same items in another order: a set, perhaps" in again.report


def test_10_a_crash_inside_of_a_tool(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(
        "agent.py",
        """
        import os
        import agentrace

        @agentrace.tool
        def work(number):
            if number == 2:
                os.kill(os.getpid(), 9)
            return number

        for number in range(4):
            print(work(number), flush=True)
        """,
    )
    place.run(PYTHON, "agent.py")

    done = place.replay("@last")

    assert (done.code, done.out) == (3, "0\n1\n")
    assert "the replay stops: RECORD_INCOMPLETE: " in done.err


def test_10_a_generator_that_is_sent_values() -> None:
    @agentrace.tool
    def counting() -> Generator[int, int | None, str]:
        while (yield next(_counter)) != 3:
            pass
        return "over"

    def program() -> Any:
        count = counting()
        seen: list[Any] = [next(count), count.send(1), count.send(None)]
        try:
            count.send(3)
        except StopIteration as stop:
            seen.append(stop.value)
        return seen

    assert exact(program)[-1] == "over"


def test_10_an_enum_value_that_is_newer_than_the_client(stub: StubProvider) -> None:
    stub.reply("hello", finish_reason="interrupted_by_owl")

    def program(url: str) -> Any:
        choice = client(url).chat.completions.create(model=MODEL, messages=HELLO).choices[0]
        return choice.finish_reason, choice.model_dump(exclude_unset=True)

    seen, _, again = once(stub, program)

    assert seen[0] == "interrupted_by_owl"
    assert (again().seen, again().verdict) == (seen, "exact")


class Mood(enum.Enum):
    CALM = "calm"


def test_10_an_enum_of_the_program() -> None:
    @agentrace.tool
    def mood() -> Mood:
        return Mood.CALM

    assert exact(mood) is Mood.CALM
