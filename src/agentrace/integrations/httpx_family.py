"""The transport layer of httpx and of libraries made like it: the exchanges below whatever called them.

A client asks ``_transport_for_url`` for the transport of each request; it is handed a recording one around the real
one. The method is private, so whether it is still asked is tested when it is replaced; of a client that does not ask,
``send`` is recorded. What the program sees stays its own: only ``response.stream`` is a tee of the transport's stream.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from agentrace.capture import process
from agentrace.capture.carriers import replace
from agentrace.integrations.httpx_passing import Family, answered, family, passing, played, played_in_turn

_CHOOSING: Final = "_transport_for_url"
_IN_PROCESS: Final = frozenset({"ASGITransport", "WSGITransport", "_TestClientTransport"})
"""Transports of the libraries themselves, and of Starlette's test client."""


def install(module: Any, wire: str) -> None:
    """Intercept the clients of ``module`` (``httpx`` or one made like it). Raises ``RuntimeError`` if it cannot be."""
    made = family(module, wire)
    for owner, transport, send in (
        (module.Client, _Transport, _sending),
        (module.AsyncClient, _AsyncTransport, _sending_async),
    ):
        if asks_for_transport(owner):
            replace(owner, _CHOOSING, _choosing(made, transport))
        elif "send" in owner.__dict__:
            replace(owner, "send", send(made))
        else:
            raise RuntimeError(f"{wire} has neither {owner.__name__}.{_CHOOSING} nor {owner.__name__}.send any more")


def asks_for_transport(owner: type) -> bool:
    """Whether a client has the method that chooses its transport, and calls it."""
    functions = [value for value in vars(owner).values() if isinstance(value, FunctionType)]
    return _CHOOSING in vars(owner) and any(_CHOOSING in function.__code__.co_names for function in functions)


def _choosing(made: Family, recording: Callable[[Any, Family], Any]) -> Callable[[Callable[..., Any]], Any]:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def _transport_for_url(self: Any, url: Any) -> Any:
            transport = original(self, url)
            return transport if process.current is None or _stays_here(transport) else recording(transport, made)

        return _transport_for_url

    return wrapped


def _stays_here(transport: object) -> bool:
    """Whether a transport calls an application in this process, which is the program itself."""
    return any(cls.__name__ in _IN_PROCESS for cls in type(transport).__mro__)


class _Transport:
    """The transport of one request of a sync client."""

    __slots__ = ("_family", "_inner")

    def __init__(self, inner: Any, made: Family) -> None:
        self._inner, self._family = inner, made

    def handle_request(self, request: Any) -> Any:
        """Send ``request`` through the real transport, or answer it from a record."""
        passed = passing(self._family, request, self._family.pieces)
        if passed is None:
            return self._inner.handle_request(request)
        try:
            response = (
                self._inner.handle_request(request)
                if passed.recorded is None
                else played(self._family, passed, request)
            )
        except BaseException as error:
            passed.failed(error)
            raise
        return answered(passed, response, self._family.tee)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _AsyncTransport:
    """The transport of one request of an async client."""

    __slots__ = ("_family", "_inner")

    def __init__(self, inner: Any, made: Family) -> None:
        self._inner, self._family = inner, made

    async def handle_async_request(self, request: Any) -> Any:
        """Send ``request`` through the real transport, or answer it from a record."""
        passed = passing(self._family, request, self._family.async_pieces)
        if passed is None:
            return await self._inner.handle_async_request(request)
        try:
            if passed.recorded is None:
                response = await self._inner.handle_async_request(request)
            else:
                response = await played_in_turn(self._family, passed, request)
        except BaseException as error:
            passed.failed(error)
            raise
        return answered(passed, response, self._family.async_tee)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _sending(made: Family) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
            passed = passing(made, request, made.pieces)
            if passed is None:
                return original(self, request, stream=stream, **options)
            try:
                if passed.recorded is None:
                    response = original(self, request, stream=True, **options)
                else:
                    response = played(made, passed, request)
                    response.request = request
            except BaseException as error:
                passed.failed(error)
                raise
            answered(passed, response, made.tee)
            if not stream:
                try:
                    response.read()
                except BaseException:
                    response.close()
                    raise
            return response

        return send

    return wrapped


def _sending_async(made: Family) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        async def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
            passed = passing(made, request, made.async_pieces)
            if passed is None:
                return await original(self, request, stream=stream, **options)
            try:
                if passed.recorded is None:
                    response = await original(self, request, stream=True, **options)
                else:
                    response = await played_in_turn(made, passed, request)
                    response.request = request
            except BaseException as error:
                passed.failed(error)
                raise
            answered(passed, response, made.async_tee)
            if not stream:
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
            return response

        return send

    return wrapped
