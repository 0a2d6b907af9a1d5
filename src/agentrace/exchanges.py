"""An exchange as the record holds it and a wire plays it back: the head, the body's chunks, how it ended.

Bodies are recorded without their content coding, so that secrets in them can be found; here is how codings are taken
off while a body comes in, and put on again so that each recorded chunk can be read as soon as it is played back.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

from agentrace.events import Failure

Decode: TypeAlias = Callable[[bytes], bytes]
"""The next piece of a body without its coding; raises ``ValueError`` for bytes that are not so coded."""


class Recorded(Struct, frozen=True):
    """One exchange of a record."""

    number: int
    method: str = ""
    url: str = ""
    """What was asked for, redacted."""
    status: int = 0
    headers: Sequence[tuple[str, str]] = ()
    http_version: str = ""
    reason: str = ""
    encoding: str = ""
    body: Sequence[bytes] = ()
    error: Failure | None = None
    """How the transport failed before there was a response."""
    broken: Failure | None = None
    """How the body broke off."""
    closed: bool = False
    """The consumer closed the body early: what would follow is not in the record."""
    before: Sequence[Recorded] = ()
    """What came before it in its step, of requests that are not made on this replay."""

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as a transport gives them."""
        return [(name.encode("latin-1"), _header(name, value)) for name, value in self.headers]

    def chunks(self) -> Iterator[bytes]:
        """The body as it came over the wire: coded again if it was."""
        make = _CODERS.get(self.encoding)
        if make is None or not self.body:
            yield from map(spelled_in_ascii, self.body)
            return
        coder = make()
        for chunk in self.body:
            yield coder.chunk(spelled_in_ascii(chunk))
        if self.broken is None and not self.closed:
            yield coder.end()


def spelled_in_ascii(body: bytes) -> bytes:
    """A body in which marks of redaction that stand for a whole value (``"⟨redacted:jwt⟩"``) are ``"redacted-jwt"``.

    Clients put tokens that they were handed into headers, which take nothing but ASCII. Marks within a text stay.
    """
    return _whole_marks().sub(rb"\1redacted-\2\3", body) if b"redacted:" in body else body


@cache
def _whole_marks() -> re.Pattern[bytes]:
    return re.compile(
        rb'((?<!\\)"|\A\s*)(?:\xe2\x9f\xa8|\\u27[eE]8)redacted:([a-z0-9-]{1,48})(?:\xe2\x9f\xa9|\\u27[eE]9)("|\s*\Z)'
    )


def _header(name: str, value: str) -> bytes:
    # A cookie that was redacted whole has no name any more, and cookie jars fail on what they took in without one.
    told = f"redacted={value}" if "=" not in value and name.lower() == "set-cookie" else value
    return told.encode("latin-1", "replace")


def decoder(encoding: str) -> Decode | None:
    """What takes a content coding off; ``None`` for codings that could not be put on again either."""
    make = _DECODERS.get(encoding)
    return None if make is None else make()


# --- taking a coding off ------------------------------------------------------------------------------------


def _gunzip() -> Decode:
    return _decoding(zlib.decompressobj(16 + zlib.MAX_WBITS).decompress, zlib.error)


def _inflate() -> Decode:
    standard, bare = zlib.decompressobj(), zlib.decompressobj(-zlib.MAX_WBITS)
    chosen: Any = None

    def decode(data: bytes) -> bytes:
        nonlocal chosen
        if chosen is None:
            chosen = standard
            try:
                return standard.decompress(data)
            except zlib.error:  # servers leave the header out that the standard asks for, and clients take it
                chosen = bare
        plain: bytes = chosen.decompress(data)
        return plain

    return _decoding(decode, zlib.error)


def _unzstd() -> Decode:
    import zstandard

    make = zstandard.ZstdDecompressor
    frame: Any = make().decompressobj()

    def decode(data: bytes) -> bytes:
        nonlocal frame
        parts = []
        while data:
            if frame.eof:
                frame = make().decompressobj()
            parts.append(frame.decompress(data))
            data = frame.unused_data if frame.eof else b""
        return b"".join(parts)

    return _decoding(decode, zstandard.ZstdError)


def _decoding(decode: Decode, refusal: type[Exception]) -> Decode:
    def checked(data: bytes) -> bytes:
        try:
            return decode(data) if data else data
        except refusal as error:
            raise ValueError(str(error)) from error

    return checked


_DECODERS: Final[dict[str, Callable[[], Decode]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "zstd": _unzstd,
}

# --- putting it on again ------------------------------------------------------------------------------------


class _Coder(Protocol):
    """A body that is being coded."""

    def chunk(self, data: bytes) -> bytes:
        """``data`` coded, complete up to its last byte."""
        ...

    def end(self) -> bytes:
        """What closes the body."""
        ...


class _Zlib:
    def __init__(self, bits: int) -> None:
        self._compress = zlib.compressobj(wbits=bits)

    def chunk(self, data: bytes) -> bytes:
        return self._compress.compress(data) + self._compress.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compress.flush()


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._block: Any = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        self._compress: Any = zstandard.ZstdCompressor().compressobj()

    def chunk(self, data: bytes) -> bytes:
        coded: bytes = self._compress.compress(data) + self._compress.flush(self._block)
        return coded

    def end(self) -> bytes:
        coded: bytes = self._compress.flush()
        return coded


_CODERS: Final[dict[str, Callable[[], _Coder]]] = {
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "zstd": _Zstd,
}
