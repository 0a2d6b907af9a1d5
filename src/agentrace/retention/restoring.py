"""Moving archived runs back into their store: copied and compared first, and then taken out of the archive."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentrace.errors import StoreError
from agentrace.journal.lanes import Place
from agentrace.journal.removal import empty_trash, in_trash, take_away
from agentrace.retention import columns
from agentrace.retention.archiving import Watch
from agentrace.retention.copying import copy_run
from agentrace.store import Store
from agentrace.store.away import Archive, archives, is_away, note, where


class Restored(Struct, frozen=True):
    """What restoring did."""

    restored: list[bytes]
    here: list[bytes]
    """Runs that were not archived."""
    kept: list[Path]
    """Archives that may only be read: they have the runs still, and the store does not ask them any more."""


def restore(source: Store, run_ids: Sequence[bytes], watch: Watch) -> Restored:
    """Move runs back out of their archives. Raises ``StoreError`` where an archive cannot be reached."""
    root = source.root
    known = where(archives(root))
    here = [run_id for run_id in run_ids if source.archive_of(run_id) is None]
    of: dict[str, list[bytes]] = defaultdict(list)
    for run_id in run_ids:
        if run_id not in here:
            of[known[run_id].name].append(run_id)
    kept: list[Path] = []
    restored: list[bytes] = []
    try:
        Place(root).prepare()
        for archive in [one for one in archives(root) if one.name in of]:
            moving = of[archive.name]
            _copy_back(root, archive, moving, watch)
            note(root, replace(archive, runs={one: at for one, at in archive.runs.items() if one not in moving}))
            restored += moving
            if not _taken_out(Path(archive.path), moving):
                kept.append(Path(archive.path))
    except OSError as error:
        raise StoreError(
            f"the runs could not be brought back: {error.strerror or error}",
            do="make room in the store; nothing is lost, and trying again goes on",
            slug="archive",
        ) from error
    return Restored(restored, here, kept)


def _copy_back(root: Path, archive: Archive, run_ids: Sequence[bytes], watch: Watch) -> None:
    if not archive.is_there:
        raise is_away(archive, run_ids[0])
    for run_id in run_ids:
        copy_run(Path(archive.path), root, run_id)
        watch(1)


def _taken_out(path: Path, run_ids: Sequence[bytes]) -> bool:
    """Whether the archive could be written."""
    if not os.access(path / "segments", os.W_OK):
        return False
    columns.leave_out(path, run_ids)
    taken = set(take_away(path, run_ids))
    for _ in empty_trash(path, [entry for entry, run_id in in_trash(path).items() if run_id in taken]):
        pass
    return True
