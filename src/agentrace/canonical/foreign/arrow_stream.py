"""Streams of Arrow's IPC format, as far as a reader has to look before it lets a library read one.

https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format. A stream in a record is never compressed; one
that says it is was not written by us, and could become anything in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_CONTINUES: Final = 0xFFFFFFFF
_DICTIONARY, _RECORDS = 2, 3
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_COMPRESSION: Final = 3
"""Fields of the tables ``Message`` and ``RecordBatch``, by their position."""


def require_uncompressed(data: bytes) -> None:
    """Raises ``ValueError`` for a stream with compressed bodies, and for bytes that are no stream."""
    try:
        if any(_is_compressed(message) for message in _messages(data)):
            raise ValueError("its columns are compressed")
    except (struct.error, IndexError) as error:
        raise ValueError("it is no stream of columns") from error


def _messages(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        mark, length = struct.unpack_from("<Ii", data, at)
        if mark != _CONTINUES or length < 0 or at + 8 + length > len(data):
            raise ValueError("it is no stream of columns")
        if not length:
            return
        message = data[at + 8 : at + 8 + length]
        yield message
        place = _field(message, _table(message, 0), _BODY_LENGTH)
        body = struct.unpack_from("<q", message, place)[0] if place else 0
        if body < 0:
            raise ValueError("it is no stream of columns")
        at += 8 + length + body


def _is_compressed(message: bytes) -> bool:
    root = _table(message, 0)
    kind_at = _field(message, root, _HEADER_TYPE)
    kind = message[kind_at] if kind_at else 0
    if kind not in (_DICTIONARY, _RECORDS):
        return False
    header = _table(message, _field(message, root, _HEADER))
    if kind == _DICTIONARY:
        header = _table(message, _field(message, header, 1))
    return _field(message, header, _COMPRESSION) != 0


def _table(message: bytes, at: int) -> int:
    """Where the table is that the offset at this place leads to."""
    return at + int(struct.unpack_from("<I", message, at)[0])


def _field(message: bytes, table: int, number: int) -> int:
    """Where a field of a table is; 0 if it is absent."""
    vtable = table - int(struct.unpack_from("<i", message, table)[0])
    if vtable < 0:
        raise ValueError("it is no stream of columns")
    size = int(struct.unpack_from("<H", message, vtable)[0])
    place = 4 + 2 * number
    offset = int(struct.unpack_from("<H", message, vtable + place)[0]) if place + 2 <= size else 0
    return table + offset if offset else 0
