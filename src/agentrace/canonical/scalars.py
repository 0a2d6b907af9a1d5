"""How single values that msgpack has no word for are told: numbers, moments, paths and other builtins.

Each function gives an extension (see ``tags``). What a value holds as text goes through the walk, which redacts it.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
from msgspec.msgpack import Ext

from agentrace.canonical import tags

_encode = msgspec.msgpack.Encoder().encode
_READABLE_BITS: Final = 2048
"""Bits up to which an int is told in decimal: never more digits than any interpreter reads, and quick."""


class Walk(Protocol):
    """The encoding of one value, which a scalar is part of."""

    def tree(self, value: Any, depth: int, /) -> Any:
        """A part of the scalar as msgspec can encode it."""
        ...

    def structural(self) -> None:
        """Say that something was kept in content but not in type."""
        ...


def is_text(text: str) -> bool:
    """Whether UTF-8 can say it."""
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:
        return False


def whole_number(value: int) -> Any:
    """An int, which msgpack knows within 64 bits."""
    if -(2**63) <= value < 2**64:
        return value
    text = str(value) if value.bit_length() <= _READABLE_BITS else hex(value)
    return Ext(tags.INT, text.encode())


def _zone(walk: Walk, value: datetime.datetime | datetime.time) -> Any:
    zone = value.tzinfo
    if zone is None:
        return None
    key = getattr(zone, "key", None)
    if type(zone).__module__ == "zoneinfo" and isinstance(key, str):
        return key
    offset = value.utcoffset()
    if type(zone) is not datetime.timezone:
        walk.structural()
    if offset is None:
        walk.structural()
        return None
    return offset.total_seconds(), value.tzname() or ""


def _moment(code: int) -> Callable[[Walk, Any], Ext]:
    def scalar(walk: Walk, value: Any) -> Ext:
        naive = value.replace(tzinfo=None).isoformat()
        return Ext(code, _encode((naive, value.fold, _zone(walk, value))))

    return scalar


def _path(walk: Walk, value: pathlib.PurePath) -> Ext:
    return _as_path(walk, value, str(value))


def _windows_path(walk: Walk, value: pathlib.PureWindowsPath) -> Ext:
    """As :func:`_path`, but of ``./c:x`` and ``//server/`` Python 3.11 gives a text in which it reads another path."""
    cls, text = type(value), str(value)
    for told in (text, f".\\{text}", text[:-1]):
        if _parsed(cls(told)) == _parsed(value):
            return _as_path(walk, value, told)
    walk.structural()
    return _as_path(walk, value, text)


def _parsed(path: pathlib.PureWindowsPath) -> tuple[str, str, tuple[str, ...]]:
    return path.drive, path.root, path.parts  # exactly: paths are equal in either case of their letters


def _as_path(walk: Walk, value: pathlib.PurePath, text: str) -> Ext:
    return Ext(tags.PATH, _encode((type(value).__name__, walk.tree(text, 0))))


SCALARS: Final[dict[type, Callable[[Walk, Any], Any]]] = {
    decimal.Decimal: lambda _, v: Ext(tags.DECIMAL, str(v).encode()),
    datetime.datetime: _moment(tags.DATETIME),
    datetime.time: _moment(tags.TIME),
    datetime.date: lambda _, v: Ext(tags.DATE, v.isoformat().encode()),
    datetime.timedelta: lambda _, v: Ext(tags.TIMEDELTA, _encode((v.days, v.seconds, v.microseconds))),
    uuid.UUID: lambda _, v: Ext(tags.UUID, v.bytes),
    pathlib.PosixPath: _path,
    pathlib.PurePosixPath: _path,
    pathlib.WindowsPath: _windows_path,
    pathlib.PureWindowsPath: _windows_path,
    complex: lambda _, v: Ext(tags.COMPLEX, _encode((v.real, v.imag))),
    range: lambda _, v: Ext(tags.RANGE, _encode([whole_number(part) for part in (v.start, v.stop, v.step)])),
    type(Ellipsis): lambda _, v: Ext(tags.SINGLETON, b"Ellipsis"),
    type(NotImplemented): lambda _, v: Ext(tags.SINGLETON, b"NotImplemented"),
}
"""By exact type."""

SUBCLASSES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    # The unbound methods of the base read the content without running what the subclass overrides.
    (str, lambda v: str.__str__(v)),
    (bytes, lambda v: bytes(memoryview(v))),
    (bytearray, lambda v: bytes(memoryview(v))),
    (int, lambda v: int.__int__(v)),
    (float, lambda v: float.__float__(v)),
    (dict, lambda v: dict(dict.items(v))),
    (list, lambda v: list(list.__iter__(v))),
    (tuple, lambda v: tuple(tuple.__iter__(v))),
    (set, lambda v: set(set.__iter__(v))),
    (frozenset, lambda v: frozenset(frozenset.__iter__(v))),
    (collections.deque, lambda v: list(collections.deque.__iter__(v))),
)
"""Builtins that have subclasses, and how an instance is told as the builtin."""

REBUILT: Final = frozenset({bytearray, collections.OrderedDict, collections.Counter})
"""Of these, the ones that decoding rebuilds as they were."""
