"""What an index says, whole and in one order, so that two of them can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import duckdb

from agentrace.index import Session, opened
from agentrace.index.database import in_memory
from agentrace.index.indexing import Indexer
from agentrace.index.opening import unseen
from agentrace.store import Store

TABLES: Final = {
    "runs": "run_id",
    "steps": "run_id, step_id",
    "events": "run_id, seq",
    "texts": "run_id, step_id, part, text",
    "messages": "run_id, step_id, direction, position",
    "daily": "ALL",
}
"""The views that are compared, and what brings their rows into one order."""


def said(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """All rows of all views, without the numbers that the index gives to runs."""
    return {
        view: connection.execute(
            f"SELECT * {'' if view == 'daily' else 'EXCLUDE (run_key)'} FROM {view} ORDER BY {order}"
        ).fetchall()
        for view, order in TABLES.items()
    }


def of_store(root: Path) -> dict[str, list[Any]]:
    """What the index beside a store says, brought up to date."""
    with opened(Store(root)) as session:
        return said(session.connection)


def made_anew(root: Path) -> dict[str, list[Any]]:
    """What an index says that is made of the same store, in memory and at once."""
    connection = in_memory()
    Indexer(connection, Store(root), {}, unseen).work()
    return said(connection)


def one(session: Session, query: str) -> Any:
    """The one value that a query gives."""
    (row,) = session.connection.execute(query).fetchall()
    (value,) = row
    return value
