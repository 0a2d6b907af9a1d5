"""Reading HTTP/1.1 requests out of a byte stream, and the bytes around an answer."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

RawHeaders = list[tuple[bytes, bytes]]

_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 512 * 1024 * 1024
_TOO_LONG = "the request's body is too long"
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_NO_BODY = frozenset((204, 304))


class BadRequest(Exception):
    """Bytes that are not an HTTP/1.1 request; ``status`` is how to answer them."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first line and headers; header names are in lower case."""

    method: str
    target: bytes
    version: str
    headers: RawHeaders
    length: int
    chunked: bool

    def value(self, name: bytes) -> bytes:
        """The last value of a header, in lower case; empty if it is not there."""
        return next((value.lower() for key, value in reversed(self.headers) if key == name), b"")

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use the connection again."""
        wish = self.value(b"connection")
        return wish != b"close" if self.version == "1.1" else wish == b"keep-alive"


class RequestReader:
    """Cuts what a connection receives into requests, each with its whole body."""

    def __init__(self, *, body_limit: int = _BODY_LIMIT) -> None:
        self._body_limit = body_limit
        self._bytes = bytearray()
        self._head: Head | None = None
        self._decoded = bytearray()
        self._chunk: int | None = None
        self._continued = False

    def feed(self, data: bytes) -> None:
        """Adds what was received."""
        self._bytes += data

    def wants_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on; true once per request."""
        expects = self._head is not None and self._head.value(b"expect") == b"100-continue"
        waiting = expects and not self._bytes
        first, self._continued = waiting and not self._continued, self._continued or waiting
        return first

    def next(self) -> tuple[Head, bytes] | None:
        """The next whole request, or None until more is fed. Raises `BadRequest`."""
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        body = self._take_chunks() if self._head.chunked else self._take_length(self._head.length)
        if body is None:
            return None
        head, self._head, self._continued = self._head, None, False
        return head, body

    def _take_head(self) -> Head | None:
        while self._bytes.startswith(b"\r\n"):
            del self._bytes[:2]
        end = self._bytes.find(b"\r\n\r\n")
        if max(end, len(self._bytes) if end < 0 else 0) > _HEAD_LIMIT:
            raise BadRequest(431, "the request's headers are too long")
        if end < 0:
            return None
        head = bytes(self._bytes[:end])
        del self._bytes[: end + 4]
        return parse_head(head)

    def _take_length(self, length: int) -> bytes | None:
        if length > self._body_limit:
            raise BadRequest(413, _TOO_LONG)
        if len(self._bytes) < length:
            return None
        body = bytes(self._bytes[:length])
        del self._bytes[:length]
        return body

    def _take_chunks(self) -> bytes | None:
        """The body once its last chunk is here; what has come so far is kept decoded."""
        while True:
            if self._chunk is None:
                end = self._bytes.find(b"\r\n")
                if end < 0:
                    self._check_line()
                    return None
                self._chunk = _chunk_size(bytes(self._bytes[:end]))
                if len(self._decoded) + self._chunk > self._body_limit:
                    raise BadRequest(413, _TOO_LONG)
                del self._bytes[: end + 2]
            if self._chunk == 0:
                return self._take_trailers()
            if len(self._bytes) < self._chunk + 2:
                return None
            if self._bytes[self._chunk : self._chunk + 2] != b"\r\n":
                raise BadRequest(400, "a chunk is longer than it says")
            self._decoded += self._bytes[: self._chunk]
            del self._bytes[: self._chunk + 2]
            self._chunk = None

    def _take_trailers(self) -> bytes | None:
        """The end of a chunked body: lines up to an empty one, of which nothing is used."""
        while (end := self._bytes.find(b"\r\n")) >= 0:
            del self._bytes[: end + 2]
            if end == 0:
                body, self._decoded, self._chunk = bytes(self._decoded), bytearray(), None
                return body
        self._check_line()
        return None

    def _check_line(self) -> None:
        if len(self._bytes) > _HEAD_LIMIT:
            raise BadRequest(400, "a line of the chunked body is too long")


def parse_head(head: bytes) -> Head:
    """The first line and headers of a request. Raises `BadRequest`."""
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or not _TOKEN.issuperset(parts[0]) or not parts[1]:
        raise BadRequest(400, "the request line is malformed")
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadRequest(505, "only HTTP/1.1 is spoken here")
    headers: RawHeaders = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise BadRequest(400, "a header is malformed")
        headers.append((name.lower(), value.strip(b" \t")))
    length, chunked = _framing(headers)
    return Head(parts[0].decode(), parts[1], parts[2][5:].decode(), headers, length, chunked)


def _framing(headers: RawHeaders) -> tuple[int, bool]:
    """How the body ends: its length, or that it comes in chunks. Both at once would be ambiguous."""
    lengths = {value for name, value in headers if name == b"content-length"}
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and (codings != [b"chunked"] or lengths):
        raise BadRequest(400, "the body's framing is ambiguous")
    if len(lengths) > 1:
        raise BadRequest(400, "the body has two lengths")
    length = lengths.pop() if lengths else b"0"
    if not length or not _DIGITS.issuperset(length) or len(length) > 18:
        raise BadRequest(400, "the content-length is not a number")
    return int(length), bool(codings)


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip(b" \t")
    if not size or not _HEX.issuperset(size) or len(size) > 16:
        raise BadRequest(400, "a chunk's size is not a number")
    return int(size, 16)


def carries_body(method: str, status: int) -> bool:
    """Whether an answer with this status to this method has a body at all."""
    return method != "HEAD" and status >= 200 and status not in _NO_BODY


def response_head(status: int, headers: RawHeaders) -> bytes:
    """The status line and headers as bytes, up to the empty line."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason.encode(), lines)
