"""Requests that are no part of what a program does: reports about it, and what the settings exclude."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import sentry_sdk
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import agentrace
from agentrace.query import replayable
from agentrace.store import RunRecord
from tests.contract.far_end import Canned, FarEnd, canned
from tests.contract.recording import recording, replaying

PROTOBUF = {"content-type": "application/x-protobuf"}
ENVELOPE = {"content-type": "application/x-sentry-envelope"}
PATHS = ("/api/4/envelope/", "/api/4/store/", "/v1/traces", "/otel/v1/logs", "/collect/all", "/collected", "/things")


@pytest.fixture
def far() -> Iterator[tuple[str, FarEnd]]:
    """Whoever is asked for anything."""
    answers = {f"{method} {path}": Canned(b"{}") for path in PATHS for method in ("GET", "POST")}
    end = FarEnd(canned({**answers, "POST /collect/all?q=1": Canned(b"{}")}))
    with end.serve() as url:
        yield url, end


def told(record: RunRecord) -> list[str]:
    return [step.dispatched.operation for step in record.trace.steps.values()]


def left_out(record: RunRecord) -> dict[str, int]:
    described = record.trace.run.described
    assert described is not None
    return described.left_out


@agentrace.tool
def look(number: int) -> int:
    return number


def reporting(url: str) -> list[int]:
    """A program of which Sentry and an OpenTelemetry collector are told while it works."""
    sentry = sentry_sdk.Client(url.replace("://", "://key@") + "/4", default_integrations=False)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces"), schedule_delay_millis=1))
    try:
        found = []
        for number in range(3):
            with provider.get_tracer("test").start_as_current_span("look"):
                found.append(look(number))
            sentry.capture_event({"message": "looked"})
        return found
    finally:
        provider.shutdown()
        sentry.close(timeout=5)


def test_reports_of_libraries_are_sent_and_not_recorded(far: tuple[str, FarEnd]) -> None:
    url, end = far

    with recording() as made:
        assert reporting(url) == [0, 1, 2]

    sent = [passed.target for passed in end.passed]
    assert {*sent} == {"/v1/traces", "/api/4/envelope/"}
    assert [step.name for step in made.record.trace.steps.values()] == ["look"] * 3
    assert left_out(made.record) == {"127.0.0.1": len(sent)}


def test_on_a_replay_reports_go_nowhere_and_nobody_waits(far: tuple[str, FarEnd]) -> None:
    url, end = far
    with recording() as made:
        reporting(url)
    before = len(end.passed)

    with replaying(made.record) as again:
        assert reporting(url) == [0, 1, 2]

    assert len(end.passed) == before
    assert again.tape is not None
    assert again.tape.verdict()[0] == "exact"


async def _aiohttp(url: str, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=b"x", headers=headers) as response:
        await response.read()
        return response.status


async def _httpx2(url: str, headers: dict[str, str]) -> int:
    async with httpx2.AsyncClient(verify=False) as client:
        return (await client.post(url, content=b"x", headers=headers)).status_code


WIRES: dict[str, Callable[[str, dict[str, str]], int]] = {
    "httpx": lambda url, headers: httpx.post(url, content=b"x", headers=headers, verify=False).status_code,
    "httpx2": lambda url, headers: httpx2.post(url, content=b"x", headers=headers, verify=False).status_code,
    "httpx2-async": lambda url, headers: asyncio.run(_httpx2(url, headers)),
    "aiohttp": lambda url, headers: asyncio.run(_aiohttp(url, headers)),
    "requests": lambda url, headers: requests.post(url, data=b"x", headers=headers, timeout=5).status_code,
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_report_is_accepted_on_every_wire(wire: str, far: tuple[str, FarEnd]) -> None:
    url, end = far
    with recording() as made:
        assert WIRES[wire](f"{url}/v1/traces", PROTOBUF) == 200

    with replaying(made.record):
        assert WIRES[wire](f"{url}/v1/traces", PROTOBUF) == 200

    assert told(made.record) == []
    assert len(end.passed) == 1


@pytest.mark.parametrize("wire", WIRES)
def test_what_the_settings_exclude_is_sent_and_not_recorded(wire: str, far: tuple[str, FarEnd]) -> None:
    url, end = far
    with recording(exclude_urls=["127.0.0.1/collect/*"]) as made:
        assert WIRES[wire](f"{url}/collect/all?q=1", {}) == 200
        assert WIRES[wire](f"{url}/collected", {}) == 200
        assert look(7) == 7  # recorded again as ever

    assert [passed.target for passed in end.passed] == ["/collect/all?q=1", "/collected"]
    assert told(made.record) == ["POST /collected", ""]
    assert left_out(made.record) == {"127.0.0.1": 1}


def test_a_pattern_without_a_path_is_a_host(far: tuple[str, FarEnd]) -> None:
    url, _ = far
    with recording(exclude_urls=["127.*.1", "elsewhere.example"]) as made:
        httpx2.get(f"{url}/things", verify=False)
        look(1)

    assert told(made.record) == [""]
    assert made.record.trace.run.started is not None
    assert made.record.trace.run.started.excluded == ["127.*.1", "elsewhere.example"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/v1/traces", {"content-type": "application/json"}),
        ("GET", "/v1/traces", PROTOBUF),
        ("POST", "/api/4/store/", ENVELOPE),
        ("POST", "/api/4/envelope/", PROTOBUF),
        ("POST", "/things", PROTOBUF),
    ],
)
def test_what_only_resembles_a_report_is_recorded(
    method: str, path: str, headers: dict[str, str], far: tuple[str, FarEnd]
) -> None:
    url, _ = far
    with recording() as made:
        httpx2.request(method, f"{url}{path}", headers=headers, verify=False)

    assert told(made.record) == [f"{method} {path}"]


def test_inside_a_tool_a_report_belongs_to_the_tool(far: tuple[str, FarEnd]) -> None:
    url, _ = far

    @agentrace.tool
    def report() -> int:
        return httpx2.post(f"{url}/otel/v1/logs", headers=PROTOBUF, verify=False).status_code

    with recording() as made:
        report()

    assert [(step.name, step.ended is not None) for step in made.record.trace.steps.values()] == [
        ("test_inside_a_tool_a_report_belongs_to_the_tool.report", True)
    ]
    assert len(made.record.exchanges(1)) == 1


def test_an_application_in_this_process_is_the_program_itself() -> None:
    app = FastAPI()

    @app.get("/squares/{number}")
    def square(number: int) -> int:
        return look(number) ** 2

    @app.get("/sums/{number}")
    async def total(number: int, later: BackgroundTasks) -> int:
        later.add_task(look, number)
        await asyncio.sleep(0.001)
        return sum(await asyncio.gather(*(asyncio.to_thread(look, part) for part in range(number))))

    async def asked() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return (await client.get("/squares/4")).json()

    def program() -> list[Any]:
        with TestClient(app) as client:
            found = [client.get(path).json() for path in ("/sums/4", "/squares/2", "/sums/3")]
        return [*found, TestClient(app).get("/squares/3").json(), asyncio.run(asked())]

    with recording() as made:
        assert program() == [6, 4, 3, 9, 16]
    with replaying(made.record) as again:
        assert program() == [6, 4, 3, 9, 16]

    assert [step.name for step in made.record.trace.steps.values()] == ["look"] * 12
    assert again.tape is not None
    assert again.tape.verdict() == ("exact", [])


def test_requests_of_the_standard_library_are_told_where_they_are_not_recorded(far: tuple[str, FarEnd]) -> None:
    url, _ = far

    @agentrace.tool
    def ask() -> bytes:
        with urllib.request.urlopen(f"{url}/things") as answer:
            found: bytes = answer.read()
        return found

    with recording() as inside:
        ask()
    with recording() as outside, urllib.request.urlopen(f"{url}/things") as answer:
        assert answer.read() == b"{}"
        look(1)

    assert replayable(inside.record, []).yes
    (why,) = replayable(outside.record, []).because
    assert why == "requests through http.client or urllib.request are not recorded outside tools"
