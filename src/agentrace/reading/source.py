"""What is read: a store, looked at anew by every question, or a trace file, whose index is made once."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from agentrace.archive import TraceFile
from agentrace.errors import AgentraceError, AgentraceWarning
from agentrace.index import opened
from agentrace.index.answers import Query, checked
from agentrace.index.statements import statement
from agentrace.query import Runs
from agentrace.reading.content import RunContent
from agentrace.reading.parts import moment

if TYPE_CHECKING:
    import duckdb

_CONTENTS: Final = 16
"""Runs of a trace file that are kept in mind."""
_in_line = threading.RLock()
"""In one process, connections to one file share what is set for one of them: so questions take turns."""
_sources: Final[WeakSet[Source]] = WeakSet()


class Source:
    """What one ``Recordings`` reads; for any number of threads, which take turns."""

    def __init__(self, place: Path, file: TraceFile | None) -> None:
        self.place = place
        self.lock = threading.RLock()
        _sources.add(self)
        self._file = None if file is None else Runs(file)
        self._contents: dict[bytes, RunContent] = {}
        self._open = ExitStack()
        self._of_file: duckdb.DuckDBPyConnection | None = None
        self.closed = False

    @property
    def is_file(self) -> bool:
        """Whether it is a trace file."""
        return self._file is not None

    @property
    def notices(self) -> list[str]:
        """What is the matter with all of it."""
        with self.lock:
            return list(self.runs().store.notices)

    def runs(self) -> Runs:
        """The runs as they are now. Raises ``AgentraceError`` once it is closed."""
        if self.closed:
            raise AgentraceError(
                f"these recordings were closed: {self.place}",
                do="ask while they are open, or open them again with agentrace.open()",
                slug="open-closed",
            )
        return Runs(self.place) if self._file is None else self._file

    def content(self, runs: Runs, run_id: bytes) -> RunContent:
        """One run. That of a file, which does not change, is kept for the next who asks."""
        if not self.is_file:
            return RunContent(runs, run_id, self.lock)
        with self.lock:
            found = self._contents.pop(run_id, None) or RunContent(runs, run_id, self.lock)
            self._contents[run_id] = found
            if len(self._contents) > _CONTENTS:
                del self._contents[next(iter(self._contents))]
            return found

    @contextmanager
    def index(self) -> Generator[duckdb.DuckDBPyConnection]:
        """The index of all that was finished before; nothing else is in its reach. Raises ``StoreError``."""
        with _in_line:
            if self._file is not None:
                with self.lock:
                    self.runs()
                    connection = self._of_file or self._index_of_file(self._file)
                cursor = connection.cursor()
                try:
                    yield cursor
                finally:
                    cursor.close()
                return
            with ExitStack() as stack:
                session = stack.enter_context(opened(self.runs().store))
                if session.stale is not None:
                    as_of = moment(session.stale.as_of_ns)
                    warnings.warn(
                        f"what is read is of {as_of:%Y-%m-%d %H:%M:%S} UTC: {session.stale.because}",
                        AgentraceWarning,
                        stacklevel=6,
                    )
                yield _closed_off(stack, session.connection)

    def names(self, connection: duckdb.DuckDBPyConnection, of: str) -> list[str]:
        """What one of the short statements of ``recordings.sql`` gives."""
        found: list[Any] = connection.execute(statement(of, "recordings")).fetchall()
        return [name for (name,) in found]

    def check(self, query: Query) -> Query:
        """A query of somebody else. Raises ``ConfigError``."""
        with self.index() as connection:
            return checked(connection, query)

    def close(self) -> None:
        """Read no more. What was read stays."""
        with _in_line, self.lock:
            self.closed = True
            self._of_file = None
            self._contents.clear()
            self._open.close()

    def _index_of_file(self, file: Runs) -> duckdb.DuckDBPyConnection:
        session = self._open.enter_context(opened(file.store))
        self._of_file = _closed_off(self._open, session.connection)
        return self._of_file


def _closed_off(stack: ExitStack, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="agentrace-query-"))
    connection.execute(statement("spill", "recordings"), {"directory": directory})
    connection.execute(statement("close_off", "recordings"))
    return connection


def _in_child() -> None:
    """The thread that was asking does not go on here, and would never let the next one ask."""
    global _in_line
    _in_line = threading.RLock()
    for source in list(_sources):
        source.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
