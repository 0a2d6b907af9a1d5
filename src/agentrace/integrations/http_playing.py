"""Connections over which recorded responses come again, beneath ``http.client``.

A recorded response is played back as the bytes that a socket would give, framed anew. So whatever stands above parses,
reads and fails by its own code.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.client import IncompleteRead
from typing import Any

from agentrace.capture.recorded import arrived, body
from agentrace.capture.step import Step
from agentrace.events import Failure
from agentrace.exchanges import Recorded


class Line:
    """A socket over which a recorded response comes. What is sent goes nowhere."""

    def __init__(self, step: Step, recorded: Recorded, error: BaseException | None) -> None:
        self._pieces = _over_the_line(step, recorded, error)

    def makefile(self, *_: Any, **__: Any) -> Any:
        """What the response is read from."""
        return io.BufferedReader(_Reading(self._pieces))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Nothing."""

    settimeout = setsockopt = shutdown = close = lambda self, *_: None


class _Reading(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._piece:
            following = next(self._pieces, None)
            if following is None:
                return 0
            self._piece = following
        given = self._piece[: len(into)]
        into[: len(given)] = given
        self._piece = self._piece[len(given) :]
        return len(given)


def _over_the_line(step: Step, recorded: Recorded, error: BaseException | None) -> Iterator[bytes]:
    if error is not None:
        raise error
    head = [f"{recorded.http_version or 'HTTP/1.1'} {recorded.status} {recorded.reason}".encode("latin-1")]
    headers = recorded.raw_headers()
    yield b"\r\n".join([*head, *(name + b": " + value for name, value in headers), b"", b""])
    chunked = any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in headers)
    try:
        for chunk in body(step, recorded):
            if chunk:
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
    except IncompleteRead as broken:  # there the connection ended, with these bytes after the last that were read
        partial, missing = bytes(broken.partial), broken.expected
        if chunked and (partial or missing):
            yield b"%x\r\n%b%b" % (len(partial) + (missing or 0), partial, b"" if missing else b"\r\n")
        elif partial:
            yield partial
        return
    if chunked:
        yield b"0\r\n\r\n"


def low_level(failure: Failure, library: str) -> Failure:
    """What failed beneath ``library``, where its own exception says no more than that something did."""
    return failure.causes[0] if failure.causes and failure.type.startswith(f"{library}.") else failure


def wire_length(recorded: Recorded) -> int | None:
    """Bytes of the body as it is played back, if its header may tell another number: it is compressed anew."""
    whole = recorded.encoding and not recorded.closed and recorded.broken is None
    return sum(map(len, recorded.chunks())) if whole else None


def refused(step: Step, recorded: Recorded, library: str) -> BaseException | None:
    """In its turn: what a connection raises instead of giving a response; ``None`` if there is a response."""
    arrived(step, recorded)
    return None if recorded.error is None else step.answer.rebuild(low_level(recorded.error, library))


def left_to_read(response: Any, recorded: Recorded) -> int:
    """Bytes of the body that a response of urllib3 has still to read: its own count comes from the header."""
    length = wire_length(recorded)
    left: int = response.length_remaining if length is None else length - response.tell()
    return left
