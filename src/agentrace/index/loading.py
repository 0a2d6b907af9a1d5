"""Rows into tables: as lines of JSON that DuckDB reads from memory, several times quicker than one value at a time."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from agentrace.index.rows import TABLES

if TYPE_CHECKING:
    import duckdb

_encode_lines = msgspec.json.Encoder().encode_lines
_HALVES: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
"""Halves of characters, which JSON may spell and no database takes."""
_REPLACEMENT: Final = "\ufffd".encode()
_LONGEST: Final = 1 << 30
"""Bytes of one row that are read; a row is one object, and the reader wants to know how large one may be."""
_SELECTED: Final = {name: f"from_base64({name})" for name in ("mark", "encoded")}
"""Columns that JSON has no word for."""
_SUSPECT: Final = re.compile(rb'(?<!\\)":(?:-\d|\d{16,18}[,}]|[3-9]\d{18}|\d{20,})')
"""Negative numbers, counts of 10^15 and more, times after 2065."""
_NUMBER: Final = re.compile(rb"-?\d{1,400}")
_LATEST: Final = 9_000_000_000_000_000_000
"""Unix nanoseconds in the year 2255."""
_MOST: Final = (1 << 53) - 1
_COUNTS: Final = frozenset({"input_fresh", "cache_read", "cache_write", "output_visible", "reasoning", "retries"})
_LIMITS: Final = {
    "UTINYINT": (0, 255),
    "INTEGER": (-(1 << 31), (1 << 31) - 1),
    "UINTEGER": (0, (1 << 32) - 1),
    "BIGINT": (-_LATEST, _LATEST),
    "UBIGINT": (0, _LATEST),
}
_NEEDED: Final = frozenset({"seq", "step_id", "ts", "started_ts", "run_key", "position", "last_seq"})
"""Columns that may not be NULL."""
_decode_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_KINDS: Final = {table: kind for kind, table in TABLES.items()}


def as_lines(rows: Sequence[Struct]) -> bytes:
    """Rows of one kind as lines of JSON."""
    data = _HALVES.sub(_REPLACEMENT, _encode_lines(rows))
    return _plausible(data) if _SUSPECT.search(data) else data


def within_columns(connection: duckdb.DuckDBPyConnection, table: str, data: bytes) -> bytes:
    """The same lines with every number that its column does not take left out, or made the nearest that it takes."""
    types = _types(connection, table)
    limits = {name: _LIMITS[kind] for name, kind in types.items() if kind in _LIMITS}
    return _limited(data, lambda name: limits.get(name))


def _plausible(data: bytes) -> bytes:
    """Lines without times and counts that sums and calendars cannot take."""

    def limit(name: str) -> tuple[int, int] | None:
        if name.endswith("_ts") or name == "ts":
            return 0, _LATEST
        if name == "cost_nano_usd":  # what was taken back may stand without what it takes back
            return -_MOST, _MOST
        return (0, _MOST) if name.endswith("_ns") or name in _COUNTS else None

    return _limited(data, limit)


def _limited(data: bytes, limit: Callable[[str], tuple[int, int] | None]) -> bytes:
    lines: list[dict[str, Any]] = [_decode_raw(line) for line in data.splitlines()]
    for line in lines:
        for name, raw in line.items():
            found = limit(name)
            if found is None or not _NUMBER.fullmatch(bytes(raw)):
                continue
            value = int(raw)
            if not found[0] <= value <= found[1]:
                line[name] = min(max(value, found[0]), found[1]) if name in _NEEDED else None
    return _encode_lines(lines)


def insert(connection: duckdb.DuckDBPyConnection, table: str, data: Iterable[bytes]) -> None:
    """Add rows to a table."""
    with readable(connection, table, data) as select:
        connection.execute(f"INSERT INTO {table} BY NAME {select}")


@contextmanager
def readable(connection: duckdb.DuckDBPyConnection, table: str, data: Iterable[bytes]) -> Generator[str]:
    """The SELECT that reads lines as rows of ``table``."""
    types = _types(connection, table)
    names = _KINDS[table].__struct_fields__
    typed = ", ".join(f"{name}: '{'VARCHAR' if name in _SELECTED else types[name]}'" for name in names)
    selected = ", ".join(f"{_SELECTED[name]} AS {name}" if name in _SELECTED else name for name in names)
    with _in_memory(data) as (path, size):
        longest = min(_LONGEST, max(size, 1 << 20))
        form = f"format = 'newline_delimited', columns = {{{typed}}}, maximum_object_size = {longest}"
        yield f"SELECT {selected} FROM read_json('{path}', {form})"


_types_known: Final[dict[str, dict[str, str]]] = {}
"""By table: the type of each column; the same in every index, since one of another schema is never opened."""


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    if not _types_known:
        asked = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        found: list[Any] = connection.execute(asked).fetchall()
        known: dict[str, dict[str, str]] = {}
        for of, name, kind in found:
            known.setdefault(of, {})[name] = kind
        _types_known.update(known)  # at once: another thread may ask meanwhile
    return _types_known[table]


@contextmanager
def _in_memory(data: Iterable[bytes]) -> Generator[tuple[str, int]]:
    """A path under which the engine reads these bytes, in memory where the system has such files; and their number."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("agentrace-rows", os.MFD_CLOEXEC)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.writelines(data)
            yield f"/proc/self/fd/{fd}", os.fstat(fd).st_size
        finally:
            os.close(fd)
        return
    with tempfile.NamedTemporaryFile(prefix="agentrace-rows-") as private:
        private.writelines(data)
        private.flush()
        yield private.name.replace("'", "''"), private.tell()
