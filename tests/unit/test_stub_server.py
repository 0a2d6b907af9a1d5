"""The HTTP/1.1 under the stub provider, spoken to over bare sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx2
import pytest

from agentrace.testing import Request, StubProvider
from agentrace.testing.server import Message, Receive, Send, Serving
from tests.unit.openai_clients import http
from tests.unit.raw_requests import BODY, CHAT, CHUNKED, MODELS, SIZED


@pytest.fixture
def stub() -> StubProvider:
    return StubProvider()


@pytest.fixture
def url(stub: StubProvider) -> Iterator[str]:
    with stub.serve() as address:
        yield address


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10)) as sock:
        yield sock


def answered(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer with a content-length off the socket: status, headers, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1) or b"\r\n\r\n"
    first, *lines = data.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += sock.recv(int(headers["content-length"]) - len(body))
    return int(first.split()[1]), headers, body


def until_closed(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


# --- answering them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_bytes", [SIZED, CHUNKED])
def test_a_connection_is_used_again(stub: StubProvider, url: str, request_bytes: bytes) -> None:
    stub.reply("one").reply("two")

    with connected(url) as sock:
        texts = []
        for _ in range(2):
            sock.sendall(request_bytes)
            status, headers, body = answered(sock)
            texts.append((status, headers["connection"], json.loads(body)["choices"][0]["message"]["content"]))

    assert texts == [(200, "keep-alive", "one"), (200, "keep-alive", "two")]


@pytest.mark.parametrize(("status", "length"), [(200, "3"), (204, None), (304, None), (299, "3")])
def test_clients_keep_their_connection(status: int, length: str | None) -> None:
    ports: set[int] = set()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        ports.add(scope["client"][1])
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b"abc"})

    with Serving(app) as address, httpx2.Client() as web:
        answers = [web.get(address) for _ in range(3)]

    assert [(one.status_code, one.headers.get("content-length")) for one in answers] == [(status, length)] * 3
    assert {one.content for one in answers} == {b"abc" if length else b""}
    assert len(ports) == 1


def test_requests_sent_together_are_answered_in_their_order(stub: StubProvider, url: str) -> None:
    stub.reply("slow", delay=0.02).reply("quick")

    with connected(url) as sock:
        sock.sendall(SIZED + SIZED + MODELS)
        bodies = [json.loads(answered(sock)[2]) for _ in range(3)]

    assert [body["choices"][0]["message"]["content"] for body in bodies[:2]] == ["slow", "quick"]
    assert bodies[2]["object"] == "list"


def test_a_stream_is_sent_in_chunks(stub: StubProvider, url: str) -> None:
    stub.reply("Hi")
    streamed = BODY.replace(b'"model"', b'"stream": true, "model"')

    with connected(url) as sock:
        sock.sendall(CHAT + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(streamed), streamed))
        head, _, body = until_closed(sock).partition(b"\r\n\r\n")

    assert b"\r\ntransfer-encoding: chunked\r\nconnection: close" in head
    assert b"content-length" not in head
    assert [int(size, 16) for size in re.findall(rb"(?:^|\r\n)([0-9a-f]+)\r\ndata", body)]
    assert body.endswith(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def test_http_1_0_gets_no_chunks(stub: StubProvider, url: str) -> None:
    stub.reply("Hi").reply("Hi")
    streamed = BODY.replace(b'"model"', b'"stream": true, "model"')
    old = CHAT.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nContent-Length: %d\r\n\r\n%s"

    with connected(url) as sock:
        sock.sendall(old % (len(BODY), BODY))
        status, headers, _ = answered(sock)
        sock.sendall(old % (len(streamed), streamed))
        head, _, body = until_closed(sock).partition(b"\r\n\r\n")

    assert (status, headers["connection"]) == (200, "keep-alive")
    assert b"transfer-encoding" not in head
    assert head.endswith(b"connection: close")
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("version", [b"1.1\r\nConnection: close", b"1.0"])
def test_a_client_that_is_done_is_left_alone(url: str, version: bytes) -> None:
    with connected(url) as sock:
        sock.sendall(b"GET /v1/models HTTP/" + version + b"\r\n\r\n")
        data = until_closed(sock)

    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in data


def test_a_client_that_waits_is_told_to_go_on(url: str) -> None:
    head = CHAT + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)

    with connected(url) as sock:
        for _ in range(2):
            sock.sendall(head)
            first = sock.recv(100)
            sock.sendall(BODY[:10])
            sock.sendall(BODY[10:])
            status, _, _ = answered(sock)

            assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert status == 200


def test_head_has_no_body(url: str) -> None:
    with connected(url) as sock:
        sock.sendall(b"HEAD /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
        head, _, body = until_closed(sock).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 405 Method Not Allowed")
    assert b"content-length" in head
    assert body == b""


def test_a_malformed_request_ends_its_connection(url: str) -> None:
    with connected(url) as sock:
        sock.sendall(b"hello\r\n\r\n" + MODELS)
        data = until_closed(sock)

    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert data.endswith(b"\r\n\r\nthe request line is malformed\n")


def test_a_large_answer_waits_for_a_slow_reader(url: str) -> None:
    parts = 64
    sent: list[int] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(parts):
            sent.append(number)
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        await send({"type": "http.response.body"})

    with Serving(app) as address, http().stream("GET", address) as response:
        stream = response.iter_raw()
        size = len(next(stream))
        sent_early = len(sent)
        size += sum(map(len, stream))

    assert size == parts * 1_000_000
    assert sent_early < parts


def test_an_app_is_stopped_when_its_client_goes_away() -> None:
    stopped, begun = threading.Event(), threading.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        begun.set()
        try:
            await receive()
        finally:
            stopped.set()

    with Serving(app) as address:
        with connected(address) as sock:
            sock.sendall(MODELS)
            assert begun.wait(10)
        gone = stopped.wait(10)

    assert gone


@pytest.mark.parametrize("begins", [False, True])
def test_an_app_that_does_not_end_its_answer(caplog: pytest.LogCaptureFixture, begins: bool) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    with caplog.at_level(logging.ERROR), Serving(app) as address, connected(address) as sock:
        sock.sendall(MODELS)
        data = until_closed(sock)

    assert data.startswith(b"HTTP/1.1 200 OK" if begins else b"HTTP/1.1 500 Internal Server Error")
    assert not data.endswith(b"0\r\n\r\n")
    assert "the app ended before its answer did" in caplog.text


# --- starting and stopping ----------------------------------------------------------------------------------


def test_nothing_answers_after_the_block(stub: StubProvider) -> None:
    with stub.serve() as url:
        assert http().get(f"{url}/v1/models").status_code == 200
        threads = {thread.name for thread in threading.enumerate()}

    with pytest.raises(httpx2.ConnectError):
        http().get(f"{url}/v1/models")
    assert "agentrace-stub" in threads
    assert "agentrace-stub" not in {thread.name for thread in threading.enumerate()}


def test_stopping_breaks_what_is_open_and_what_is_under_way(stub: StubProvider) -> None:
    begun = threading.Event()

    async def never(request: Request) -> None:
        if request.endpoint == "chat":
            begun.set()
            await asyncio.Event().wait()

    serving = stub.rule(never).serve()
    url = serving.start()
    with connected(url) as idle, connected(url) as busy:
        idle.sendall(MODELS)
        status, _, _ = answered(idle)
        busy.sendall(SIZED)
        assert begun.wait(10)
        serving.close()
        serving.close()
        rest = [until_closed(idle), until_closed(busy)]

    assert status == 200
    assert rest == [b"", b""]


def test_a_stub_serves_several_times_also_at_once(stub: StubProvider) -> None:
    with stub.serve() as one, stub.serve() as other:
        statuses = [http().get(f"{url}/v1/models").status_code for url in (one, other)]
    with stub.serve(port=int(one.rpartition(":")[2])) as again:
        statuses.append(http().get(f"{again}/v1/models").status_code)

    assert statuses == [200] * 3
    assert one == again != other
    assert len(stub.requests) == 3


def test_async_with_serves_too(stub: StubProvider) -> None:
    async def ask() -> int:
        async with stub.serve() as url, httpx2.AsyncClient() as web:
            return (await web.get(f"{url}/v1/models")).status_code

    assert asyncio.run(ask()) == 200


def test_a_port_that_is_taken(stub: StubProvider, url: str) -> None:
    with pytest.raises(OSError, match="in use"):
        stub.serve(port=int(url.rpartition(":")[2])).start()


def test_the_app_answers_what_is_not_http(stub: StubProvider) -> None:
    sent: list[str] = []

    async def run(kind: str) -> None:
        async def receive() -> Message:
            return {}

        async def send(message: Message) -> None:
            sent.append(message["type"])

        await stub.app({"type": kind}, receive, send)

    asyncio.run(run("lifespan"))
    asyncio.run(run("websocket"))

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
