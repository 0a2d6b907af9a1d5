"""Values of libraries that a program uses: arrays, data frames, images and buffers, taken apart without their library's
own idea of a file where that would not be exact, or not be safe to read.

A type is one row of :data:`TYPES`. The library is never imported here: an instance of its class is there only where the
program has imported it, and a replay rebuilds one only where the program has. In the encoding such a value is an
``OBJECT`` whose kind is in :data:`KINDS`; numbers and pixels are bytes that no redaction looks at, every text in it is
a canonical value like any other, which it does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

import msgspec
from blake3 import blake3
from msgspec.msgpack import Ext

from agentrace.canonical import tags
from agentrace.canonical.objects import type_name
from agentrace.errors import ValueUndecodable

LARGEST: Final = (1 << 30) - (1 << 16)
"""Bytes of the largest part of a value that a record takes, and that a reader believes."""
_INLINE: Final = 512
_REMEMBERED: Final = 8192

_encode = msgspec.msgpack.Encoder().encode


class Row(msgspec.Struct, frozen=True):
    """One type of one library."""

    kind: str
    """What the record calls it."""
    module: str
    """Where the library has its class."""
    name: str
    """The class there."""
    home: str
    """The module of this package that takes its instances apart, in ``take``, and puts them together, in ``build``."""
    family: bool = False
    """Whether instances of subclasses are told exactly too, by the library's own subclasses."""


TYPES: Final = (
    Row("numpy-masked", "numpy.ma", "MaskedArray", "arrays"),
    Row("numpy-array", "numpy", "ndarray", "arrays"),
    Row("numpy-scalar", "numpy", "generic", "arrays", family=True),
    Row("pandas-frame", "pandas", "DataFrame", "frames"),
    Row("pandas-series", "pandas", "Series", "frames"),
    Row("pandas-index", "pandas", "Index", "frames", family=True),
    Row("pandas-array", "pandas.api.extensions", "ExtensionArray", "frames", family=True),
    Row("pandas-timestamp", "pandas", "Timestamp", "moments"),
    Row("pandas-timedelta", "pandas", "Timedelta", "moments"),
    Row("pandas-missing", "pandas.api.typing", "NaTType", "moments"),
    Row("pandas-missing", "pandas.api.typing", "NAType", "moments"),
    Row("polars-frame", "polars", "DataFrame", "polars_frames"),
    Row("polars-series", "polars", "Series", "polars_frames"),
    Row("arrow-table", "pyarrow", "Table", "tables"),
    Row("arrow-batch", "pyarrow", "RecordBatch", "tables"),
    Row("arrow-chunked", "pyarrow", "ChunkedArray", "tables"),
    Row("arrow-array", "pyarrow", "Array", "tables", family=True),
    Row("image", "PIL.Image", "Image", "images", family=True),
    Row("bytes-buffer", "io", "BytesIO", "buffers"),
    Row("text-buffer", "io", "StringIO", "buffers"),
)
"""A new type is one row. Of rows that fit, the first is taken."""

KINDS: Final = {row.kind: row for row in TYPES}


class Untold(Exception):
    """A value that can only be described, and why."""


class Walk(Protocol):
    """The encoding of the value that this one is a part of."""

    _encoder: Any
    careful: bool
    """Whether the quick walk has failed before."""

    def tree(self, value: Any, depth: int, /) -> Any:
        """A part as msgspec can encode it."""
        ...

    def opaque(self, value: object, reason: str, /) -> Ext:
        """What stands for a value that cannot be encoded."""
        ...

    def structural(self) -> None:
        """Say that something was kept in content but not in type."""
        ...


class Part:
    """What a codec asks for while it takes a value apart."""

    def __init__(self, walk: Walk, depth: int) -> None:
        self._walk = walk
        self._depth = depth
        self.structural = walk.structural

    def tree(self, value: Any) -> Any:
        """A value of any kind, without its secrets."""
        return self._walk.tree(value, self._depth)

    def raw(self, data: bytes) -> Any:
        """Bytes that are numbers and no text, as they are."""
        if len(data) > LARGEST:
            raise Untold(f"{len(data):,} bytes are more than a record takes in one piece")
        if len(data) < _INLINE:
            return data
        encoder = self._walk._encoder
        digest, kept = blake3(data).digest(), encoder._kept
        if digest not in kept:
            encoder._sink.payload(digest, data)
            if len(kept) > _REMEMBERED:
                kept.clear()
            kept.add(digest)  # of a set that is dropped if the payload was lost meanwhile
        return Ext(tags.PAYLOAD, _encode((digest, "bytes", len(data))))

    def cells(self, values: Sequence[Any], name: object = None) -> Any:
        """The cells of a column, whose name may tell that its texts are secrets."""
        told, hidden = self.tree, self._walk._encoder._hidden
        if not isinstance(name, str) or self._walk._encoder._key(name) is False:
            return [told(value) for value in values]
        secrets = (hidden(name, value) if value and isinstance(value, (str, bytes)) else None for value in values)
        return [told(value) if secret is None else secret for value, secret in zip(values, secrets, strict=True)]

    def object(self, kind: str, value: Any, fields: dict[str, Any]) -> Ext:
        """A part that is of a library too, from what it was taken apart into."""
        return Ext(tags.OBJECT, _encode((kind, type_name(type(value)), fields, None)))

    def is_clean(self, data: bytes) -> bool:
        """Whether bytes that are partly text hold no secret."""
        return self._walk._encoder._redaction.data(data) is None


def row_of(cls: type) -> Row | None:
    """The row of a class, or of one that it inherits from; ``None`` if there is none."""
    for row in TYPES:
        module = sys.modules.get(row.module)
        known = None if module is None else module.__dict__.get(row.name)
        if isinstance(known, type) and issubclass(cls, known):
            return row
    return None


def told(walk: Walk, row: Row, value: Any, depth: int) -> Ext:
    """The encoding of an instance of a row's class; opaque where its library cannot take it apart."""
    cls = type(value)
    known = sys.modules[row.module].__dict__[row.name]
    try:
        fields = _home(row).take(Part(walk, depth), row.kind, value)
    except Untold as untold:
        return walk.opaque(value, str(untold))
    except BaseException as error:
        difficult = not walk.careful and isinstance(error, (UnicodeEncodeError, OverflowError, RecursionError))
        if _is_of_the_library(error) and not difficult:
            return walk.opaque(value, f"taking it apart failed with {type(error).__name__}")
        raise  # of the walk, which knows another way, or of the program
    if cls is not known and not row.family:
        walk.structural()
    return Ext(tags.OBJECT, _encode((row.kind, type_name(cls), fields, None)))


def rebuilt(kind: str, name: str, fields: Callable[[], Any]) -> Any:
    """A value of a library from its decoded fields; raises ``ValueUndecodable``."""
    row = KINDS[kind]
    library = row.module.partition(".")[0]
    if sys.modules.get(row.module) is None:
        raise ValueUndecodable(
            f"the record holds a {name}, and this program has not imported {library}",
            do=f"import {row.module} before the call is answered",
        )
    content = fields()
    try:
        return _home(row).build(kind, name, content)
    except BaseException as error:
        if isinstance(error, ValueUndecodable) or not _is_of_the_library(error):
            raise
        raise ValueUndecodable(
            f"the record holds a {name} that this program's {library} cannot rebuild: {type(error).__name__}: {error}",
            do=f"use the version of {library} with which the run was recorded",
        ) from error


def _home(row: Row) -> Any:
    return import_module(f"agentrace.canonical.foreign.{row.home}")


def _is_of_the_library(error: BaseException) -> bool:
    """Libraries in Rust raise their panics as a class that is no ``Exception``."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
