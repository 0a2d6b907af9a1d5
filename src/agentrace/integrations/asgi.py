"""ASGI: each HTTP request is a run of its own, from the application's call to its return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from agentrace.capture.call import is_cancellation
from agentrace.capture.guard import guarded, said_by
from agentrace.capture.runs import Begun, begin_request

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER_ERROR: Final = 500
_BODIES: Final = frozenset({"http.response.body", "http.response.zerocopysend"})


class ASGIMiddleware:
    """``app.add_middleware(agentrace.ASGIMiddleware)``, or ``app = agentrace.ASGIMiddleware(app)`` for any ASGI app.

    Each HTTP request is a run, which lasts until the application is done with it, streamed bodies and background tasks
    included. It is written under the name of its route: from its first step on, when the application asks for the body
    of a request whose route is known, or when the response begins. An exception or a status from 500 on makes it
    failed, a client that leaves before the response is complete aborted, as does a server that cancels the request. The
    scope has the run's id as ``agentrace.run``; where the middleware is there twice, the outer one counts. Websockets
    and the lifespan pass untouched, and what they do belongs to the run of the process.

    Args:
        app: the application.
        name: what to call the run of a request, given its scope; by default ``GET /orders/{id}``: the method, and the
            path of the route if the framework puts it into the scope, else the path of the request. It may raise.
        skip: paths of which no runs are made, e.g. ``["/health"]``.
    """

    def __init__(
        self, app: Application, *, name: Callable[[Scope], str] | None = None, skip: Collection[str] = ()
    ) -> None:
        self.app = app
        self._name = name
        self._skip = frozenset(skip)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = self._begun(scope)
        if begun is None:
            await self.app(scope, receive, send)
            return
        answer = _Answer(begun, scope, receive, send)
        outside = begun.enter()
        error: BaseException | None = None
        try:
            await self.app(scope, answer.receive, answer.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            begun.leave(outside)
            answer.over(error)

    def _begun(self, scope: Scope) -> Begun | None:
        if scope["type"] != "http" or scope.get("path") in self._skip:
            return None
        return begin_request(scope, lambda: self._told_name(scope) or _default_name(scope))

    def _told_name(self, scope: Scope) -> str:
        return "" if self._name is None else said_by(self._name, scope)


def _default_name(scope: Scope) -> str:
    return f"{scope.get('method', '')} {_route(scope) or scope.get('path', '')}"


@guarded
def _route(scope: Scope) -> str:
    # Where routers are put together, only the place of a route in them knows the whole of its path.
    told, found = scope.get("fastapi"), scope.get("route")
    place = told.get("effective_route_context") if isinstance(told, Mapping) else None
    route = getattr(place, "path_format", None) or getattr(found, "path", None)
    if not isinstance(route, str) or not hasattr(found, "endpoint"):  # none, or only the mount that leads there
        return ""
    # An application that is mounted in another one is told the path up to itself as the root.
    root, before = scope.get("root_path", ""), scope.get("app_root_path", "")
    return f"{root.removeprefix(before)}{route}"


class _Answer:
    """The two ends of a request, watched: how far the response has come, and whether the client is still there."""

    def __init__(self, begun: Begun, scope: Scope, receive: Receive, send: Send) -> None:
        self._begun = begun
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status: Any = 0
        self._is_complete = False
        self._is_client_gone = False

    async def receive(self) -> Message:
        if not self._begun.run.opened and _route(self._scope):  # else it is too early for the name
            self._begun.open()
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._is_complete:
            self._is_client_gone = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message.get("status")
            self._begun.open()
        try:
            await self._send(message)
        except OSError:  # what servers raise when nobody is there any more
            self._is_client_gone = True
            raise
        if (kind in _BODIES and not message.get("more_body", False)) or kind == "http.response.pathsend":
            self._is_complete = True

    def over(self, error: BaseException | None) -> None:
        if self._is_client_gone and not self._is_complete:
            self._begun.abort("client", "disconnect", "it left before the response was complete")
        elif error is not None and is_cancellation(error) and not self._is_complete:
            self._begun.abort("server", "cancelled", "it cancelled the request before the response was complete")
        self._begun.end(error, is_failure=isinstance(self._status, int) and self._status >= _SERVER_ERROR)
