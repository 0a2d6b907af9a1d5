"""What goes over the wire in odd ways: codings that cannot be taken off, damaged bodies, cookies, and our own faults."""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import aiohttp
import httpx2
import pytest
import urllib3
from aiohttp import web

import agentrace
from agentrace.capture.guard import faults
from tests.contract import aiohttp_subjects, http_subjects, openai_subject, urllib3_subjects
from tests.contract.far_end import Canned, FarEnd, canned
from tests.contract.openai_scenarios import KEY
from tests.contract.recording import Memory, Recording, recording, replaying
from tests.contract.scenarios import Case, far_end, performed


@pytest.fixture(autouse=True)
def _no_faults() -> None:
    """Faults are made on purpose here; each test counts them itself."""


def served(*headers: tuple[str, str], body: bytes | tuple[bytes, ...] = b"{}") -> FarEnd:
    """A server whose every answer has these headers and this body."""
    return FarEnd(canned({"GET /": Canned(body, headers=(("content-type", "text/plain"), *headers))}))


def fetched(url: str) -> tuple[bytes, str, list[tuple[str, str]]]:
    """Content and class of the exception, and the cookies that the client has kept."""
    with httpx2.Client(verify=False) as asking:
        try:
            content, failed = asking.get(url).content, ""
        except httpx2.HTTPError as error:
            content, failed = b"", f"{type(error).__name__}: {error}"
        return content, failed, list(asking.cookies.items())


def only_exchange(recorded: Recording) -> Any:
    (step,) = recorded.record.trace.steps.values()
    (exchange,) = recorded.record.exchanges(step.id)
    return exchange


def health(recorded: Recording) -> list[str]:
    return list(recorded.memory.told()[-1].health)


# --- bodies -------------------------------------------------------------------------------------------------


def test_a_coding_that_is_not_known_is_kept_and_told() -> None:
    coded = b"\x0b\x02\x80neither gzip nor text\x03"
    with served(("content-encoding", "br"), body=coded).serve() as url:
        plain = fetched(url)
        with recording() as recorded:
            live = fetched(url)
    with replaying(recorded.record):
        replayed = fetched(url)

    assert live == plain == replayed
    assert b"".join(only_exchange(recorded).body) == coded
    assert health(recorded) == ["privacy_risk"]


def test_a_body_that_is_not_coded_as_it_says_fails_as_without_us() -> None:
    damaged = gzip.compress(b"")[:10] + b"\xff" * 200
    with served(("content-encoding", "gzip"), body=damaged).serve() as url:
        plain = fetched(url)
        with recording() as recorded:
            live = fetched(url)

    assert live == plain
    assert live[1].startswith("DecodingError")
    assert health(recorded) == ["privacy_risk"]


def test_a_body_of_several_compressed_members_is_read_as_the_client_reads_it() -> None:
    twice = gzip.compress(b"one ") + gzip.compress(b"two")
    with served(("content-encoding", "gzip"), body=twice).serve() as url, recording() as recorded:
        live = fetched(url)

    assert b"".join(only_exchange(recorded).body) == live[0]
    assert health(recorded) == []


@pytest.mark.parametrize("preload", [True, False])
def test_a_compressed_body_of_a_told_length_is_read_to_its_end(preload: bool) -> None:
    """On a replay it is compressed anew, so that it has another length."""
    body = bytes(n * n % 251 for n in range(20_000))

    def program(url: str) -> list[Any]:
        with urllib3.PoolManager() as asking:
            response = asking.request("GET", f"{url}/", preload_content=preload)
            data = response.data if preload else b"".join(response.stream(999, decode_content=True))
            return [data == body, response.length_remaining, response.headers["content-length"]]

    with served(("content-encoding", "gzip"), body=gzip.compress(body, 1)).serve() as url:
        plain = program(url)
        with recording() as recorded:
            live = program(url)
    with replaying(recorded.record) as again:
        replayed = program(url)

    assert plain == live == replayed
    assert live[:2] == [True, 0]
    assert again.tape is not None
    assert again.tape.latched is None


def test_a_secret_in_a_compressed_body_is_found() -> None:
    told = f'{{"api_key": "{KEY}"}}'.encode()
    with served(("content-encoding", "gzip"), body=gzip.compress(told)).serve() as url, recording() as recorded:
        live = fetched(url)

    assert live[0] == told
    assert KEY.encode() not in recorded.memory.everything()
    assert b"api_key" in b"".join(only_exchange(recorded).body)


def test_a_secret_in_two_pieces_is_found() -> None:
    head, tail = KEY[:20].encode(), KEY[20:].encode()
    with served(body=(b"your key: " + head, tail + b", keep it\n")).serve() as url, recording() as recorded:
        live = fetched(url)

    assert live[0] == b"your key: " + KEY.encode() + b", keep it\n"
    assert KEY[:20].encode() not in recorded.memory.everything()
    assert KEY[20:].encode() not in recorded.memory.everything()


def test_a_cookie_is_the_programs_and_not_the_records() -> None:
    with served(("set-cookie", "session=c0ffee5e55; Path=/")).serve() as url:
        plain = fetched(url)
        with recording() as recorded:
            live = fetched(url)
    with replaying(recorded.record) as again:
        replayed = fetched(url)

    assert live == plain
    assert live[2] == [("session", "c0ffee5e55")]
    assert replayed == (*live[:2], [("redacted", "?redacted:cookie?")])
    assert b"c0ffee5e55" not in recorded.memory.everything()
    assert again.tape is not None
    assert again.tape.latched is None


def test_what_a_url_gives_away_is_not_kept() -> None:
    with served().serve() as url, recording() as recorded:
        fetched(url.replace("//", f"//me:{KEY}@"))

    assert KEY.encode() not in recorded.memory.everything()


# --- our own faults -----------------------------------------------------------------------------------------


class Failing(Memory):
    """A recorder that fails from one of its calls on, or at that one only."""

    def __init__(self, at: int, forever: bool) -> None:
        super().__init__()
        self._at, self._forever, self._count = at, forever, 0

    def _count_down(self) -> None:
        self._count += 1
        if self._count == self._at or (self._forever and self._count > self._at):
            raise RuntimeError("the recorder is broken")

    def event(self, data: bytes, /) -> None:
        self._count_down()
        super().event(data)

    def payload(self, digest: bytes, data: bytes, /) -> None:
        self._count_down()
        super().payload(digest, data)


def broken() -> Iterator[tuple[int, bool]]:
    """Where a recorder fails."""
    for at in (1, 2, 3, 4, 5, 6, 8, 11):
        yield at, False
        yield at, True


SHAKEN = [
    Case(subject, scenario, asynchronous)
    for subject, names in (
        (openai_subject.OPENAI, {"chat", "chat-stream", "stream-left", "error-400", "stream-cut", "retried"}),
        (http_subjects.HTTP[0], {"lines", "post-json", "broken"}),
        (urllib3_subjects.URLLIB3, {"post-json", "cut", "streamed"}),
        (aiohttp_subjects.AIOHTTP, {"post-json", "broken", "lines"}),
    )
    for scenario in subject.scenarios
    if scenario.name in names
    for asynchronous in (False, True)
    if scenario.only in ("", "async" if asynchronous else "sync")
]


@pytest.mark.parametrize("case", SHAKEN, ids=str)
def test_a_fault_of_ours_is_never_the_programs(
    case: Case, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AGENTRACE_DEBUG", raising=False)
    case = replace(case, scenario=replace(case.scenario))
    far = far_end(case)

    with far.serve() as url:
        expected = performed(case, url)
        before = faults()
        for at, forever in broken():
            far.app = case.scenario.answering()
            made = Recording(memory=Failing(at, forever))
            made.start()
            try:
                assert performed(case, url) == expected
            finally:
                made.end()

    assert faults() > before
    assert "Traceback" not in capfd.readouterr().err


# --- waiting, and what is not recorded ----------------------------------------------------------------------


def test_a_replay_does_not_wait_between_retries() -> None:
    def program(url: str) -> tuple[bytes, float]:
        began = time.monotonic()
        retries = urllib3.Retry(2, status_forcelist=[429, 503], backoff_factor=0.2)
        with urllib3.PoolManager(retries=retries) as asking:
            return asking.request("GET", f"{url}/").data, time.monotonic() - began

    busy = (Canned(b"", 503, (("retry-after", "1"),)), Canned(b"", 429, ()), Canned(b"done"))
    with FarEnd(canned({"GET /": busy})).serve() as url, recording() as recorded:
        live = program(url)
    with replaying(recorded.record) as again:
        replayed = program(url)

    assert (live[0], live[1] > 1.3) == (b"done", True)
    assert (replayed[0], replayed[1] < 0.5) == (b"done", True)
    assert again.tape is not None
    assert again.tape.latched is None


def described(recorded: Recording) -> list[str]:
    """What the program used that is not recorded."""
    return [text for event in recorded.memory.told() for text in getattr(event, "unsupported", ())]


async def talk() -> Any:
    """What a websocket of aiohttp says, and the answer to an ordinary request beside it."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{message.data}!")
        return socket

    runner = web.AppRunner(server := web.Application())
    server.add_routes([web.get("/talk", echo)])
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.name}/talk") as socket:
            await socket.send_str("Hello")
            return (await socket.receive()).data
    finally:
        await runner.cleanup()


def test_a_websocket_goes_on_unrecorded_and_is_told() -> None:
    with recording() as recorded:
        with agentrace.step("talk"):
            said = asyncio.run(talk())

    assert said == "Hello!"
    assert described(recorded) == ["websocket connections are not recorded"]
    assert [step.name for step in recorded.record.trace.steps.values()] == ["talk"]


@pytest.mark.parametrize("module", ["websockets.asyncio.client", "websockets.sync.client", "websocket._core"])
def test_a_client_of_websockets_that_is_loaded_is_told(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, ModuleType(module))

    with recording() as recorded, agentrace.step("talk"):
        pass

    assert described(recorded) == ["websocket connections are not recorded"]


def test_what_was_used_in_one_recording_is_not_said_of_the_next() -> None:
    with recording(), agentrace.step("talk"):
        asyncio.run(talk())

    with recording() as recorded, agentrace.step("be quiet"):
        pass

    assert described(recorded) == []


def test_an_older_aiohttp_is_left_alone_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    original = aiohttp.ClientSession._request
    monkeypatch.delattr(aiohttp, "ClientMiddlewareType")

    with recording() as recorded, agentrace.step("ask"):
        hooked = aiohttp.ClientSession._request

    assert hooked is original
    assert described(recorded) == ["requests through aiohttp are not recorded before its version 3.12"]
