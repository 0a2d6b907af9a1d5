"""Rows of the index as Parquet files, compressed with zstd, for tools that read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentrace.errors import CorruptRecord, StoreError
from agentrace.ids import format_run_id
from agentrace.index import database
from agentrace.index.engine import engine

if TYPE_CHECKING:
    from agentrace.index.opening import Session


def copy_out(session: Session, view: str, run_ids: Sequence[bytes], path: Path) -> None:
    """Write the rows that a view has of these runs. Raises ``StoreError``."""
    _copy(
        session.connection,
        f"SELECT * EXCLUDE (run_key) FROM {view} WHERE run_id IN (SELECT unnest($runs::UUID[]))",
        {"runs": [format_run_id(run_id) for run_id in run_ids]},
        path,
    )


def rewrite_without(path: Path, run_ids: Sequence[bytes], new: Path) -> int | None:
    """Write a file again without the rows of these runs; how many rows are left, ``None`` if it had none of them.

    Raises ``CorruptRecord`` where the file cannot be read, and ``StoreError`` where the new one cannot be written.
    """
    with database.in_memory() as connection:
        known = {"file": str(path), "runs": [format_run_id(run_id) for run_id in run_ids]}
        of_them = "run_id IN (SELECT unnest($runs::UUID[]))"
        had, rows = _counted(
            connection, f"SELECT count(*) FILTER ({of_them}), count(*) FROM read_parquet($file)", known
        )
        if not had:
            return None
        try:
            _copy(connection, f"SELECT * FROM read_parquet($file) WHERE NOT {of_them}", known, new)
        except StoreError:
            # One statement reads and writes: which of the two failed is seen by reading alone.
            _counted(connection, "SELECT count(COLUMNS(*)) FROM read_parquet($file)", {"file": str(path)})
            raise
        return rows - had


def _counted(connection: Any, query: str, parameters: dict[str, Any]) -> tuple[int, ...]:
    """The one row of a query of a Parquet file. Raises ``CorruptRecord`` where the file cannot be read."""
    duckdb = engine()

    try:
        found: tuple[int, ...] = connection.execute(query, parameters).fetchone()
    except duckdb.Error as error:
        raise CorruptRecord(
            f"{parameters['file']} cannot be read: {str(error).splitlines()[0]}", do="move that file away"
        ) from error
    return found


def _copy(connection: Any, query: str, parameters: dict[str, Any], path: Path) -> None:
    duckdb = engine()

    target = str(path).replace("'", "''")
    try:
        connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", parameters)
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be written: {str(error).splitlines()[0]}", do="make room for it") from error
