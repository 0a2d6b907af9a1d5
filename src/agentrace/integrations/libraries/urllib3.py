"""urllib3, the transport of requests: each request that a pool's connection makes, beneath retries and redirects.

On a replay the pool works with a connection that gives the recorded bytes, or fails where the recorded one did.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from agentrace.capture import process
from agentrace.capture.carriers import replace
from agentrace.capture.guard import fault
from agentrace.capture.recorded import arrived
from agentrace.integrations.bodies import PiecesInFlow
from agentrace.integrations.declaration import Wire
from agentrace.integrations.forms import without_boundary
from agentrace.integrations.http_client import Tee, header_pairs, origin
from agentrace.integrations.http_playing import Line, left_to_read, refusal, wire_length
from agentrace.integrations.passing import Outgoing, Passing, replaying, setting_out

_VERIFIED: Final = ("CERT_REQUIRED", "REQUIRED", 2)
_CONNECTING: Final = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})
"""Exceptions that are made of what ``create_connection`` raises."""
_refusal = threading.local()
"""What it raises instead of connecting, on a replay."""


def install(module: Any) -> None:
    """Intercept the pools, and on a replay the waits between retries. Raises ``AttributeError`` if it cannot be."""
    replace(module.connectionpool.HTTPConnectionPool, "_make_request", _requesting)
    replace(module.connectionpool.HTTPSConnectionPool, "_prepare_proxy", _only_live)
    replace(module.util.connection, "create_connection", _connecting)
    replace(module.util.retry.Retry, "sleep_for_retry", _told_to_wait)
    replace(module.util.retry.Retry, "_sleep_backoff", _backing_off)


def _requesting(original: Callable[..., Any]) -> Callable[..., Any]:
    def _make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        passed = _passing(self, method, url, kwargs)
        if passed is None:
            return original(self, conn, method, url, *args, **kwargs)
        line = _live(conn, passed) if passed.recorded is None else _played(conn, passed)
        try:
            with line:
                response = original(self, conn, method, url, *args, **kwargs)
        except BaseException as error:
            passed.failed(error)
            raise
        if passed.recorded is not None and getattr(response, "length_remaining", None):
            response.length_remaining = left_to_read(response, passed.recorded)
        passed.handed_over()
        return response

    return _make_request


def _passing(pool: Any, method: str, url: str, options: dict[str, Any]) -> Passing | None:
    if process.current is None:
        return None
    try:
        if url.startswith("/"):  # else it is asked of a proxy
            url = f"{origin(pool.scheme, pool.host, pool.port)}{url}"
        parts, headers = urlsplit(url), header_pairs(options.get("headers"))
        body: Any = options.get("body") or b""
        text = body.encode() if isinstance(body, str) else body
        content = bytes(text) if isinstance(text, (bytes, bytearray)) else None
        told = body if content is None else without_boundary(content, headers)
        path = unquote(parts.path) or "/"
        asked = Outgoing("urllib3", method, url, parts.hostname or "", path, headers, content, told)
    except Exception as error:
        fault(error)
        return None
    passed = setting_out(asked)
    if passed is not None and passed.body_flow is not None and isinstance(body, Iterator):
        options["body"] = PiecesInFlow(body, passed.body_flow)
    return passed


@contextlib.contextmanager
def _live(conn: Any, passed: Passing, length: int | None = None) -> Generator[None]:
    """The connection's response is recorded as it is read."""
    own, made, exchange = "response_class" in vars(conn), conn.response_class, passed.exchange
    if exchange is not None:
        conn.response_class = lambda *args, **options: Tee(made(*args, **options), exchange, length)
    try:
        yield
    finally:
        vars(conn).pop("response_class", None)
        if own:
            conn.response_class = made


@contextlib.contextmanager
def _played(conn: Any, passed: Passing) -> Generator[None]:
    """The connection gives the recorded response, or fails where the recorded one did."""
    step, recorded = passed.step, passed.recorded
    assert recorded is not None
    failure = recorded.error
    if failure is not None and failure.type.rpartition(":")[2] in _CONNECTING:
        arrived(step, recorded)
        _refusal.error = refusal(step, failure)
    else:
        conn.sock = Line(step, recorded)
        if hasattr(conn, "cert_reqs"):
            conn.is_verified = conn.cert_reqs in _VERIFIED or bool(conn.assert_fingerprint)
    try:
        with _live(conn, passed, wire_length(recorded)):
            yield
    finally:
        _refusal.error, conn.sock = None, None


def _connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_connection(*args: Any, **options: Any) -> Any:
        if getattr(_refusal, "error", None) is not None:
            raise _refusal.error
        return original(*args, **options)

    return create_connection


def _only_live(original: Callable[..., Any]) -> Callable[..., Any]:
    def _prepare_proxy(self: Any, conn: Any) -> Any:
        return None if replaying() else original(self, conn)

    return _prepare_proxy


def _told_to_wait(original: Callable[..., Any]) -> Callable[..., Any]:
    def sleep_for_retry(self: Any, response: Any = None) -> Any:
        return bool(self.get_retry_after(response)) if replaying() else original(self, response)

    return sleep_for_retry


def _backing_off(original: Callable[..., Any]) -> Callable[..., Any]:
    def _sleep_backoff(self: Any) -> Any:
        if not replaying():
            return original(self)
        self.get_backoff_time()  # chosen as ever, by chance, from the generator that the program uses too
        return None

    return _sleep_backoff


WIRE = Wire(name="urllib3", requires="urllib3>=1.26,<3", module="urllib3", install=install)
