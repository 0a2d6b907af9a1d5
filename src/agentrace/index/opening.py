"""The index of a store, opened for one command or request: brought up to date first, or said to be stale.

::

    is anything new?  ── no ──►  read it, together with other readers
          │ yes
          ▼
    wait in line, alone  ──►  index what is new  ──►  read it

A trace file is indexed into memory. Where a program that is not agentrace holds the index, a copy of it is read, and
the date of that copy is told. So it is where this thread itself has the index open, and something is new.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from agentrace.errors import StoreError
from agentrace.index import database, erasing, freshness
from agentrace.index.database import Held, Outdated, Stale
from agentrace.index.engine import engine
from agentrace.index.indexing import Indexed, Indexer, Progress
from agentrace.index.leases import Occupied, Waiting, lease, silent
from agentrace.query import RunsSource
from agentrace.store import Store

if TYPE_CHECKING:
    import duckdb

_ATTEMPTS: Final = 5


def unseen(_: int, __: int) -> None:
    """Progress that nobody looks at."""


class Watching(Struct, frozen=True):
    """How an index is brought up to date, and what is told meanwhile."""

    progress: Progress = unseen
    waiting: Waiting = silent
    processes: int = 1
    """How many other processes may help where much is new; 1 for none."""


class Session(Struct):
    """An index that is open for reading."""

    connection: duckdb.DuckDBPyConnection
    stale: Stale | None = None
    """Why what is read is not up to date, if it is not."""
    indexed: Indexed | None = None
    """What was new, if it was this call that indexed it."""


@contextmanager
def opened(source: RunsSource, watching: Watching = Watching()) -> Generator[Session]:  # noqa: B008  (frozen)
    """The index of a store or of a trace file, to be read: all that was finished before this call is in it.

    While a thread has it open it may open it again, and then reads what was there the first time if something is new.
    Raises ``StoreError`` where there can be no index; slug ``index-held`` where this thread is writing it.
    """
    with ExitStack() as stack:
        if isinstance(source, Store) and _has_place(source):
            try:
                session = _session(stack, source, watching)
            except Occupied as occupied:
                raise _is_held(source.root, str(occupied)) from occupied
            yield session
        else:
            yield _in_memory(stack, source, watching)


@contextmanager
def opened_for(source: Store, run_ids: Collection[bytes], watching: Watching) -> Generator[Session]:
    """As ``opened``; where that would be stale, or cannot be, an index in memory of these runs as they are."""
    with ExitStack() as stack:
        session: Session | None = None
        with suppress(StoreError):  # there may be no room for it
            session = stack.enter_context(opened(source, watching))
        if session is None or session.stale is not None:
            stack.close()
            session = _in_memory(stack, Store(source.root), watching, run_ids)
        yield session


def rebuild(source: Store, watching: Watching = Watching()) -> Indexed:  # noqa: B008  (frozen)
    """Make the index of a store again from its records. Raises ``StoreError``; slug ``index-held`` where it is open."""
    try:
        with lease(source.root, alone=True, waiting=watching.waiting):
            with suppress(Outdated):
                database.writable(source.root).close()  # raises if somebody else holds what would be removed
            database.remove(source.root)
            freshness.forget(source.root)
            return _bring_up_to_date(source.root, watching)
    except (Held, Occupied) as held:
        raise _is_held(source.root, str(held)) from held


def drop(source: Store) -> None:
    """Remove the index, unless somebody holds it; the next one that needs it makes it again. Raises ``StoreError``."""
    with suppress(Held, Occupied), lease(source.root, alone=True):
        with suppress(Outdated, StoreError):
            database.writable(source.root).close()
        database.remove(source.root)
        freshness.forget(source.root)


def erase(source: Store, watching: Watching = Watching()) -> str:  # noqa: B008  (frozen)
    """Leave nothing in the index of runs that are gone since ``erasing.intend``; who holds it, if that has to wait.

    Raises OSError where the store cannot be written.
    """
    root = source.root
    try:
        with lease(root, alone=True, waiting=watching.waiting):
            if (root / database.FILE).exists():
                try:
                    _bring_up_to_date(root, watching)
                except (StoreError, OSError):  # such as a full disk: without an index, nothing is left either
                    database.remove(root)
                    freshness.forget(root)
            erasing.end(root, (), given_up=True)
    except (Held, Occupied) as held:
        return str(held)
    return ""


def _is_held(root: Path, holder: str) -> StoreError:
    return StoreError(
        f"the index of {root} is held by {holder}",
        do="close that program, or what has it open there, and try again",
        slug="index-held",
    )


def _has_place(source: Store) -> bool:
    """Whether a store can have an index beside it. In its path the engine takes a question mark for something else."""
    if "?" in os.fspath(source.root):
        return False
    return source.root.is_dir() and (os.access(source.root, os.W_OK) or (source.root / database.FILE).exists())


def _session(stack: ExitStack, source: Store, watching: Watching) -> Session:
    root, before = source.root, freshness.last_pass(source.root)
    # Who has listed its runs before may lack those that have come since.
    listed = _listed(Store(root) if source.is_listed else source)
    wanted = listed.as_pass()
    indexed: Indexed | None = None
    for _ in range(_ATTEMPTS):
        if not freshness.is_covered(root, wanted):
            if not os.access(root, os.W_OK):
                return _in_memory(stack, source, watching)
            try:
                indexed = _index(listed, before, wanted, watching)
            except Held as held:
                return _stale(stack, source, str(held), watching)
            except Occupied as occupied:
                stack.enter_context(lease(root, alone=False))  # unless it is open for writing
                return _stale(stack, source, str(occupied), watching)
        holding = stack.enter_context(ExitStack())
        holding.enter_context(lease(root, alone=False, waiting=watching.waiting))
        try:
            connection = database.readable(root / database.FILE)
        except Held as held:
            return _stale(stack, source, str(held), watching)
        except Outdated:
            holding.close()
            freshness.forget(root)  # the stamp is of an index that is gone
            continue
        holding.callback(connection.close)
        return Session(connection, indexed=indexed)
    raise StoreError(
        f"the index of {root} is removed or replaced again and again", do="see what else works on this directory"
    )


class _Listed(Struct, frozen=True):
    """A store whose runs are listed, and when that began."""

    began: int
    store: Store

    def as_pass(self) -> freshness.Pass:
        """The pass that this list is the beginning of."""
        return freshness.this_pass(self.began, self.store.root, self.store.entries, self.store.reachable())

    def is_due(self) -> bool:
        """Whether runs were removed that the file of the index may hold something of."""
        return erasing.is_due(self.store.root, self.run_ids())

    def run_ids(self) -> set[bytes]:
        """The runs that are there."""
        return {entry.run_id for entry in self.store.entries}


def _listed(store: Store) -> _Listed:
    store.go_on_from(freshness.came_to(store.root))
    return _Listed(time.monotonic_ns(), store)


def _index(
    listed: _Listed, before: freshness.Pass | None, wanted: freshness.Pass, watching: Watching
) -> Indexed | None:
    """Index what is new, unless somebody else just did. ``before`` is the last pass before the list.

    Raises ``Held``.
    """
    root = listed.store.root
    with lease(root, alone=True, waiting=watching.waiting):
        if freshness.is_covered(root, wanted):
            return None
        # A list that is older than the last pass may lack runs that are indexed.
        return _bring_up_to_date(root, watching, listed if freshness.last_pass(root) == before else None)


def _bring_up_to_date(root: Path, watching: Watching, listed: _Listed | None = None) -> Indexed:
    """Index what is new; the caller holds the index alone. A damaged index is made again. Raises ``Held``."""
    duckdb = engine()

    for attempt in range(2):
        listed = listed or _listed(Store(root))
        source, now = listed.store, listed.as_pass()
        connection = _writable(root)
        try:
            stamps = freshness.segment_stamps(root)
            indexer = Indexer(connection, source, stamps, watching.progress, watching.processes, source.archived())
            done = indexer.work()
            indexer.tell_archives()
        except StoreError:
            raise
        except (OSError, duckdb.Error) as error:
            connection.close()
            if attempt or isinstance(error, OSError) or not database.is_damage(error):
                raise database.unusable(root, error) from error
            database.remove(root)
            continue
        finally:
            connection.close()  # whatever keeps the error must not keep the file
        if not attempt and listed.is_due():
            try:
                erasing.write_again(root)
            except (OSError, duckdb.Error):  # without room for both, the old one goes first
                database.remove(root)
                continue
        try:
            erasing.end(root, listed.run_ids())
            freshness.note(root, now, indexer.facts(), source.came_to())
        except OSError as error:
            raise database.unusable(root, error) from error
        return done
    raise AssertionError("the second attempt returns or raises")


def _writable(root: Path) -> duckdb.DuckDBPyConnection:
    """The index as it was left, or a new one where it is none of ours, or damaged. Raises ``Held``."""
    last = freshness.last_pass(root)
    as_left = last is not None and last.identity == database.identity(root)
    try:
        connection = database.writable(root)
        if not as_left:
            database.check_throughout(connection)  # somebody else has written it, or died while writing it
    except Outdated:
        database.remove(root)
        try:
            connection = database.writable(root)
        except Outdated as error:  # one that was made in this moment is no other version's
            raise database.unusable(root, error) from error
    return connection


def _in_memory(
    stack: ExitStack, source: RunsSource, watching: Watching, only: Collection[bytes] | None = None
) -> Session:
    connection = stack.enter_context(closing(database.in_memory()))
    done = Indexer(connection, source, {}, watching.progress).work(only)
    return Session(connection, indexed=done)


def _stale(stack: ExitStack, source: Store, holder: str, watching: Watching) -> Session:
    """What was indexed before another program came to hold the file; all there is, in memory, if that is no index."""
    stale = Stale(database.written_ns(source.root), f"{holder} holds the index open")
    try:
        connection = database.readable(source.root / database.FILE)
        stack.callback(connection.close)
    except Held:
        try:
            connection = stack.enter_context(database.copied(source.root))
        except Outdated:
            return _in_memory(stack, source, watching)
    except Outdated:
        return _in_memory(stack, source, watching)
    return Session(connection, stale)
