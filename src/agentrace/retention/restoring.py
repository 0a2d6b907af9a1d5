"""Moving archived runs back into their store: copied and compared first, and then taken out of the archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentrace.errors import StoreError
from agentrace.journal.lanes import Place
from agentrace.retention import columns, users
from agentrace.retention.archiving import Watch
from agentrace.retention.copying import copy_run, go_on, see_both, take_out
from agentrace.retention.locking import alone, alone_if_writable
from agentrace.store import Store
from agentrace.store.away import Archive, archives, is_away, note, where


class Restored(Struct, frozen=True):
    """What restoring did."""

    restored: list[bytes]
    here: list[bytes]
    """Runs that were not archived."""
    kept: list[Path]
    """Archives that may only be read: they have the runs still, and the store does not ask them any more."""
    shared: list[Path] = []
    """Archives that keep some of them, because another store put them there or relies on them."""


def restore(source: Store, run_ids: Sequence[bytes], watch: Watch) -> Restored:
    """Move runs back out of their archives. Raises ``StoreError`` where an archive cannot be reached."""
    root = source.root
    kept: list[Path] = []
    shared: list[Path] = []
    restored: list[bytes] = []
    try:
        Place(root).prepare()
        with alone(root):
            known = archives(root)  # what the store said when it was opened may be over
            of = _by_archive(root, known, run_ids)
            for archive in [one for one in known if one.name in of]:
                free = _moved_back(root, archive, of[archive.name], watch)
                if free is None:
                    kept.append(Path(archive.path))
                elif len(free) < len(of[archive.name]):
                    shared.append(Path(archive.path))
                restored += of[archive.name]
    except OSError as error:
        raise StoreError(
            f"the runs could not be brought back: {error.strerror or error}",
            do="make room in the store; nothing is lost, and trying again goes on",
            slug="archive",
        ) from error
    return Restored(restored, [run_id for run_id in run_ids if run_id not in set(restored)], kept, shared)


def _by_archive(root: Path, known: list[Archive], run_ids: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Those of these runs that are archived, by the name of the archive.

    A move that was killed leaves a run in both places: that goes on, if the archive can be reached.
    """
    archive_of = where(known)
    of: dict[str, list[bytes]] = defaultdict(list)
    for run_id in run_ids:
        archive = archive_of.get(run_id)
        if archive and (archive.is_there or not (Place(root).segments / run_id.hex()).exists()):
            of[archive.name].append(run_id)
    return of


def _moved_back(root: Path, archive: Archive, run_ids: Sequence[bytes], watch: Watch) -> list[bytes] | None:
    """The runs that went out of the archive; None where it may only be read."""
    path = Path(archive.path)
    if not archive.is_there:
        raise is_away(archive, run_ids[0])
    with alone_if_writable(path) as writable:
        for run_id in run_ids:
            if writable:
                go_on(root, path, run_id)
            copy_run(path, root, run_id)
            watch(1)
        free = users.takeable(root, path, run_ids) if writable else []
        see_both(path, root, run_ids)
        note(root, replace(archive, runs={one: at for one, at in archive.runs.items() if one not in run_ids}))
        if writable:
            columns.leave_out(path, free)
            see_both(path, root, free)
            take_out(path, free)
            users.release(root, path, run_ids)
    return free if writable else None
