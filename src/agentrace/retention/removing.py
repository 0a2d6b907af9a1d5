"""Removing archived runs: from the archive, from its Parquet files, and from what the store knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from agentrace.errors import StoreError
from agentrace.journal.removal import empty_trash, in_trash, take_away
from agentrace.retention import columns
from agentrace.store import Store
from agentrace.store.away import archives, is_away, note
from agentrace.store.derived import Derived


def remove_archived(source: Store, run_ids: Sequence[bytes]) -> list[bytes]:
    """Remove those of these runs that are archived; which they were.

    Raises ``StoreError`` where their archive cannot be reached, and has then removed nothing of it.
    """
    wanted = set(run_ids)
    removed: list[bytes] = []
    for archive in archives(source.root):
        there = sorted(wanted & archive.runs.keys())
        if not there:
            continue
        if not archive.is_there:
            raise is_away(archive, there[0])
        path = Path(archive.path)
        try:
            columns.leave_out(path, there)
            taken = set(take_away(path, there))
            for _ in empty_trash(path, [entry for entry, run_id in in_trash(path).items() if run_id in taken]):
                pass
            note(source.root, replace(archive, runs={one: at for one, at in archive.runs.items() if one not in wanted}))
            Derived(source.root).forget(there)
        except OSError as error:
            raise StoreError(
                f"the archive {path} cannot be written: {error.strerror or error}",
                do="make it writable",
                slug="archive",
            ) from error
        removed += [run_id for run_id in there if run_id in taken]
    return removed
