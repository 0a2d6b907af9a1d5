"""How calls end whose answers are not read to the end, by the program, the garbage collector or the exit."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import anthropic._base_client
import httpx2
import openai
import openai._base_client
import pytest

import agentrace
from agentrace.errors import ReplayDivergence
from agentrace.store import Store
from agentrace.testing import Reply, StubProvider
from tests.contract import anthropic_scenarios
from tests.contract.far_end import Canned, FarEnd, canned
from tests.contract.openai_scenarios import HELLO, KEY, MODEL
from tests.contract.recording import Recording, recording, replaying


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider(seed=20).when("").reply("one two three four five six seven")


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, http_client=httpx2.Client(verify=False))


def streaming(asking: openai.OpenAI) -> Any:
    return asking.chat.completions.create(model=MODEL, messages=HELLO, stream=True)


def outcomes(recorded: Recording) -> list[str]:
    return [step.ended.outcome if step.ended else "" for step in recorded.record.trace.steps.values()]


# --- streams that are left open -----------------------------------------------------------------------------


def test_a_stream_that_is_still_open_ends_with_the_run(url: str) -> None:
    with client(url) as asking:
        with recording() as recorded:
            stream = streaming(asking)
            seen = next(stream).choices[0].delta.role

    assert seen == "assistant"
    assert outcomes(recorded) == ["closed_by_consumer"]
    with client(url) as asking, replaying(recorded.record) as again:
        assert next(streaming(asking)).choices[0].delta.role == seen
    assert again.tape is not None
    assert again.tape.verdict() == ("exact", [])


def test_a_stream_that_is_forgotten_ends_when_it_is_collected(url: str) -> None:
    with client(url) as asking, recording() as recorded:
        stream = streaming(asking)
        next(stream)
        del stream
        gc.collect()
        for _ in range(200):  # whoever collects it does not wait until its end is written
            asking.models.list()
            order = [type(event).__name__ for event in recorded.memory.told() if event.step_id <= 1]
            if "StepCompleted" in order:
                break

    assert order[-1] == "StepCompleted"
    assert outcomes(recorded)[:2] == ["closed_by_consumer", "ok"]


def test_a_stream_may_be_closed_by_another_thread(url: str) -> None:
    with client(url) as asking, recording() as recorded:
        stream = streaming(asking)
        next(stream)
        closing = threading.Thread(target=stream.close)
        closing.start()
        closing.join()

    assert outcomes(recorded) == ["closed_by_consumer"]


def test_a_generator_that_is_still_open_ends_with_the_run() -> None:
    @agentrace.tool
    def counting() -> Iterator[int]:
        yield 1
        yield 2

    with recording() as recorded:
        numbers = counting()
        first = next(numbers)
    with replaying(recorded.record) as again:
        replayed = next(counting())

    assert (first, replayed) == (1, 1)
    assert outcomes(recorded) == ["closed_by_consumer"]
    assert again.tape is not None
    assert again.tape.verdict() == ("exact", [])


PROGRAM = """
import asyncio, sys
import agentrace, httpx2, openai

url = sys.argv[1]
if "unrecorded" not in sys.argv:
    agentrace.init()
asking = openai.OpenAI(base_url=url, api_key="k", http_client=httpx2.Client(verify=False))
ask = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
streams = [asking.chat.completions.create(**ask) for _ in range(2)]
next(streams[0])

async def main():
    # Closing generators that were left open can make the loop complain, with us and without.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    other = openai.AsyncOpenAI(base_url=url, api_key="k", http_client=httpx2.AsyncClient(verify=False))
    streams.append(await other.chat.completions.create(**ask))
    await streams[-1].__anext__()

asyncio.run(main())
print("done")
"""


def test_a_program_may_end_with_open_streams(url: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environ = {"AGENTRACE_HOME": str(tmp_path / "store"), "AGENTRACE_DEBUG": "1"}

    command = [sys.executable, "program.py", f"{url}/v1"]
    plain, ended = (
        subprocess.run(asked, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
        for asked in ([*command, "unrecorded"], command)
    )

    store = Store(tmp_path / "store")
    trace = store.record(store.entries[0].run_id).trace
    # Python 3.13.0 crashes when it collects such streams after the end of a program, recorded or not.
    assert plain.returncode in (0, -signal.SIGSEGV)
    assert (ended.returncode, ended.stdout, ended.stderr) == (plain.returncode, "done\n", "")
    assert trace.run.status == "completed"
    assert [step.ended.outcome for step in trace.steps.values() if step.ended] == ["closed_by_consumer"] * 3


# --- what a replay says to a program that reads further -----------------------------------------------------


def test_reading_further_than_the_record_is_a_divergence(url: str) -> None:
    with client(url) as asking:
        with recording() as recorded:
            stream = streaming(asking)
            next(stream)
            stream.close()
        with replaying(recorded.record) as again, pytest.raises(ReplayDivergence, match="further than the recorded"):
            list(streaming(asking))

    assert again.tape is not None
    assert again.tape.latched is not None
    assert again.tape.latched.code == "RECORD_INCOMPLETE"


def test_one_more_attempt_than_the_record_is_a_divergence(url: str, stub: StubProvider) -> None:
    stub.error(429, retry_after_ms=1)
    with client(url) as asking:
        with recording() as recorded, pytest.raises(openai.RateLimitError):
            asking.chat.completions.create(model=MODEL, messages=HELLO)
        patient = asking.with_options(max_retries=1)
        with (
            replaying(recorded.record),
            pytest.raises(ReplayDivergence, match="makes request 2, but the record holds 1"),
        ):
            patient.chat.completions.create(model=MODEL, messages=HELLO)

    assert len(stub.requests) == 1


def test_a_call_that_was_cancelled_does_not_end_before_it_is_cancelled_again(url: str, stub: StubProvider) -> None:
    stub.reply("Too late.", delay=30)

    async def program(give_up_after: float) -> str:
        http = httpx2.AsyncClient(verify=False)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=2, http_client=http) as asking:
            call = asking.chat.completions.create(model=MODEL, messages=HELLO)
            try:
                await asyncio.wait_for(call, give_up_after)
            except TimeoutError:
                return "given up"
            return "answered"

    with recording() as recorded:
        live = asyncio.run(program(0.05))
    with replaying(recorded.record):
        replayed = asyncio.run(program(0.1))

    assert (live, replayed) == ("given up", "given up")
    assert outcomes(recorded) == ["cancelled"]


def asking_anthropic(url: str) -> Any:
    http = httpx2.Client(verify=False)
    made = anthropic.Anthropic(base_url=url, api_key=anthropic_scenarios.KEY, max_retries=1, http_client=http)
    return made.messages.create(**anthropic_scenarios.ASK).content[0].text


def asking_openai(url: str) -> Any:
    asking = client(url).with_options(max_retries=1)
    return asking.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content


@pytest.mark.parametrize(("library", "ask"), [(openai, asking_openai), (anthropic, asking_anthropic)])
def test_a_replay_does_not_wait_before_it_tries_again(
    library: Any, ask: Any, url: str, stub: StubProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    clock = SimpleNamespace(**{**vars(time), "sleep": waits.append})
    monkeypatch.setattr(library._base_client, "time", clock)
    stub.error(429, retry_after=20)

    with recording() as recorded:
        live = ask(url)
    with replaying(recorded.record):
        replayed = ask(url)

    assert replayed == live
    assert waits == [20, 0]


# --- when the end of a stream is its end --------------------------------------------------------------------


def answered(*pieces: bytes, kind: str = "text/event-stream") -> Any:
    return FarEnd(canned({"GET /": Canned(pieces, headers=(("content-type", kind),), wait=True)}))


@pytest.mark.parametrize(
    ("pieces", "outcome"),
    [
        ((b"data: 1\n\n", b"data: [DONE]\n\n"), "exhausted"),
        ((b"data: 1\n\ndata: [DO", b"NE]\n\n"), "exhausted"),
        ((b"data:[DONE]\r\n\r\n",), "exhausted"),
        ((b"data: [DONE]\n\n", b": bye\n\n"), "exhausted"),
        ((b'data: "data: [DONE]"\n\n',), "closed_by_consumer"),
        ((b"data: 1\n\n",), "closed_by_consumer"),
    ],
)
def test_a_stream_has_ended_with_its_last_event(pieces: tuple[bytes, ...], outcome: str) -> None:
    with answered(*pieces).serve() as url, recording() as recorded, httpx2.Client(verify=False) as asking:
        with asking.stream("GET", url) as response:
            parts = response.iter_raw()
            assert b"".join(next(parts) for _ in pieces) == b"".join(pieces)

    assert outcomes(recorded) == [outcome]


def test_only_a_stream_of_events_ends_that_way() -> None:
    with answered(b"data: [DONE]\n", kind="text/plain").serve() as url, recording() as recorded:
        with httpx2.Client(verify=False) as asking, asking.stream("GET", url) as response:
            next(response.iter_raw())

    assert outcomes(recorded) == ["closed_by_consumer"]


def test_a_long_answer_is_kept_whole(stub: StubProvider, url: str) -> None:
    long = "0123456789abcdef" * 655_360
    stub.answer(Reply(text=long))

    with client(url) as asking, recording() as recorded:
        answer = asking.chat.completions.create(model=MODEL, messages=HELLO)

    (step,) = recorded.record.trace.steps.values()
    assert answer.choices[0].message.content == long
    assert recorded.record.facts(step.id) is not None
    assert recorded.record.facts(step.id).text == long  # type: ignore[union-attr]
