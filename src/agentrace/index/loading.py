"""Rows into tables: as lines of JSON that DuckDB reads from memory, several times quicker than one value at a time."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator, Sequence
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
_SELECTED: Final = {"mark": "from_base64(mark)"}
"""Columns that JSON has no word for."""


def insert(connection: duckdb.DuckDBPyConnection, rows: Sequence[Struct]) -> None:
    """Add rows of one kind to their table."""
    if rows:
        table = TABLES[type(rows[0])]
        with lines(connection, table, rows) as (source, columns):
            connection.execute(f"INSERT INTO {table} BY NAME SELECT {columns} FROM {source}")


@contextmanager
def lines(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Struct]) -> Generator[tuple[str, str]]:
    """What stands behind FROM, and behind SELECT, to read ``rows`` as those of ``table``."""
    data = _HALVES.sub(_REPLACEMENT, _encode_lines(rows))
    types = _types(connection, table)
    names = type(rows[0]).__struct_fields__
    typed = ", ".join(f"{name}: '{'VARCHAR' if name in _SELECTED else types[name]}'" for name in names)
    selected = ", ".join(f"{_SELECTED[name]} AS {name}" if name in _SELECTED else name for name in names)
    with _readable(data) as path:
        size = min(_LONGEST, max(len(data), 1 << 20))
        form = f"format = 'newline_delimited', columns = {{{typed}}}, maximum_object_size = {size}"
        yield f"read_json('{path}', {form})", selected


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    found: list[Any] = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $table", {"table": table}
    ).fetchall()
    return dict(found)


@contextmanager
def _readable(data: bytes) -> Generator[str]:
    """A path under which the engine reads these bytes: in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("agentrace-rows", os.MFD_CLOEXEC)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
        return
    with tempfile.NamedTemporaryFile(prefix="agentrace-rows-") as file:  # private to this user
        file.write(data)
        file.flush()
        yield file.name.replace("'", "''")
