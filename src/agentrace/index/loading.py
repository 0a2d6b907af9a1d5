"""Rows into tables: as lines of JSON that DuckDB reads from memory, several times quicker than one value at a time."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator, Iterable, Sequence
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
_KINDS: Final = {table: kind for kind, table in TABLES.items()}


def as_lines(rows: Sequence[Struct]) -> bytes:
    """Rows of one kind as lines of JSON."""
    return _HALVES.sub(_REPLACEMENT, _encode_lines(rows))


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


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    found: list[Any] = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $table", {"table": table}
    ).fetchall()
    return dict(found)


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
