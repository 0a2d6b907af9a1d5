"""aiohttp: the client, session by session; its server is the program's own affair.

Every session asks one function for its responses, and that lets another stand around each request: beneath redirects,
retries, cookies and the program's own middlewares. On a replay it gives a response of aiohttp's own making.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace as with_

from agentrace.capture import process
from agentrace.capture.carriers import replace
from agentrace.capture.guard import fault
from agentrace.integrations.aiohttp_playing import Playing, played, protocols
from agentrace.integrations.aiohttp_streams import Timed, readers
from agentrace.integrations.bodies import AsyncPiecesInFlow
from agentrace.integrations.declaration import Wire
from agentrace.integrations.http_client import header_pairs
from agentrace.integrations.passing import Outgoing, Passing, setting_out
from agentrace.integrations.unrecorded import WEBSOCKETS, seen

_TAKEN_OFF: Final = frozenset({"gzip", "deflate", "br", "zstd"})
"""Codings that the parser takes off, or fails."""


def install(module: Any) -> None:
    """Intercept its sessions."""
    if not hasattr(module, "ClientMiddlewareType"):
        seen("requests through aiohttp are not recorded before its version 3.12")
        return
    replace(module.ClientSession, "_request", _requesting(Playing(module, readers(module), protocols(module))))


def _requesting(how: Playing) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        async def _request(self: Any, *args: Any, **kwargs: Any) -> Any:
            if process.current is None:
                return await original(self, *args, **kwargs)
            given, decoded = kwargs.get("middlewares"), kwargs.get("auto_decompress")
            innermost = _Around(how, self._auto_decompress if decoded is None else decoded)
            kwargs["middlewares"] = (*(self._middlewares if given is None else given), innermost)
            return await original(self, *args, **kwargs)

        return _request

    return wrapped


class _Around(Struct, frozen=True):
    """What stands around one request."""

    how: Playing
    decoded: bool
    """Whether the session takes the coding of bodies off."""

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            seen(WEBSOCKETS)
            return await handler(request)
        passed = _passing(self.how.module, request)
        if passed is None:
            return await handler(request)
        try:
            if passed.recorded is None or passed.exchange is None:
                response = await handler(request)
            else:
                coded = with_(passed.recorded, encoding="") if self.decoded else passed.recorded
                response = await played(self.how, request, passed.step, coded, passed.exchange)
        except BaseException as error:
            passed.failed(error)
            raise
        self._answered(passed, response)
        passed.handed_over()
        return response

    def _answered(self, passed: Passing, response: Any) -> None:
        exchange, content = passed.exchange, response.content
        if exchange is None:
            return
        try:
            version = f"HTTP/{response.version.major}.{response.version.minor}"
            decoded = self.decoded and response.headers.get("Content-Encoding", "").lower() in _TAKEN_OFF
            exchange.answered(response.status, response.raw_headers, version, response.reason, decoded=decoded)
            if content is self.how.module.streams.EMPTY_PAYLOAD:
                exchange.end("exhausted")
            elif type(content) is self.how.module.StreamReader:
                content._timer = Timed(content._timer, exchange)
                content.__class__ = self.how.readers.recorded
                if content._exception is not None:  # it broke off while its head was looked at
                    exchange.end("error", content._exception)
        except Exception as error:
            fault(error)


def _passing(module: Any, request: Any) -> Passing | None:
    try:
        body, url = request.body, request.url
        content, told = _content(module, body)
        headers = header_pairs(request.headers)
        asked = Outgoing("aiohttp", request.method, str(url), url.host, url.path, headers, content, told)
    except Exception as error:
        fault(error)
        return None
    passed = setting_out(asked)
    if passed is not None and passed.body_flow is not None:
        for part in (body, *(part[0] for part in getattr(body, "_parts", None) or ())):
            if getattr(part, "_iter", None) is not None:
                part._iter = AsyncPiecesInFlow(part._iter, passed.body_flow)
    return passed


def _content(module: Any, body: Any) -> tuple[bytes | None, Any]:
    """The body if it can be had without taking it from its one reader, and as it is compared."""
    simple = module.payload.BytesPayload
    if not body or isinstance(body, (bytes, simple)):
        content = bytes(getattr(body, "_value", body) or b"")
        return content, content
    parts = getattr(body, "_parts", None)
    if parts and all(isinstance(part[0], simple) for part in parts):  # of a form, whose boundary is drawn anew
        return None, [(dict(part[0].headers), bytes(part[0]._value)) for part in parts]
    return None, body


WIRE = Wire(name="aiohttp", requires="aiohttp>=3.12,<4", module="aiohttp", install=install)
