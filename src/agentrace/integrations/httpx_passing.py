"""One request of httpx, or of a library made like it, on its way, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from msgspec import Struct

from agentrace.capture import process
from agentrace.capture.exchange import Exchange
from agentrace.capture.guard import fault
from agentrace.capture.recorded import head, head_in_turn
from agentrace.capture.scope import Flow
from agentrace.capture.step import Step
from agentrace.exchanges import Recorded
from agentrace.integrations.bodies import AsyncPieces, Pieces
from agentrace.integrations.httpx_streams import AsyncPlaying, AsyncTee, Playing, Tee
from agentrace.integrations.passing import Outgoing, Passing, setting_out

_CONNECTING: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
"""What is raised before a request is sent."""


class Family(Struct, frozen=True):
    """One library: its module, its wire's name, and our streams as streams of its own kind."""

    module: Any
    wire: str
    tee: Callable[[Any, Exchange], Any]
    async_tee: Callable[[Any, Exchange], Any]
    playing: Callable[[Step, Recorded], Any]
    async_playing: Callable[[Step, Recorded], Any]
    pieces: Callable[[Any, Flow], Any]
    async_pieces: Callable[[Any, Flow], Any]


def family(module: Any, wire: str) -> Family:
    """The family of ``module``: its clients insist on streams that derive from its own."""
    sync, asynchronous = module.SyncByteStream, module.AsyncByteStream
    return Family(
        module,
        wire,
        type("Tee", (Tee, sync), {}),
        type("AsyncTee", (AsyncTee, asynchronous), {}),
        type("Playing", (Playing, sync), {}),
        type("AsyncPlaying", (AsyncPlaying, asynchronous), {}),
        type("Pieces", (Pieces, sync), {}),
        type("AsyncPieces", (AsyncPieces, asynchronous), {}),
    )


def passing(made: Family, request: Any, pieces: Callable[[Any, Flow], Any]) -> Passing | None:
    """``request`` as it sets out; ``None`` if nothing is recorded. ``pieces``: the family's, of this kind of client."""
    if process.current is None:
        return None
    try:
        url, content = request.url, _body(made.module, request)
        told = _told(request, content)
        asked = Outgoing(made.wire, request.method, str(url), url.host, url.path, request.headers.raw, content, told)
    except Exception as error:
        fault(error)
        return None
    passed = setting_out(asked)
    if passed is not None and passed.body_flow is not None:
        body, request.stream = request.stream, pieces(request.stream, passed.body_flow)
        passed.restore = partial(setattr, request, "stream", body)
    return passed


def played(made: Family, passed: Passing, request: Any) -> Any:
    """The recorded response; raises what was raised instead of it."""
    assert passed.recorded is not None
    if passed.body_flow is not None and _is_sent(passed.recorded):
        for _ in request.stream:  # what makes a body piece by piece is the program's, so it runs again
            pass
    head(passed.step, passed.recorded)
    return _rebuilt(made, passed.recorded, made.playing(passed.step, passed.recorded))


async def played_in_turn(made: Family, passed: Passing, request: Any) -> Any:
    """The same for an async client."""
    assert passed.recorded is not None
    if passed.body_flow is not None and _is_sent(passed.recorded):
        async for _ in request.stream:
            pass
    await head_in_turn(passed.step, passed.recorded)
    return _rebuilt(made, passed.recorded, made.async_playing(passed.step, passed.recorded))


def _is_sent(recorded: Recorded) -> bool:
    """Whether it came to the body of a request."""
    return recorded.error is None or recorded.error.type.rpartition(":")[2] not in _CONNECTING


def answered(passed: Passing, response: Any, tee: Callable[[Any, Exchange], Any]) -> Any:
    """``response`` with its body recorded on the way to its reader."""
    exchange = passed.exchange
    if exchange is not None:
        try:
            extensions = response.extensions
            version, reason = _text(extensions.get("http_version")), _text(extensions.get("reason_phrase"))
            exchange.answered(response.status_code, response.headers.raw, version, reason)
            if hasattr(response, "_content"):  # read before it was handed over: a tee would never see it
                exchange.already_read(response._content)
            else:
                response.stream = tee(response.stream, exchange)
        except Exception as error:
            fault(error)
    passed.handed_over()
    return response


def _rebuilt(made: Family, recorded: Recorded, stream: Any) -> Any:
    extensions: dict[str, bytes] = {}
    if recorded.http_version:
        extensions["http_version"] = recorded.http_version.encode("ascii", "replace")
    if recorded.reason or recorded.http_version.startswith("HTTP/1"):
        extensions["reason_phrase"] = recorded.reason.encode("latin-1", "replace")
    return made.module.Response(recorded.status, headers=recorded.raw_headers(), stream=stream, extensions=extensions)


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
