"""Calls of the engine that an interrupt ends: they run in a thread, since the engine seldom looks for signals itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")


def interruptible(connection: duckdb.DuckDBPyConnection, call: Callable[[], Result]) -> Result:
    """What ``call``, which uses the connection, returns or raises; an interrupt of this thread ends it at once."""
    import duckdb

    done: Future[Result] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except (duckdb.Error, RuntimeError) as error:
            done.set_exception(error)

    threading.Thread(target=work, name="agentrace-query", daemon=True).start()
    try:
        return done.result()
    except KeyboardInterrupt:
        connection.interrupt()
        wait([done])  # until then the connection is in use
        raise
