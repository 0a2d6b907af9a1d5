"""An answer of a cassette as a wire would have given it: its body, and headers that are the body's.

Recorders and their filters keep bodies as they came or without their content coding, and change them; the headers
beside them stay. A client that is given both would fail where it did not.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from agentrace.errors import CassetteError
from agentrace.vcr.cassette import Headers, Interaction

_WITHOUT_BODY: Final = frozenset({204, 304})
_LARGEST: Final = 64 << 20
"""Bytes of a body without its coding. A few kilobytes could be made to stand for any number."""


class Given(Struct, frozen=True):
    """What an answer is played back as."""

    headers: Headers
    body: bytes
    decoded: bool
    """Whether the body stands there without the coding that its header names."""
    changed: bool
    """Whether the headers are not the cassette's."""
    unseen: bool
    """Whether the body is in a coding that redaction cannot look into."""


def given(one: Interaction, where: str) -> Given:
    """The answer of an interaction. Raises ``CassetteError`` with ``where`` it stands."""
    coding = _value(one.answer_headers, b"content-encoding")
    headers, decoded, unseen = one.answer_headers, False, False
    if coding not in ("", "identity") and one.answer:
        known = coding in _CODINGS
        decoded = not _is_coded(coding, one.answer, where) if known else _is_text(one.answer)
        unseen = not known and not decoded
        if decoded and not known:  # a coding that could not be put on again, so it does not stand there either
            headers = [pair for pair in headers if pair[0].lower() != b"content-encoding"]
            coding, decoded = "", False
    plain = coding in ("", "identity")
    if plain and one.method != "HEAD" and one.status not in _WITHOUT_BODY:
        headers = _with_length(headers, len(one.answer))
    return Given(headers, one.answer, decoded, list(headers) != list(one.answer_headers), unseen)


def _with_length(headers: Headers, length: int) -> Headers:
    told = b"%d" % length
    return [(name, told if name.lower() == b"content-length" else value) for name, value in headers]


def _is_coded(coding: str, body: bytes, where: str) -> bool:
    """Whether a body is in a coding that is known. Raises ``CassetteError`` for one that begins so and is broken."""
    begins, whole = _CODINGS[coding]
    if not body.startswith(begins):
        return False
    try:
        size, ended = whole(body)
    except ValueError as failure:
        if not begins:
            return False
        raise CassetteError(
            f"{where}: response.body is {coding}, and broken: {failure}",
            do="correct the interaction or take it out, or record the cassette again",
            slug="cassette-damaged",
        ) from failure
    if size > _LARGEST:
        raise CassetteError(
            f"{where}: response.body is more than {_LARGEST >> 20} MiB without its coding",
            do="take the interaction out",
            slug="cassette-too-large",
        )
    return ended or bool(begins)


Whole: TypeAlias = Callable[[bytes], tuple[int, bool]]
"""How many bytes a coded body stands for, as far as ``_LARGEST`` and one; and whether it has its end."""


def _zlib(*formats: int) -> Whole:
    def whole(body: bytes) -> tuple[int, bool]:
        failure: Exception = ValueError()
        for bits in formats:
            inflating = zlib.decompressobj(bits)
            try:
                size = len(inflating.decompress(body, _LARGEST + 1))
            except zlib.error as error:
                failure = error
            else:
                # Any bytes may begin like deflated ones without a mark; only those that are so end with their end.
                return size, inflating.eof and not inflating.unused_data
        raise ValueError(str(failure)) from failure

    return whole


def _zstd(body: bytes) -> tuple[int, bool]:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
            return len(reader.read(_LARGEST + 1)), True
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


_GZIP: Final = b"\x1f\x8b"
_CODINGS: Final[Mapping[str, tuple[bytes, Whole]]] = {
    "gzip": (_GZIP, _zlib(16 + zlib.MAX_WBITS)),
    "x-gzip": (_GZIP, _zlib(16 + zlib.MAX_WBITS)),
    "deflate": (b"", _zlib(zlib.MAX_WBITS, -zlib.MAX_WBITS)),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
}
"""What bodies of a coding begin with, and how large they are; those that the record takes off (see ``exchanges``)."""


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _value(headers: Headers, name: bytes) -> str:
    found = [value.decode("latin-1").strip().lower() for key, value in headers if key.lower() == name]
    return ", ".join(found)
