"""A small HTTP/1.1 server for one ASGI app, in a thread of its own, on loopback.

Nothing but the standard library, so that the plain install can serve. An app that raises `ConnectionDropped`
gets its connection broken for real, which no ASGI message can say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from .http11 import BadRequest, Head, RawHeaders, RequestReader, carries_body, response_head

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without patience: closing then sends RST instead of FIN."""


class ConnectionDropped(ConnectionAbortedError):
    """Raised by an app to break its connection: with a reset (RST), or else a close (FIN) without an end."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("the stub dropped this connection")
        self.reset = reset


class Serving:
    """A server that runs while the ``with`` (or ``async with``) block does; entering it gives its URL."""

    def __init__(self, app: App, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app = app
        self._address = (host, port)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def start(self) -> str:
        """Listens and returns the URL, ``http://127.0.0.1:PORT``. Raises OSError if the port is taken."""
        listener = socket.create_server(self._address, backlog=1024)
        host, port = listener.getsockname()[:2]
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="agentrace-stub", daemon=True)
        self._thread.start()
        ready.result()
        return f"http://{host}:{port}"

    def close(self) -> None:
        """Stops listening, breaks the connections that are open and waits for the thread to end."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> str:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()  # blocks for about a millisecond: the thread only has to close its sockets

    def _run(self, listener: socket.socket, ready: Future[None]) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # whatever the program uses
                runner.run(self._serve(listener, ready))
        finally:
            ready.cancel()  # without effect once it is set; else whoever waits for it would wait for ever

    async def _serve(self, listener: socket.socket, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        live: set[_Connection] = set()
        server = await self._loop.create_server(lambda: _Connection(self._app, live), sock=listener)
        ready.set_result(None)
        await self._stop.wait()
        with contextlib.suppress(OSError):  # a forked child may hold the socket too; this ends it for both
            listener.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in tuple(live):
            connection.drop(reset=False)


class _Connection(asyncio.Protocol):
    """One client connection: one request after the other, each answered by a task that runs the app."""

    def __init__(self, app: App, live: set[_Connection]) -> None:
        self._app = app
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name for it
        self._live.discard(self)
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._task is None:
            self._advance()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def written(self) -> None:
        """Waits until the client has taken enough of what was written."""
        if not self._writable.is_set():
            await self._writable.wait()

    def drop(self, *, reset: bool) -> None:
        """Breaks the connection at once."""
        if reset:
            handle = self.transport.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _advance(self) -> None:
        """Starts answering the next request if it is here as a whole."""
        try:
            request = self._reader.next()
        except BadRequest as bad:
            self._refuse(bad.status, str(bad))
            return
        if request is None:
            if self._reader.wants_continue():
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        exchange = _Exchange(self, *request)
        self._task = self._loop.create_task(self._run(exchange))
        self._task.add_done_callback(lambda task: self._answered(exchange, task))

    async def _run(self, exchange: _Exchange) -> None:
        await self._app(exchange.scope(), exchange.receive, exchange.send)

    def _answered(self, exchange: _Exchange, task: asyncio.Task[None]) -> None:
        self._task = None
        failure = None if task.cancelled() else task.exception()
        if task.cancelled() or self.transport.is_closing():
            self.transport.abort()
        elif isinstance(failure, ConnectionDropped):
            self.drop(reset=failure.reset)
        elif failure is None and exchange.ended:
            if exchange.keep:
                self._advance()
            else:
                self.transport.close()
        else:
            self._fail(exchange, failure or RuntimeError("the app ended before its answer did"))

    def _fail(self, exchange: _Exchange, failure: BaseException) -> None:
        asked = f"{exchange.head.method} {exchange.head.target.decode('latin-1')}"
        context = {"message": f"the app failed to answer {asked}", "exception": failure}
        self._loop.call_exception_handler(context)
        if exchange.begun:
            self.drop(reset=False)
        else:
            self._refuse(500, f"{type(failure).__name__}: {failure}")

    def _refuse(self, status: int, what: str) -> None:
        body = f"{what}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
            (b"content-length", b"%d" % len(body)),
        ]
        self.transport.write(response_head(status, headers) + body)
        self.transport.close()


class _Exchange:
    """One request and its answer: the two callables that the app is given."""

    def __init__(self, connection: _Connection, head: Head, body: bytes) -> None:
        self.head = head
        self._body: bytes | None = body
        self._connection = connection
        self._start: Message | None = None
        self._chunked = False
        self._silent = False
        self.keep = head.keeps_alive
        self.begun = False
        self.ended = False

    def scope(self) -> Message:
        """The ASGI scope of this request."""
        path, _, query = self.head.target.partition(b"?")
        transport = self._connection.transport
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.head.version,
            "method": self.head.method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.head.headers,
            "client": transport.get_extra_info("peername"),
            "server": transport.get_extra_info("sockname"),
        }

    async def receive(self) -> Message:
        """The request's body, once. A client that goes away ends the app by cancelling it."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Writes the answer; its head waits for the first part of the body, so that both leave together."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        head = b"" if self.begun else self._head(len(body), more)
        self.begun, self.ended = True, not more
        self._connection.transport.write(head + self._framed(body, more))
        await self._connection.written()

    def _head(self, length: int, more: bool) -> bytes:
        assert self._start is not None, "http.response.body was sent before http.response.start"
        status = self._start["status"]
        headers: RawHeaders = list(self._start.get("headers", ()))
        self._silent = not carries_body(self.head.method, status)
        if not self._silent and not any(name == b"content-length" for name, _ in headers):
            self._chunked = more and self.head.version == "1.1"
            if self._chunked:
                headers.append((b"transfer-encoding", b"chunked"))
            elif not more:
                headers.append((b"content-length", b"%d" % length))
            else:  # HTTP/1.0 knows no chunks: the end of the connection is the end of the body
                self.keep = False
        headers.append((b"connection", b"keep-alive" if self.keep else b"close"))
        return response_head(status, headers)

    def _framed(self, body: bytes, more: bool) -> bytes:
        if self._silent:
            return b""
        if not self._chunked:
            return body
        framed = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return framed if more else framed + b"0\r\n\r\n"
