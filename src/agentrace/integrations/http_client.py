"""Responses of ``http.client``, recorded as they are read."""

from __future__ import annotations

from collections.abc import Callable
from http.client import IncompleteRead
from typing import Any, Final

from agentrace.capture.exchange import CLOSED, Exchange, Header

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Tee:
    """An ``http.client.HTTPResponse`` that is told about as it is read."""

    def __init__(self, inner: Any, exchange: Exchange, length: int | None = None) -> None:
        self._inner, self._exchange = inner, exchange
        self._length = length
        """How long the body is, if that is not what its header says."""
        self._chunk = 0
        """Bytes of the chunk that is being read which are still to come."""

    def begin(self) -> None:
        """Read the head."""
        inner, exchange = self._inner, self._exchange
        self._tried(inner.begin)  # who asks closes the response when that fails, as if the program did
        if self._length is not None and inner.length is not None:
            inner.length = self._length
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in inner.msg.items()]
        exchange.answered(inner.status, headers, f"HTTP/{inner.version / 10}", inner.reason)
        if inner.length == 0:
            exchange.end("exhausted")

    def read(self, *amount: Any) -> Any:
        """As an ``HTTPResponse`` does."""
        return self._passed(self._inner.read, *amount)

    def read1(self, *amount: Any) -> Any:
        """As an ``HTTPResponse`` does."""
        return self._passed(self._inner.read1, *amount)

    def _passed(self, read: Callable[..., bytes], *amount: Any) -> bytes:
        data: bytes = self._tried(read, *amount)
        if data:
            self._exchange.data(data)
        if self._inner.isclosed() or self._inner.length == 0:  # read1 does not close it at its end
            left = self._inner.length
            cut = IncompleteRead(b"", left) if left else None
            self._exchange.end("error" if cut else "exhausted", cut)
        return data

    def _tried(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except BaseException as error:
            self._exchange.end("error", error)
            raise

    # -- chunks, which urllib3 reads by itself -------------------------------------------------------------------

    @property
    def fp(self) -> Any:
        """Where the lines between chunks are read from; ``None`` once everything is."""
        return None if self._inner.fp is None else _Lines(self)

    def line(self, *limit: Any) -> bytes:
        """A line between chunks: the size of the next one, or what follows the last."""
        line: bytes = self._tried(self._inner.fp.readline, *limit)
        if not self._exchange.ended:
            try:
                self._chunk = int(line.split(b";", 1)[0], 16)
            except ValueError:
                self._exchange.end("error", IncompleteRead(b""))
            else:
                if not self._chunk:
                    self._exchange.end("exhausted")
        return line

    def _safe_read(self, amount: int) -> bytes:
        data: bytes = self._tried(self._inner._safe_read, amount)
        if self._chunk:  # else it is the end of the line after a chunk
            self._chunk -= len(data)
            self._exchange.data(data)
        return data

    # ------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Read no more."""
        try:
            self._inner.close()
        finally:
            self._exchange.end(CLOSED)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._exchange.lost()


class _Lines:
    """What a response is read from, as far as it is asked for lines."""

    def __init__(self, tee: Tee) -> None:
        self._tee = tee
        self.readline = tee.line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tee._inner.fp, name)


def origin(scheme: str, host: str, port: int | None) -> str:
    """The beginning of a URL."""
    named = f"[{host}]" if ":" in host else host
    return f"{scheme}://{named}" + ("" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}")


def header_pairs(headers: Any) -> list[Header]:
    """Headers, which are a mapping of some sort or none, as they go over the wire."""
    return [(_spelled(name), _spelled(value)) for name, value in (headers or {}).items()]


def _spelled(told: object) -> bytes:
    return told if isinstance(told, bytes) else str(told).encode()
