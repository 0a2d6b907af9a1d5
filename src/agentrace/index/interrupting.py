"""Calls of the engine that an interrupt ends: they run in a thread, since the engine seldom looks for signals."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")


def interruptible(connection: duckdb.DuckDBPyConnection, call: Callable[[], Result]) -> Result:
    """What ``call``, which uses the connection, returns or raises; an interrupt of this thread ends it at once."""
    with ThreadPoolExecutor(1, thread_name_prefix="agentrace-query") as pool:
        called = pool.submit(call)
        try:
            return called.result()
        except KeyboardInterrupt:
            connection.interrupt()
            wait([called])  # until then the connection is in use
            raise
