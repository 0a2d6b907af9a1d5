"""What ASGI and WSGI applications may do in a request, each called as a server calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import agentrace
from agentrace.testing import MemoryRecorder, recorded


@agentrace.tool
def note(what: object) -> object:
    return what


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded(name="process") as record:
        yield record


def told(record: MemoryRecorder) -> list[tuple[str, str, int]]:
    """Name, status and number of steps of each run but the process's own, which holds what the client asked."""
    runs = [run.trace.run for run in record.runs]
    return [(run.name, run.status, run.steps) for run in runs if run.name not in ("", "process")]


async def order(request: Request) -> PlainTextResponse:
    if request.path_params["number"] == 13:
        raise HTTPException(503)
    note(request.path_params["number"])
    return PlainTextResponse(str(request.path_params["number"]))


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(note("talked"))
    await socket.close()


def application(**options: Any) -> Starlette:
    shop = Mount("/shop", routes=[Route("/orders/{number:int}", order)])
    middleware = [Middleware(agentrace.ASGIMiddleware, **options)]
    return Starlette(routes=[shop, Route("/{number:int}", order), WebSocketRoute("/talk", talk)], middleware=middleware)


def test_the_name_of_a_request_is_that_of_its_route(record: MemoryRecorder) -> None:
    with TestClient(application()) as client:
        assert [client.get(path).status_code for path in ("/shop/orders/7", "/8", "/shop/other")] == [200, 200, 404]

    assert told(record) == [
        ("GET /shop/orders/{number:int}", "completed", 1),
        ("GET /{number:int}", "completed", 1),
        ("GET /shop/other", "completed", 0),
    ]


def test_a_status_from_500_on_is_a_failure_and_what_is_skipped_is_no_run(record: MemoryRecorder) -> None:
    with TestClient(application(skip=["/8"], name=lambda scope: f"{scope['path']}!")) as client:
        assert [client.get(path).status_code for path in ("/13", "/8")] == [503, 200]

    assert told(record) == [("/13!", "failed", 0)]


def test_websockets_and_the_lifespan_pass(record: MemoryRecorder) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    async def call(kind: str) -> None:
        given = ({"type": kind, "path": "/"}, object(), object())
        await agentrace.ASGIMiddleware(app)(*given)  # type: ignore[arg-type]
        assert all(one is other for one, other in zip(seen.pop(), given, strict=True))

    asyncio.run(call("websocket"))
    asyncio.run(call("lifespan"))
    with TestClient(application()) as client, client.websocket_connect("/talk") as socket:
        assert socket.receive_json() == "talked"

    assert told(record) == []


def test_the_middleware_may_be_there_twice(record: MemoryRecorder) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["agentrace.run"])
        note("inside")

    async def main() -> None:
        inner = agentrace.ASGIMiddleware(app, name=lambda _: "inner")
        await call_asgi(inner, nothing(), 1)
        skipping = agentrace.ASGIMiddleware(inner, skip=["/2"])
        await skipping({"type": "http", "method": "GET", "path": "/2"}, nothing().__anext__, ignored)

    asyncio.run(main())
    again = agentrace.WSGIMiddleware(lambda environ, _: [str(note(environ["agentrace.run"])).encode()])
    (body,) = call_wsgi(again)

    assert told(record) == [("POST /1", "completed", 1), ("inner", "completed", 1), ("GET /orders/7", "completed", 1)]
    ids = [run.run_id.hex() for run in record.runs]
    assert [text.replace("-", "") for text in (*seen, body.decode())] == ids


async def ignored(message: Any) -> None:
    """A client that does not listen."""


class Odd:
    """What another framework may put into a scope."""

    path = "/odd"

    @property
    def endpoint(self) -> Any:
        return None


def test_what_is_odd_in_a_scope_or_message_is_the_applications(record: MemoryRecorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.update(fastapi=object(), route=Odd())
        note("inside")
        await send({"type": "http.response.start", "status": "500"})
        await send({"type": "http.response.body"})

    assert len(asyncio.run(call_asgi(app, nothing(), 1))) == 2

    assert told(record) == [("POST /odd", "completed", 1)]


def test_a_request_is_on_disk_once_its_body_is_asked_for_and_its_route_known(record: MemoryRecorder) -> None:
    opened: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for route in ({}, {"route": Odd()}):
            scope.update(route)
            await receive()
            opened.append(bool(agentrace.status().run_id))

    asyncio.run(call_asgi(app, nothing(), 1))

    assert (opened, told(record)) == ([False, True], [("POST /odd", "aborted", 0)])


async def call_asgi(app: Any, messages: AsyncIterator[Any], number: int) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"/{number}"}
    await agentrace.ASGIMiddleware(app)(scope, messages.__anext__, send)
    return sent


async def nothing() -> AsyncIterator[Any]:
    yield {"type": "http.request", "body": b"", "more_body": False}
    yield {"type": "http.disconnect"}


def test_many_requests_at_once_do_not_mix(record: MemoryRecorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"][1:])
        with agentrace.step("outer"):
            for _ in range(3):
                await asyncio.sleep(0.001 * (number % 3))
                note(number)
            await asyncio.gather(*(asyncio.to_thread(note, number) for _ in range(2)))

    async def main() -> None:
        await asyncio.gather(*(call_asgi(app, nothing(), number) for number in range(30)))

    asyncio.run(main())

    runs = [run for run in record.runs if run.trace.run.name.startswith("POST")]
    assert len(runs) == 30
    for run in runs:
        number = int(run.trace.run.name.removeprefix("POST /"))
        outer, *notes = run.steps
        assert [run.python(step.dispatched.input) for step in notes] == [{"what": number}] * 5
        assert {step.dispatched.parent for step in notes} == {outer.id}


def test_a_client_that_leaves_before_the_end_aborts_and_after_it_does_not(record: MemoryRecorder) -> None:
    async def cut(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
        await receive()

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a"})
        await receive()
        await receive()

    assert len(asyncio.run(call_asgi(cut, nothing(), 1))) == 2
    asyncio.run(call_asgi(whole, nothing(), 2))

    assert told(record) == [("POST /1", "aborted", 0), ("POST /2", "completed", 0)]


def test_a_request_that_is_cancelled_is_aborted_by_the_server(record: MemoryRecorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def main() -> None:
        request = asyncio.create_task(call_asgi(app, nothing(), 1))
        await reached.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    reached = asyncio.Event()
    asyncio.run(main())

    (run,) = [run.trace.run for run in record.runs if run.trace.run.name == "POST /1"]
    assert run.aborted is not None
    assert (run.status, run.aborted.by, run.aborted.code) == ("aborted", "server", "cancelled")


def test_after_a_request_the_caller_is_where_it_was(record: MemoryRecorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        note("inside")

    async def main() -> None:
        with agentrace.run("caller"), agentrace.step("calls"):
            await call_asgi(app, nothing(), 1)
            call_wsgi(lambda environ, start_response: [note("inside") and b""])
            note("outside")

    asyncio.run(main())

    assert told(record) == [("caller", "completed", 2), ("POST /1", "completed", 1), ("GET /orders/7", "completed", 1)]
    assert [step.dispatched.parent for step in record.runs[0].steps] == [0, 1]


def test_without_a_recording_nothing_is_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(application()) as client:
        assert client.get("/8").text == "8"
    assert call_wsgi(lambda environ, start_response: [start_response("200 OK", []) or b"x"]) == [b"x"]


# --- WSGI ---------------------------------------------------------------------------------------------------


def call_wsgi(app: Any, *, reads: int | None = None, method: str = "GET", **environ: Any) -> Any:
    """The response's body as a server reads it, or ``reads`` pieces of it."""
    given: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper, "REQUEST_METHOD": method, **environ}
    setup_testing_defaults(given)
    given["PATH_INFO"] = "/orders/7"
    body = agentrace.WSGIMiddleware(app)(given, lambda status, headers, exc_info=None: None)
    if isinstance(body, (list, FileWrapper)):
        return body
    try:
        return [piece for _, piece in zip(range(reads), body, strict=False)] if reads is not None else list(body)
    finally:
        body.close()  # type: ignore[attr-defined]


def test_the_body_of_a_response_is_made_inside_its_run(record: MemoryRecorder) -> None:
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            for n in range(3):
                yield str(note(n)).encode()

        def close(self) -> None:
            closed.append(str(note("closed")))

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        note("called")
        return Body()

    assert call_wsgi(app) == [b"0", b"1", b"2"]
    assert call_wsgi(app, reads=1) == [b"0"]
    assert call_wsgi(app, reads=0, method="HEAD") == []
    note("outside")

    assert closed == ["closed"] * 3
    assert told(record) == [
        ("GET /orders/7", "completed", 5),
        ("GET /orders/7", "aborted", 3),
        ("HEAD /orders/7", "completed", 2),
    ]


def test_a_step_that_is_open_while_a_body_is_sent_encloses_what_comes_after(record: MemoryRecorder) -> None:
    @agentrace.run("between")
    def between() -> None:
        note("between")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        with agentrace.step("outer"):
            for n in range(3):
                yield str(note(n)).encode()
        note("after")

    given: dict[str, Any] = {}
    setup_testing_defaults(given)
    for _ in agentrace.WSGIMiddleware(app)(given, lambda status, headers, exc_info=None: None):
        between()

    (request,) = [run for run in record.runs if run.trace.run.name == "GET /"]
    assert [(step.name, step.dispatched.parent) for step in request.steps] == [
        *[("outer", 0), *[("note", 1)] * 3],
        ("note", 0),
    ]


def test_a_list_that_is_more_than_a_list_is_closed_inside_the_run(record: MemoryRecorder) -> None:
    class Closing(list[bytes]):
        def close(self) -> None:
            note("closed")

    given: dict[str, Any] = {}
    setup_testing_defaults(given)
    body = agentrace.WSGIMiddleware(lambda environ, start_response: Closing([b"1"]))(given, lambda *_: None)
    assert list(body) == [b"1"]
    body.close()  # type: ignore[attr-defined]

    assert told(record) == [("GET /", "completed", 1)]


def test_a_path_is_text(record: MemoryRecorder) -> None:
    app = agentrace.WSGIMiddleware(lambda environ, start_response: [], skip=["/tea"])
    for path in ("/caf\xc3\xa9", "/\xff", "/tea"):
        app({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *_: None)

    assert told(record) == [("GET /café", "completed", 0), ("GET /\ufffd", "completed", 0)]


def test_what_servers_look_at_stays_what_it_is(record: MemoryRecorder, tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"12")
    listed = [b"1", b"2"]

    with (tmp_path / "file").open("rb") as file:
        wrapped = FileWrapper(file)
        assert call_wsgi(lambda environ, start_response: wrapped) is wrapped
    assert call_wsgi(lambda environ, start_response: listed) is listed

    assert [status for _, status, _ in told(record)] == ["completed"] * 2


def test_how_a_request_failed_is_told(record: MemoryRecorder) -> None:
    def raises(environ: Any, start_response: Any) -> Any:
        raise KeyError("early")

    def raises_late(environ: Any, start_response: Any) -> Any:
        yield b"1"
        raise ValueError("late")

    def answers(environ: Any, start_response: Any) -> Any:
        start_response("500 Internal Server Error", [])
        return []

    with pytest.raises(KeyError):
        call_wsgi(raises)
    with pytest.raises(ValueError, match="late"):
        call_wsgi(raises_late)
    call_wsgi(answers)

    failures = [run.trace.run.failure for run in record.runs]
    assert [status for _, status, _ in told(record)] == ["failed"] * 3
    assert [failure and failure.type for failure in failures] == ["builtins:KeyError", "builtins:ValueError", None]
