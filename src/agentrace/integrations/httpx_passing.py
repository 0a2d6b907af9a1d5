"""One request of httpx, or of a library made like it, on its way: its step, its exchange, and its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, cast

from msgspec import Struct

from agentrace.capture import process
from agentrace.capture.answers import answering
from agentrace.capture.call import begin, fail
from agentrace.capture.exchange import CLOSED, Exchange, returned, send
from agentrace.capture.guard import fault
from agentrace.capture.recorded import body, body_in_turn, head, head_in_turn, served
from agentrace.capture.scope import FLOW
from agentrace.capture.step import Spec, Step
from agentrace.exchanges import Recorded


class Family(Struct, frozen=True):
    """One library: its module, its wire's name, and our streams as streams of its own kind."""

    module: Any
    wire: str
    tee: Callable[[Any, Exchange], Any]
    async_tee: Callable[[Any, Exchange], Any]
    playing: Callable[[Step, Recorded], Any]
    async_playing: Callable[[Step, Recorded], Any]


def family(module: Any, wire: str) -> Family:
    """The family of ``module``: its clients insist on streams that derive from its own."""
    sync, asynchronous = module.SyncByteStream, module.AsyncByteStream
    return Family(
        module,
        wire,
        type("Tee", (_Tee, sync), {}),
        type("AsyncTee", (_AsyncTee, asynchronous), {}),
        type("Playing", (_Playing, sync), {}),
        type("AsyncPlaying", (_AsyncPlaying, asynchronous), {}),
    )


class Passing:
    """A request that belongs to a step."""

    __slots__ = ("_exchange", "_family", "_own", "_step", "recorded")

    def __init__(
        self, made: Family, step: Step, own: bool, recorded: Recorded | None, exchange: Exchange | None
    ) -> None:
        self._family = made
        self._step = step
        self._own = own
        self._exchange = exchange
        self.recorded = recorded
        """What answers the request on a replay."""

    def played(self, request: Any) -> Any:
        """The recorded response; raises what was raised instead of it."""
        assert self.recorded is not None
        head(self._step, self.recorded)
        if not hasattr(request, "_content"):
            for _ in request.stream:  # what makes a body piece by piece is the program's, so it runs again
                pass
        return self._rebuilt(self.recorded, self._family.playing)

    async def played_in_turn(self, request: Any) -> Any:
        """The same for an async client."""
        assert self.recorded is not None
        await head_in_turn(self._step, self.recorded)
        if not hasattr(request, "_content"):
            async for _ in request.stream:
                pass
        return self._rebuilt(self.recorded, self._family.async_playing)

    def failed(self, error: BaseException) -> None:
        """There was no response."""
        if self._exchange is not None:
            self._exchange.end("error", error)
        if self._own:
            FLOW.set(self._step.outer)
            fail(self._step, error)

    def answered(self, response: Any, tee: Callable[[Any, Exchange], Any]) -> Any:
        """``response`` with its body recorded on the way to its reader."""
        exchange, step = self._exchange, self._step
        if self._own:
            FLOW.set(step.outer)
        if exchange is None:
            return response
        try:
            extensions = response.extensions
            exchange.answered(
                response.status_code,
                response.headers.raw,
                _text(extensions.get("http_version")),
                _text(extensions.get("reason_phrase")),
            )
            if hasattr(response, "_content"):  # read before it was handed over: a tee would never see it
                exchange.already_read(response._content)
            else:
                response.stream = tee(response.stream, exchange)
            if self._own:
                returned(step)
        except Exception as error:
            fault(error)
        return response

    def _rebuilt(self, recorded: Recorded, stream: Callable[[Step, Recorded], Any]) -> Any:
        extensions: dict[str, bytes] = {}
        if recorded.http_version:
            extensions["http_version"] = recorded.http_version.encode("ascii", "replace")
        if recorded.reason or recorded.http_version.startswith("HTTP/1"):
            extensions["reason_phrase"] = recorded.reason.encode("latin-1", "replace")
        return self._family.module.Response(
            recorded.status,
            headers=recorded.raw_headers(),
            stream=stream(self._step, recorded),
            extensions=extensions,
        )


def passing(made: Family, request: Any) -> Passing | None:
    """``request`` as it sets out; ``None`` if nothing is recorded.

    It belongs to the enclosing step if a replay answers that one; otherwise it is a boundary of its own.
    """
    recording = process.current
    if recording is None:
        return None
    try:
        step = recording.enclosing()
        own = step is None or not step.spec.answered
        url, content = str(request.url), _body(made.module, request)
        if own:
            place = f"{request.url.host}{request.url.path}"
            spec = Spec("tool", f"{request.method} {place}", f"{request.method} {request.url.path}", made.wire)
            clean = recording.flow().run.redactor.url(url)
            step = begin(spec, {"method": request.method, "url": clean, "body": _told(request, content)}, 3)
    except Exception as error:
        fault(error)
        return None
    if step is None:
        return None
    if own:
        answering(step)
    recorded = None if step.answer is None else served(step, request.method, url)
    exchange = send(step, made.wire, request.method, url, request.headers.raw, content)
    if own:
        FLOW.set(step)
    return Passing(made, step, own, recorded, exchange)


def _body(module: Any, request: Any) -> bytes | None:
    """The request's body if it can be had without taking it from its one reader."""
    content: bytes | None = getattr(request, "_content", None)
    if content is None:
        stream = request.stream
        fields = getattr(stream, "fields", None)
        whole = fields is not None and all(isinstance(_value(field), (bytes, str)) for field in fields)
        if whole or isinstance(stream, module.ByteStream):
            return b"".join(stream)
    return content


def _told(request: Any, content: bytes | None) -> Any:
    """The body as it is compared: of a form its fields, without the boundary, which is another each time."""
    if hasattr(request.stream, "fields"):
        return [(field.name, getattr(field, "filename", None), _value(field)) for field in request.stream.fields]
    return request.stream if content is None else content


def _value(field: Any) -> Any:
    return field.file if hasattr(field, "file") else field.value


def _text(told: Any) -> str:
    return told.decode("latin-1") if isinstance(told, bytes) else told if isinstance(told, str) else ""


# --- streams ------------------------------------------------------------------------------------------------


class _Tee:
    """A body that is recorded as it passes."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for chunk in self._inner:
                exchange.data(chunk)
                yield chunk
        except GeneratorExit:  # what reads it next goes on where this reader stopped
            raise
        except BaseException as error:
            exchange.end("error", error)
            raise
        exchange.end("exhausted")

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.end(CLOSED)

    def __del__(self) -> None:
        self._exchange.lost()


class _AsyncTee:
    """The same for an async client."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncChunks(self._inner.__aiter__(), self._exchange)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end(CLOSED)

    def __del__(self) -> None:
        self._exchange.lost()


class _AsyncChunks:
    """The chunks of an async body. No generator: the loop would have one more to close, at the same time as the
    transport's, which complains of that."""

    __slots__ = ("_chunks", "_exchange")

    def __init__(self, chunks: Any, exchange: Exchange) -> None:
        self._chunks, self._exchange = chunks, exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        outside = FLOW.get()
        FLOW.set(self._exchange.step)  # what the transport does meanwhile, such as its timers, belongs to the step
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._exchange.end("exhausted")
            raise
        except BaseException as error:
            self._exchange.end("error", error)
            raise
        finally:
            FLOW.set(outside)
        self._exchange.data(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the transport's generator, as the client would have."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


cast("Any", AsyncGenerator).register(_AsyncChunks)  # clients close what they take for a generator


class _Playing:
    """A recorded body. Whoever reads it goes on where the last reader stopped."""

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._chunks = body(step, recorded)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


class _AsyncPlaying:
    """The same for an async client."""

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._chunks = body_in_turn(step, recorded)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks
