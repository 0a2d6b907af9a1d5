"""WSGI: each request is a run of its own, from the application's call to the end of the body it returned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeAlias

from agentrace.capture.guard import guarded, said_by
from agentrace.capture.runs import Begun, begin_request

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_SERVER_ERROR: Final = "5"


class WSGIMiddleware:
    """``app = agentrace.WSGIMiddleware(app)`` for any WSGI app; with Flask ``app.wsgi_app = ...(app.wsgi_app)``.

    Each request is a run, which lasts until the server has closed the body that the application returned. It is written
    from its first step on, or when the response begins. An exception or a status from 500 on makes it failed, a body
    that is not read to its end aborted. The environ has the run's id as ``agentrace.run``; where the middleware is
    there twice, the outer one counts.

    Args:
        app: the application.
        name: what to call the run of a request, given its environ when the run's first event is written; by default
            ``GET /orders/<number>`` with Flask, else ``GET /orders/7``, because WSGI knows no routes.
        skip: paths of which no runs are made, e.g. ``["/health"]``.
    """

    def __init__(
        self, app: Application, *, name: Callable[[Environ], str] | None = None, skip: Collection[str] = ()
    ) -> None:
        self.app = app
        self._name = name
        self._skip = frozenset(skip)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ.get("REQUEST_METHOD", ""), _path(environ)
        begun = None
        if path not in self._skip:
            begun = begin_request(environ, lambda: self._told_name(environ) or f"{method} {_route(environ) or path}")
        if begun is None:
            return self.app(environ, start_response)
        answer = _Answer(begun, has_body=method != "HEAD")

        def started(status: str, *rest: Any, **named: Any) -> Any:
            answer.status = status
            begun.open()
            return start_response(status, *rest, **named)

        outside = begun.enter()
        try:
            body = self.app(environ, started)
        except BaseException as error:
            begun.leave(outside)
            answer.over(error)
            raise
        begun.leave(outside)
        if type(body) in (list, tuple) or _is_file(body, environ):
            # Nothing of the program runs after this, and servers look at what these are.
            answer.over(None)
            return body
        return _Body(answer, body)

    def _told_name(self, environ: Environ) -> str:
        return "" if self._name is None else said_by(self._name, environ)


def _path(environ: Environ) -> str:
    # What WSGI calls text is bytes, one in each character.
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


@guarded
def _route(environ: Environ) -> str:
    # Of the request that Werkzeug has put there and Flask has found a rule for.
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    return f"{environ.get('SCRIPT_NAME', '')}{rule}" if isinstance(rule, str) else ""


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Answer:
    """A request that is being answered."""

    def __init__(self, begun: Begun, *, has_body: bool) -> None:
        self.begun = begun
        self.has_body = has_body
        self.status = ""

    def over(self, error: BaseException | None) -> None:
        """The application is done with it."""
        self.begun.end(error, is_failure=str(self.status).startswith(_SERVER_ERROR))


class _Body:
    """A response's body: each piece is made inside the run, which ends when the server closes it."""

    def __init__(self, answer: _Answer, body: Iterable[bytes]) -> None:
        self._answer = answer
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._error: BaseException | None = None
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._inside(self._next)
        return piece

    def close(self) -> None:
        """Close the application's own body, then end the run."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._inside(close)
        finally:
            if self._answer.has_body and not self._is_read and self._error is None:
                self._answer.begun.abort("client", "disconnect", "the response was not read to its end")
            self._answer.over(self._error)

    def _next(self) -> bytes:
        if self._pieces is None:
            self._pieces = iter(self._body)
        return next(self._pieces)

    def _inside(self, work: Callable[[], Any]) -> Any:
        outside = self._answer.begun.enter()
        try:
            return work()
        except StopIteration:
            self._is_read = True
            raise
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._answer.begun.leave(outside)
