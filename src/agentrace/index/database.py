"""The file of the index, opened by DuckDB: made, refused where another version made it, copied where it is held.

Nothing is ever downloaded: extensions are neither installed nor loaded by themselves.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from agentrace import fold
from agentrace.errors import StoreError
from agentrace.index.engine import engine
from agentrace.index.statements import statement, statements
from agentrace.query import DERIVED_VERSION

if TYPE_CHECKING:
    import duckdb

FILE: Final = "index.duckdb"
WAL: Final = "index.duckdb.wal"
SCHEMA_VERSION: Final = 2
"""Raised whenever tables, views or what is in them are others."""

STAMP: Final = f"index {SCHEMA_VERSION}, query {DERIVED_VERSION}, fold {fold.VERSION}"

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "preserve_insertion_order": True,
    "custom_user_agent": "agentrace",
}


_NO_ROOM: Final = (
    "could not write",
    "no space left",
    "file too large",
    "out of memory",
    "disk full",
    "quota",
    "read-only",
)


class Outdated(Exception):
    """The file is no index of this version, or no index at all; ``str`` says why. It is to be made again."""


class Held(Exception):
    """A program that is not agentrace holds the file; ``str`` names it, as far as it is known."""


class Stale(Struct, frozen=True):
    """What is shown is not what is: since when, and because of whom."""

    as_of_ns: int
    """When the index was last written; Unix nanoseconds."""
    because: str


def in_memory() -> duckdb.DuckDBPyConnection:
    """An empty index that is gone when it is closed."""
    return _made(_connect(":memory:"))


def writable(root: Path) -> duckdb.DuckDBPyConnection:
    """The index, made if it is not there. Raises ``Outdated``, ``Held`` and ``StoreError``."""
    path = root / FILE
    new = not path.exists()
    try:
        connection = _opened(path, read_only=False)
        if new:
            os.chmod(path, 0o600)
            _made(connection)
    except (OSError, engine().Error) as error:
        raise unusable(root, error) from error
    if not new:
        _check(connection)
    return connection


def readable(path: Path) -> duckdb.DuckDBPyConnection:
    """The index, to be read only. Raises ``Outdated``, ``Held`` and ``StoreError``."""
    connection = _opened(path, read_only=True)
    _check(connection)
    return connection


@contextmanager
def copied(root: Path) -> Generator[duckdb.DuckDBPyConnection]:
    """A copy of an index that is held: as it is on the disk, what is in its log included. Raises ``Outdated``."""
    with tempfile.TemporaryDirectory(prefix="agentrace-index-") as directory:
        copy = Path(directory) / FILE
        shutil.copyfile(root / FILE, copy)
        with suppress(FileNotFoundError):
            shutil.copyfile(root / WAL, copy.with_name(WAL))
        try:
            connection = readable(copy)
        except Outdated:  # its log was being written: without it, it is older and whole
            copy.with_name(WAL).unlink(missing_ok=True)
            connection = readable(copy)
        try:
            yield connection
        finally:
            connection.close()


def written_again(root: Path, new: Path) -> None:
    """Write the rows of the index, and nothing else that is in its file, into a new one.

    The caller holds the index alone. Raises OSError, and what the engine raises.
    """
    with closing(_made(_connect(_spelled(new)))) as connection:
        os.chmod(new, 0o600)
        before = _spelled(root / FILE).replace("'", "''")
        connection.execute(statement("attach", "erasing").format(path=before))
        tables: list[Any] = connection.execute(statement("tables", "erasing")).fetchall()
        for (table,) in tables:
            connection.execute(statement("copy", "erasing").format(table=table))
        connection.execute(statement("detach", "erasing"))


def check_throughout(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every row, so that damage shows. Raises ``Outdated``."""
    duckdb = engine()

    try:
        tables: list[Any] = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        for (table,) in tables:
            connection.execute(f'SELECT bit_xor(hash(t)) FROM "{table}" t').fetchall()
    except duckdb.Error as error:
        connection.close()
        raise Outdated(str(error).splitlines()[0]) from error


def identity(root: Path) -> str:
    """What changes whenever the file is written; empty if it is not there."""
    try:
        status = (root / FILE).stat()
    except OSError:
        return ""
    log = (root / WAL).stat().st_size if (root / WAL).exists() else 0
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {log}"


def remove(root: Path) -> None:
    """Remove the index; the next one that needs it makes it again."""
    for name in (FILE, WAL):
        (root / name).unlink(missing_ok=True)


def written_ns(root: Path) -> int:
    """When the index was last written, Unix nanoseconds; 0 if it is not there."""
    times = [0]
    for name in (FILE, WAL):
        with suppress(OSError):
            times.append((root / name).stat().st_mtime_ns)
    return max(times)


def _connect(target: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    connection: duckdb.DuckDBPyConnection = engine().connect(target, read_only=read_only, config=_SETTINGS)
    return connection


def _spelled(path: Path) -> str:
    """A path as the engine takes it: one that is no text by its directory."""
    text = os.fspath(path)
    if text.isprintable():
        return text
    return f"/proc/self/fd/{_directory(path.parent)}/{path.name}"


@cache
def _directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _opened(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    duckdb = engine()

    try:
        return _connect(_spelled(path), read_only=read_only)
    except duckdb.Error as error:
        text = str(error)
        if "could not set lock" in text.lower():
            raise Held(_holder(text)) from error
        if "different configuration" in text.lower():
            raise Held("this program itself") from error
        has_no_room = not read_only and not is_damage(error)
        if isinstance(error, duckdb.IOException) and (has_no_room or not os.access(path.parent, os.W_OK)):
            raise unusable(path.parent, error) from error
        raise Outdated(text.splitlines()[0]) from error


def _holder(text: str) -> str:
    """Who holds the file: what the engine says in ``Conflicting lock is held in NAME (PID N)``."""
    _, found, rest = text.partition("held in ")
    if not found:
        return "another program"
    program, _, pid = rest.partition(" (PID ")
    number = pid.partition(")")[0]
    return f"{program.rpartition('/')[2]} (process {number})" if number.isdecimal() else program.rpartition("/")[2]


def _made(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.begin()
    for part in (statement("schema", "schema"), statement("views", "views"), *statements("event_views").values()):
        connection.execute(part)
    connection.execute("INSERT INTO meta VALUES ('stamp', $stamp)", {"stamp": STAMP})
    connection.commit()
    return connection


def _check(connection: duckdb.DuckDBPyConnection) -> None:
    duckdb = engine()

    try:
        found: list[Any] = connection.execute("SELECT value FROM meta WHERE key = 'stamp'").fetchall()
    except duckdb.Error as error:
        connection.close()
        raise Outdated(str(error).splitlines()[0]) from error
    if found != [(STAMP,)]:
        connection.close()
        raise Outdated(f"it was made as {found[0][0] if found else 'nothing known'}; this is {STAMP}")


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is not what was written, rather than that the disk is full."""
    text = str(error).lower()
    return not any(sign in text for sign in _NO_ROOM)


def unusable(root: Path, error: Exception) -> StoreError:
    """The index cannot be written."""
    why = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return StoreError(
        f"the index of {root} cannot be written: {why}",
        do="make the store writable for this user and see that the disk has room",
    )
