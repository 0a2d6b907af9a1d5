"""Canonical bytes back into Python values, or into JSON for people and tools.

Reading never imports a module and never runs code that a record names: classes come from a :class:`Types` lookup that
the running program filled, and instances are put together without their ``__init__``. Each call makes fresh objects.
"""

from __future__ import annotations

import binascii
import collections
import datetime
import decimal
import enum
import pathlib
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from msgspec import Raw

from agentrace.canonical import foreign, tags
from agentrace.canonical.foreign_json import foreign_json
from agentrace.canonical.loading import Tagged, load
from agentrace.canonical.moments import clock_text, datetime_of, time_of
from agentrace.canonical.objects import KINDS, shape_of, type_name
from agentrace.errors import CorruptRecord, ValueUndecodable

Resolve: TypeAlias = Callable[[bytes], bytes]
"""The payload stored under a digest; raises ``CorruptRecord`` if there is none."""

Types: TypeAlias = Callable[[str], type | None]
"""The class of a ``module:qualname`` that this program knows, or ``None``."""

_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of what is its own JSON."""

MAX_NESTING: Final = 400
"""Levels of nesting that a reader follows."""


def loaded_types(name: str) -> type | None:
    """The class called ``module:qualname`` if its module is already imported; never imports."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None


class Reader:
    """Reads the values of one run."""

    def __init__(self, resolve: Resolve, types: Types = loaded_types) -> None:
        self._resolve = resolve
        self._types = types

    def python(self, data: bytes | Raw) -> Any:
        """The Python value.

        Raises ``ValueUndecodable`` where the record has only a description of it or this program cannot rebuild it,
        ``CorruptRecord`` where the record is no value.
        """
        try:
            return self._python(load(data), 0)
        except _MALFORMED as error:
            raise _malformed(error) from error

    def json(self, data: bytes | Raw) -> Any:
        """The value as JSON-able data, tagged with ``$``-keys where JSON has no word for it."""
        try:
            return self._json(load(data), 0)
        except RecursionError:
            return {"$opaque": "nested too deep"}
        except _MALFORMED as error:
            raise _malformed(error) from error

    def coded(self, data: bytes | Raw) -> tuple[str, Any] | None:
        """The name of a codec of the recorded program and what that gave, if that is what the value is.

        Raises as :meth:`python`.
        """
        found = load(data)
        if not (isinstance(found, Tagged) and found.code == tags.CODED):
            return None
        try:
            codec, value = load(found.data)
            return codec, self._python(value, 0)
        except _MALFORMED as error:
            raise _malformed(error) from error

    def elements(self, digest: bytes) -> list[Any]:
        """The still encoded elements of a stored list, following its chain."""
        parts: list[tuple[int, list[Any]]] = []
        current: bytes | None = digest
        seen: set[bytes] = set()
        while current is not None:
            if current in seen:
                raise CorruptRecord("a list in the record contains itself", do="run `agentrace verify` on the run")
            seen.add(current)
            node = load(self._resolve(current))
            if not (isinstance(node, list) and len(node) == 3 and isinstance(node[2], list)):
                raise CorruptRecord("a list in the record is malformed", do="run `agentrace verify` on the run")
            parts.append((node[1], node[2]))
            current = node[0]
        items: list[Any] = []
        for kept, added in reversed(parts):
            items = [*items[:kept], *added]
        return items

    def body(self, digest: bytes) -> bytes:
        """A stored request body, following what it was told by."""
        middles: list[tuple[int, bytes, int]] = []
        current: bytes | None = digest
        seen: set[bytes] = set()
        while current is not None:
            node = load(self._resolve(current))
            if current in seen or not (isinstance(node, list) and len(node) == 4 and isinstance(node[2], bytes)):
                raise CorruptRecord("a body in the record is malformed", do="run `agentrace verify` on the run")
            seen.add(current)
            middles.append((node[1], node[2], node[3]))
            current = node[0]
        body = b""
        for start, middle, end in reversed(middles):
            body = body[:start] + middle + (body[len(body) - end :] if end else b"")
        return body

    def _payload(self, data: bytes) -> tuple[str, bytes]:
        digest, kind, _ = load(data)
        return kind, digest

    def _python(self, value: Any, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise CorruptRecord("a recorded value is nested too deep", do="do not trust this record")
        if isinstance(value, list):
            return [self._python(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._python(item, depth + 1) for key, item in value.items()}
        if not isinstance(value, Tagged):
            return value
        if value.code == tags.PAYLOAD:
            kind, digest = self._payload(value.data)
            if kind == "list":
                return [self._python(item, depth + 1) for item in self.elements(digest)]
            if kind == "body":
                return self.body(digest)
            data = self._resolve(digest)
            if kind == "str":
                return data.decode()
            return data if kind == "bytes" else self._python(load(data), depth + 1)
        build = _PYTHON.get(value.code)
        if build is None:
            raise ValueUndecodable(f"the record holds a value of an unknown kind ({value.code})", do="update agentrace")
        return build(self, value.data, depth + 1)

    def _class(self, name: str, kind: str | None) -> type:
        cls = self._types(name)
        shape = None if cls is None else shape_of(cls)
        if cls is None or (kind is not None and (shape is None or shape.kind != kind)):
            raise ValueUndecodable(
                f"the record holds a {name}, which this program has not imported",
                do=f"import {name.partition(':')[0]} before the call is answered",
            )
        return cls

    def _items(self, data: bytes, depth: int) -> Iterable[Any]:
        return [self._python(item, depth) for item in load(data)]

    def _object(self, data: bytes, depth: int) -> Any:
        kind, name, fields, extra = load(data)
        if kind in foreign.KINDS:
            return foreign.rebuilt(kind, name, lambda: self._python(fields, depth))
        cls = self._class(name, kind)
        content = self._python(fields, depth)
        return KINDS[kind](cls, content, self._python(extra, depth))

    def _enum(self, data: bytes, depth: int) -> Any:
        name, member, value = load(data)
        cls = self._class(name, None)
        if not issubclass(cls, enum.Enum):
            raise ValueUndecodable(f"{name} is no enum in this program", do="run the program version that was recorded")
        found = cls.__members__.get(member)
        if found is None:
            return cls(self._python(value, depth))
        return found

    def _subclass(self, data: bytes, depth: int) -> Any:
        name, value = load(data)
        plain = self._python(value, depth)
        rebuild = _REBUILD.get(name)
        return plain if rebuild is None else rebuild(plain)

    def _opaque(self, data: bytes, _: int) -> Any:
        name, text, reason = load(data)
        raise ValueUndecodable(
            f"the record only describes this value: {text} ({name}: {reason})",
            do="return a dataclass, a pydantic model or JSON-like data from the recorded function, or give it a codec",
        )

    def _json(self, value: Any, depth: int) -> Any:
        if depth > MAX_NESTING:
            return {"$opaque": "nested too deep"}
        if type(value) in _PLAIN:
            return value
        if isinstance(value, list):
            return [item if type(item) in _PLAIN else self._json(item, depth + 1) for item in value]
        if isinstance(value, dict):
            if all(type(key) is str for key in value):
                return {
                    key: item if type(item) in _PLAIN else self._json(item, depth + 1) for key, item in value.items()
                }
            return {"$dict": [[key, self._json(item, depth + 1)] for key, item in value.items()]}
        if isinstance(value, bytes):
            return _json_bytes(value)
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            return {"$float": repr(value)}
        if not isinstance(value, Tagged):
            return value
        if value.code == tags.PAYLOAD:
            kind, digest = self._payload(value.data)
            if kind == "list":
                return [self._json(item, depth + 1) for item in self.elements(digest)]
            data = self.body(digest) if kind == "body" else self._resolve(digest)
            if kind == "str":
                return data.decode()
            return _json_bytes(data) if kind in ("bytes", "body") else self._json(load(data), depth + 1)
        describe = _JSON.get(value.code)
        return {"$unknown": value.code} if describe is None else describe(self, value.data, depth + 1)


_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What malformed data makes the constructors of builtins raise."""


def _malformed(error: Exception) -> CorruptRecord:
    return CorruptRecord(
        f"a recorded value cannot be read: {type(error).__name__}: {error}", do="run `agentrace verify` on the run"
    )


def _json_bytes(data: bytes) -> Any:
    if data.isascii():
        return {"$bytes": data.decode()}
    return {"$base64": binascii.b2a_base64(data, newline=False).decode()}


_PATHS: Final[dict[str, type[pathlib.PurePath]]] = {
    "PosixPath": pathlib.PurePosixPath if sys.platform == "win32" else pathlib.PosixPath,
    "PurePosixPath": pathlib.PurePosixPath,
    "WindowsPath": pathlib.WindowsPath if sys.platform == "win32" else pathlib.PureWindowsPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
}


def _path(reader: Reader, data: bytes, depth: int) -> pathlib.PurePath:
    name, text = load(data)
    return _PATHS[name](reader._python(text, depth))


def _pairs(reader: Reader, data: bytes, depth: int) -> dict[Any, Any]:
    return {reader._python(key, depth): reader._python(item, depth) for key, item in load(data)}


def _coded(_: Reader, data: bytes, __: int) -> Any:
    raise ValueUndecodable(
        f"the record holds what the codec {load(data)[0]} of the recorded program gave for a value",
        do="give it to that codec: JSON shows it under `value`",
    )


def _singleton(_: Reader, data: bytes, __: int) -> Any:
    return Ellipsis if data == b"Ellipsis" else NotImplemented


_REBUILD: Final[dict[str, Callable[[Any], Any]]] = {
    type_name(bytearray): bytearray,
    type_name(collections.OrderedDict): collections.OrderedDict,
    type_name(collections.Counter): collections.Counter,
}

_PYTHON: Final[dict[int, Callable[[Reader, bytes, int], Any]]] = {
    tags.TUPLE: lambda r, data, depth: tuple(r._items(data, depth)),
    tags.SET: lambda r, data, depth: set(r._items(data, depth)),
    tags.FROZENSET: lambda r, data, depth: frozenset(r._items(data, depth)),
    tags.INT: lambda _, data, __: _big_int(data),
    tags.DECIMAL: lambda _, data, __: decimal.Decimal(data.decode()),
    tags.DATETIME: lambda _, data, __: datetime_of(data),
    tags.DATE: lambda _, data, __: datetime.date.fromisoformat(data.decode()),
    tags.TIME: lambda _, data, __: time_of(data),
    tags.TIMEDELTA: lambda _, data, __: datetime.timedelta(*load(data)),
    tags.UUID: lambda _, data, __: uuid.UUID(bytes=data),
    tags.PATH: _path,
    tags.ENUM: Reader._enum,
    tags.COMPLEX: lambda _, data, __: complex(*load(data)),
    tags.RANGE: lambda r, data, depth: range(*r._items(data, depth)),
    tags.PAIRS: _pairs,
    tags.OBJECT: Reader._object,
    tags.OPAQUE: Reader._opaque,
    tags.REDACTED: lambda _, data, __: load(data),
    tags.REDACTED_BYTES: lambda _, data, __: load(data),
    tags.SURROGATES: lambda _, data, __: data.decode("utf-8", "surrogatepass"),
    tags.SINGLETON: _singleton,
    tags.SUBCLASS: Reader._subclass,
    tags.CODED: _coded,
}


def _big_int(data: bytes) -> int:
    # int() of decimal text is limited by the interpreter (a defence that a record must not switch off), and no int of
    # that size was told in decimal.
    return int(data, 16 if b"x" in data else 10)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _tag(name: str) -> Callable[[Reader, bytes, int], Any]:
    return lambda r, data, depth: {name: [r._json(item, depth) for item in load(data)]}


def _json_object(reader: Reader, data: bytes, depth: int) -> Any:
    kind, name, fields, beside = load(data)
    if kind in foreign.KINDS:
        return foreign_json(kind, name, fields, lambda value: reader._json(value, depth))
    extras = reader._json(beside[1], depth) if kind == "pydantic" else None
    return {"$type": name, **reader._json(fields, depth), **(extras or {})}


def _json_coded(reader: Reader, data: bytes, depth: int) -> Any:
    codec, value = load(data)
    return {"$codec": codec, "value": reader._json(value, depth)}


def _json_opaque(_: Reader, data: bytes, __: int) -> Any:
    name, text, reason = load(data)
    return {"$opaque": text, "type": name, "reason": reason}


def _json_text(name: str) -> Callable[[Reader, bytes, int], Any]:
    return lambda r, data, depth: {name: str(r._python(Tagged(_CODES[name], data), depth))}


def _json_path(reader: Reader, data: bytes, depth: int) -> Any:
    text = reader._json(load(data)[1], depth)
    return {"$path": text}


_CODES: Final[dict[str, int]] = {
    "$decimal": tags.DECIMAL,
    "$date": tags.DATE,
    "$timedelta": tags.TIMEDELTA,
    "$uuid": tags.UUID,
    "$complex": tags.COMPLEX,
}

_JSON: Final[dict[int, Callable[[Reader, bytes, int], Any]]] = {
    tags.TUPLE: _tag("$tuple"),
    tags.SET: _tag("$set"),
    tags.FROZENSET: _tag("$frozenset"),
    tags.INT: lambda _, data, __: {"$int": data.decode()},
    tags.ENUM: lambda r, data, depth: {"$enum": load(data)[0], "value": r._json(load(data)[2], depth)},
    tags.RANGE: _tag("$range"),
    tags.PAIRS: _tag("$dict"),
    tags.OBJECT: _json_object,
    tags.OPAQUE: _json_opaque,
    tags.CODED: _json_coded,
    tags.REDACTED: lambda _, data, __: load(data),
    tags.REDACTED_BYTES: lambda _, data, __: _json_bytes(load(data)),
    tags.SURROGATES: lambda _, data, __: {"$surrogates": _escaped(data.decode("utf-8", "surrogatepass"))},
    tags.SINGLETON: lambda _, data, __: {"$singleton": data.decode()},
    tags.SUBCLASS: lambda r, data, depth: r._json(load(data)[1], depth),
    tags.DATETIME: lambda _, data, __: {"$datetime": clock_text(data)},
    tags.TIME: lambda _, data, __: {"$time": clock_text(data)},
    tags.PATH: _json_path,
    **{code: _json_text(name) for name, code in _CODES.items()},
}
