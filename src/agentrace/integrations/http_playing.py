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

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._pieces = _over_the_line(step, recorded)

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


def _over_the_line(step: Step, recorded: Recorded) -> Iterator[bytes]:
    arrived(step, recorded)  # once it is asked for: the program may still be making the body of its request
    if recorded.error is not None:
        raise refusal(step, recorded.error)
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


def wire_length(recorded: Recorded) -> int | None:
    """Bytes of the body as it is played back, if its header may tell another number: it is compressed anew."""
    whole = recorded.encoding and not recorded.closed and recorded.broken is None
    return sum(map(len, recorded.chunks())) if whole else None


def refusal(step: Step, failure: Failure) -> BaseException:
    """What a connection raises instead of giving a response."""
    # urllib3's own exceptions say no more than that something did.
    beneath = failure.causes and failure.type.startswith("urllib3.")
    error: BaseException = step.answer.rebuild(failure.causes[0] if beneath else failure)
    return error


def left_to_read(response: Any, recorded: Recorded) -> int:
    """Bytes of the body that a response of urllib3 has still to read: its own count comes from the header."""
    length = wire_length(recorded)
    left: int = response.length_remaining if length is None else length - response.tell()
    return left
