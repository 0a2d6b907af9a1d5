"""The far end of the wire: a server on loopback that keeps the bytes it got and the bytes it gave."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import zstandard

from agentrace.testing import StubProvider
from agentrace.testing.server import App, ConnectionDropped, Serving

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass
class Passed:
    """One request and the answer to it, as far as that was given."""

    method: str
    target: str
    headers: Headers
    body: bytes
    status: int = 0
    answer_headers: Headers = field(default_factory=list)
    answer: list[bytes] = field(default_factory=list)
    """The answer's body in the pieces in which it was sent."""


class FarEnd:
    """An ASGI app around another that answers; ``passed`` is what went by, oldest first."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.passed: list[Passed] = []

    def serve(self) -> Serving:
        """A server for a ``with`` block, which gives its URL."""
        return Serving(self)

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        message = await receive()
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        target = f"{path}?{query}" if query else path
        passed = Passed(scope["method"], target, scope["headers"], message["body"])
        self.passed.append(passed)

        async def again() -> Message:
            return message

        async def kept(out: Message) -> None:
            if out["type"] == "http.response.start":
                passed.status, passed.answer_headers = out["status"], list(out["headers"])
            elif out.get("body"):
                passed.answer.append(out["body"])
            await send(out)

        await self.app(scope, again, kept)


def stub(tell: Callable[[StubProvider], object]) -> App:
    """A stub provider that gives the same answers to the same requests each time it is made."""
    provider = StubProvider(seed=20)
    tell(provider)
    return provider.app


def silent(_: StubProvider) -> None:
    """Tell the stub nothing: it echoes."""


@dataclass(frozen=True)
class Canned:
    """An answer as it stands."""

    body: bytes | tuple[bytes, ...] = b""
    """Bytes, or the pieces in which they are sent."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    drop: bool = False
    """Break the connection instead of ending the body."""
    wait: bool = False
    """Send nothing more after the body, and wait for the client to go."""


def canned(answers: dict[str, Canned | tuple[Canned, ...]]) -> App:
    """Answers by ``METHOD /path?query``; of several the next one each time, and the last one for good."""
    asked: dict[str, int] = {}

    async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        query = scope["query_string"].decode()
        key = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        found = answers[key]
        several = found if isinstance(found, tuple) else (found,)
        asked[key] = asked.get(key, 0) + 1
        await _give(send, several[min(asked[key], len(several)) - 1])

    return app


async def _give(send: Send, answer: Canned) -> None:
    pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if isinstance(answer.body, bytes) and not answer.drop and not answer.wait:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.002)  # so that pieces are not read as one
    if answer.wait:
        await asyncio.Event().wait()
    if answer.drop:
        raise ConnectionDropped(reset=False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def stopping(app: App, after: int) -> App:
    """The answers of ``app``, of whose bodies nothing more comes after so many pieces: the client has to go."""

    async def stops(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        left = after

        async def passed_on(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.body":
                if not left:
                    await asyncio.Event().wait()
                left -= 1
            await send(message)

        await app(scope, receive, passed_on)

    return stops


def encoded(app: App, encoding: str) -> App:
    """The answers of ``app`` with their bodies compressed piece by piece, as a proxy would."""

    async def compressing(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        compress = Compressing(encoding)

        async def squeezed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0] != b"content-length"]
                message = {
                    **message,
                    "headers": [*headers, (b"content-encoding", encoding.removeprefix("raw-").encode())],
                }
            else:
                body = compress.piece(message.get("body", b""))
                message = {**message, "body": body if message.get("more_body") else body + compress.end()}
            await send(message)

        await app(scope, receive, squeezed)

    return compressing


class Compressing:
    """A body that is compressed so that each piece can be read when it comes."""

    def __init__(self, encoding: str) -> None:
        self._zstd = encoding == "zstd"
        bits = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS, "raw-deflate": -zlib.MAX_WBITS}
        self._made: Any = (
            zstandard.ZstdCompressor().compressobj() if self._zstd else zlib.compressobj(wbits=bits[encoding])
        )

    def piece(self, data: bytes) -> bytes:
        """``data`` compressed, up to its last byte."""
        if not data:
            return b""
        flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK if self._zstd else zlib.Z_SYNC_FLUSH
        return bytes(self._made.compress(data) + self._made.flush(flush))

    def end(self) -> bytes:
        """What closes the body."""
        return bytes(self._made.flush())


def plain_bytes(passed: Passed) -> bytes:
    """The whole body that was given, without its encoding."""
    body = b"".join(passed.answer)
    encoding = dict(passed.answer_headers).get(b"content-encoding", b"")
    if encoding == b"zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if encoding == b"gzip":
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(body)
    if encoding:
        headless = body[:2] != b"\x78\x9c"
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS if headless else zlib.MAX_WBITS).decompress(body)
    return body
