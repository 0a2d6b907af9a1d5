"""Removing runs for good: from the store, from their archives with its Parquet files, and from what is derived of both.

Killed at any moment it leaves each run whole, or out of sight; what is out of sight then is removed by whoever opens
the store next, by the next pass of the index, or by removing the run again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentrace import events, journal
from agentrace.errors import StoreError
from agentrace.index import Watching, drop, erase, intend
from agentrace.retention import columns, users
from agentrace.retention.copying import sweep, take_out
from agentrace.retention.locking import alone
from agentrace.store import Store
from agentrace.store.away import Archive, archives, is_away, note
from agentrace.store.derived import Derived
from agentrace.store.removing import Removal, Watch, held, remove, unwatched


class Removed(Struct, frozen=True):
    """What removing did."""

    removed: list[bytes]
    """Runs that the store does not know any more."""
    archives: list[Path]
    """Archives that keep some of them, for another store or from another one."""
    kept: dict[bytes, bool] = {}
    """Runs that were left: each of a group in which one is in the lane of a process; whether that process lives."""
    damaged: list[Path] = []
    """Damaged lane files of which a part was blanked, and the rest left because of other runs in them."""
    index_held: str = ""
    """Who holds the index: what it tells of these runs goes when it is next brought up to date."""


def remove_runs(
    source: Store,
    groups: Sequence[Sequence[bytes]],
    watch: Watch = unwatched,
    watching: Watching = Watching(),  # noqa: B008
) -> Removed:
    """Remove the runs of each group, in this order, or none of the group.

    What another store put into an archive, or relies on, stays there; the store itself does not know it any more.
    Raises ``StoreError`` where an archive cannot be reached, and has then removed nothing.
    """
    root = source.root
    try:
        with alone(root):
            journal.recover(root, tombstone=events.tombstone)
            busy = held(root)
            free = {run_id for group in groups if not busy.keys() & group for run_id in group}
            _see_that_they_are_there(root, free)
            _intend(source, free)
            archived = _remove_archived(root, free)
            done = remove(root, groups, watch)
            sweep(root, free)
            holder = erase(source, watching)  # also where all were left: they are not to be removed any more
    except OSError as error:
        raise _failed(error) from error
    return _told(archived, done, holder)


def remove_archived(source: Store, run_ids: Sequence[bytes]) -> Removed:
    """Remove those of these runs that are archived, from their archives. Raises as ``remove_runs``."""
    root, wanted = source.root, set(run_ids)
    try:
        with alone(root):
            _see_that_they_are_there(root, wanted)
            return _remove_archived(root, wanted)
    except OSError as error:
        raise _failed(error) from error


def _see_that_they_are_there(root: Path, run_ids: Collection[bytes]) -> None:
    """Raises ``StoreError`` where an archive that has one of these runs cannot be reached."""
    for archive in archives(root):
        there = sorted(archive.runs.keys() & run_ids)
        if there and not archive.is_there:
            raise is_away(archive, there[0])


def _remove_archived(root: Path, run_ids: Collection[bytes]) -> Removed:
    removed: set[bytes] = set()
    kept: list[Path] = []
    for archive in archives(root):
        there = sorted(archive.runs.keys() & run_ids)
        if there:
            if not _remove(root, archive, there):
                kept.append(Path(archive.path))
            removed.update(there)
    return Removed(sorted(removed), kept)


def _remove(root: Path, archive: Archive, run_ids: Sequence[bytes]) -> bool:
    """Whether all of them could go out of the archive."""
    path = Path(archive.path)
    if not archive.is_there:
        raise is_away(archive, run_ids[0])
    with alone(path):
        free = users.takeable(root, path, run_ids)
        columns.leave_out(path, free, for_good=True)
        _intend(Store(path), free)  # an archive is of the shape of a store, and may have been looked at as one
        take_out(path, free)
        sweep(path, free)
        Derived(path).forget(free)
        erase(Store(path))
        note(root, replace(archive, runs={one: at for one, at in archive.runs.items() if one not in run_ids}))
        users.release(root, path, run_ids)
        Derived(root).forget(run_ids)
        return len(free) == len(run_ids)


def _intend(source: Store, run_ids: Collection[bytes]) -> None:
    """See that nothing of these runs stays in the index. A full disk is no reason to keep them: then the index goes."""
    try:
        intend(source.root, run_ids)
    except OSError:
        drop(source)


def _told(archived: Removed, done: Removal, holder: str) -> Removed:
    removed = list(dict.fromkeys([*done.removed, *archived.removed]))
    return Removed(removed, archived.archives, done.kept, done.damaged, holder)


def _failed(error: OSError) -> StoreError:
    return StoreError(
        f"the runs cannot be removed: {error.strerror or error}",
        do="make the store and its archives writable; trying again goes on",
    )
