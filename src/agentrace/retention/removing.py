"""Removing archived runs: from the archive, from its Parquet files, and from what the store knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentrace.errors import StoreError
from agentrace.retention import columns, users
from agentrace.retention.copying import take_out
from agentrace.retention.locking import alone
from agentrace.store import Store
from agentrace.store.away import Archive, archives, is_away, note
from agentrace.store.derived import Derived


class Removed(Struct, frozen=True):
    """What removing did."""

    removed: list[bytes]
    """Runs that the store does not know as archived any more."""
    kept: list[Path]
    """Archives that keep some of them, for another store or from another one."""


def remove_archived(source: Store, run_ids: Sequence[bytes]) -> Removed:
    """Remove those of these runs that are archived.

    What another store put there, or relies on, stays in the archive; the store itself does not know it any more.
    Raises ``StoreError`` where their archive cannot be reached, and has then removed nothing of it.
    """
    root, wanted = source.root, set(run_ids)
    if not any(wanted & archive.runs.keys() for archive in archives(root)):
        return Removed([], [])
    removed: set[bytes] = set()
    kept: list[Path] = []
    try:
        with alone(root):
            for archive in archives(root):
                there = sorted(wanted & archive.runs.keys())
                if there:
                    if not _remove(root, archive, there):
                        kept.append(Path(archive.path))
                    removed.update(there)
    except OSError as error:
        raise StoreError(
            f"archived runs cannot be removed: {error.strerror or error}",
            do="make the store and its archive writable",
            slug="archive",
        ) from error
    return Removed(sorted(removed), kept)


def _remove(root: Path, archive: Archive, run_ids: Sequence[bytes]) -> bool:
    """Whether all of them could go out of the archive."""
    path = Path(archive.path)
    if not archive.is_there:
        raise is_away(archive, run_ids[0])
    with alone(path):
        free = users.takeable(root, path, run_ids)
        columns.leave_out(path, free)
        take_out(path, free)
        note(root, replace(archive, runs={one: at for one, at in archive.runs.items() if one not in run_ids}))
        users.release(root, path, run_ids)
        Derived(root).forget(run_ids)
        return len(free) == len(run_ids)
