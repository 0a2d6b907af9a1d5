"""Arrays, frames and images of a record as JSON for people and tools: what they are, in one line, and their texts.

Numbers and pixels are told by their digest. Nothing of the library is needed, and no payload is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

SUMMARY: Final = "$summary"
"""The key of the line that says what a value is."""
_RAW: Final = {"npy": "application/x-npy", "stream": "application/vnd.apache.arrow.stream", "pixels": "", "palette": ""}
"""Fields that hold bytes which are no text, and their media types, where there is one."""
_PLAIN: Final = frozenset({"numpy:float64", "numpy:str_", "numpy:bytes_"})
"""Scalars that are numbers and texts of Python too: they are told, and compared, as those."""

_Json = Callable[[Any], Any]


def foreign_json(kind: str, name: str, fields: Mapping[str, Any], json: _Json) -> Any:
    """The value as JSON data; ``fields`` are as they were encoded."""
    if kind == "numpy-scalar" and name in _PLAIN:
        return json(fields["value"])
    content = {field: _raw(field, value) if field in _RAW else json(value) for field, value in fields.items()}
    short = name.rpartition(":")[2].rpartition(".")[2]
    return {"$type": name, SUMMARY: _SUMMARIES.get(kind, _plain)(short, content), **content}


def _raw(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        from blake3 import blake3  # a reader of a record that has none of these needs no hash here

        digest, size = blake3(value).digest(), len(value)
    else:
        digest, _, size = msgspec.msgpack.decode(value.data)
    told = {"digest": digest.hex(), "bytes": size}
    return told | ({"mime": _RAW[field]} if _RAW[field] else {})


# --- in one line --------------------------------------------------------------------------------------------


def _array(name: str, fields: Mapping[str, Any]) -> str:
    shape: Sequence[int] = fields["shape"]
    inside = fields["dtype"] if isinstance(fields["dtype"], str) else f"{len(fields['dtype'])} fields"
    size = f", {_size(fields['npy']['bytes'])}" if "npy" in fields else ""
    return f"{name} {inside} {list(shape)}{size}"


def _masked(name: str, fields: Mapping[str, Any]) -> str:
    return f"{name} of {fields['data'][SUMMARY]}"


def _frame(name: str, fields: Mapping[str, Any]) -> str:
    rows, columns = fields["shape"]
    size = f", {_size(fields['stream']['bytes'])}" if "stream" in fields else ""
    return f"{name} of {rows:,} {_plural('row', rows)} and {columns:,} {_plural('column', columns)}{size}"


def _sequence(name: str, fields: Mapping[str, Any]) -> str:
    dtype = f" {fields['dtype']}" if "dtype" in fields else ""
    return f"{name}{dtype} [{fields['length']}]"


def _column(name: str, fields: Mapping[str, Any]) -> str:
    return f"{name} {fields['dtypes'][0]} [{fields['shape'][0]}]"


def _image(name: str, fields: Mapping[str, Any]) -> str:
    width, height = fields["size"]
    return f"{name} {fields['mode']} {width} x {height}, {_size(fields['pixels']['bytes'])}"


def _buffer(name: str, fields: Mapping[str, Any]) -> str:
    return f"{name}, read up to {fields['at']:,}"


def _plain(name: str, fields: Mapping[str, Any]) -> str:
    return f"{name} {fields.get('text', fields.get('value', ''))}".rstrip()


_SUMMARIES: Final[dict[str, Callable[[str, Mapping[str, Any]], str]]] = {
    "numpy-array": _array,
    "numpy-masked": _masked,
    "pandas-frame": _frame,
    "pandas-series": _sequence,
    "pandas-index": _sequence,
    "pandas-array": _sequence,
    "polars-frame": _frame,
    "polars-series": _column,
    "arrow-table": _frame,
    "arrow-batch": _frame,
    "arrow-chunked": _column,
    "arrow-array": _column,
    "image": _image,
    "bytes-buffer": _buffer,
    "text-buffer": _buffer,
}


def _plural(what: str, count: int) -> str:
    return what if count == 1 else f"{what}s"


def _size(count: int) -> str:
    """Powers of 1000, as sizes are told everywhere."""
    if count < 1000:
        return f"{count} B"
    power = min(4, int(math.log10(count)) // 3)
    return f"{count / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"
