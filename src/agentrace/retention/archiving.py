"""Moving runs into an archive. Whatever happens in between, each run is in the store or in the archive, or in both.

1. the segments are copied, and compared with the copy
2. their rows are written as Parquet
3. the store notes that the archive has them: from here on they count as archived
4. the store's own segments are removed
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agentrace import events, journal
from agentrace.errors import StoreError
from agentrace.index import Watching
from agentrace.journal.disk import write_new
from agentrace.journal.lane_glancing import runs_in_lanes
from agentrace.journal.lanes import Place
from agentrace.query import Runs
from agentrace.retention import columns, users
from agentrace.retention.copying import copy_run, go_on, see_both, take_out
from agentrace.retention.locking import alone, alone_if_writable
from agentrace.store import Store
from agentrace.store.away import Archive, archives, note, where
from agentrace.store.opening import fingerprint, sealed_ids

NAME: Final = "archive-name"
_HEX: Final = 32
Watch = Callable[[float], object]
"""Told how many more runs are done."""


class Archived(Struct, frozen=True):
    """What archiving did."""

    path: Path
    moved: list[bytes]
    size: int
    """Bytes of the segments that were moved."""
    left: list[bytes]
    """Runs that were left, because a process still has something of them."""


def archive(
    source: Store,
    target: Path,
    groups: Sequence[Sequence[bytes]],
    watch: Watch,
    watching: Watching = Watching(),  # noqa: B008
) -> Archived:
    """Move runs into the archive at ``target``, which is made if it is not there: all of a group, or none of it.

    Raises ``StoreError`` where one of the two cannot be written or the copy is not what was copied.
    """
    root, target = source.root, target.absolute()
    _refuse_inside(root, target)
    _refuse_no_text(target)
    try:
        Place(target).prepare()
        with alone(root), alone(target):
            _refuse_same(root, target)
            return _move(source, target, groups, watch, watching)
    except OSError as error:
        raise _failed(error) from error


def _move(source: Store, target: Path, groups: Sequence[Sequence[bytes]], watch: Watch, watching: Watching) -> Archived:
    root = source.root
    journal.recover(root, tombstone=events.tombstone)
    busy = runs_in_lanes(root)
    free = [run_id for group in groups if not busy.keys() & group for run_id in group]
    left = [run_id for group in groups if busy.keys() & group for run_id in group]
    archived = where(archives(root))  # what the store said when it was opened may be over
    known = _known(root, target)
    late = {
        run_id for run_id in free if run_id in archived and archived[run_id].name != known.name and _has(root, run_id)
    }
    left += [run_id for run_id in free if run_id in late]  # they go on in the archive that has their beginning
    moving = [run_id for run_id in free if run_id not in archived or (_has(root, run_id) and run_id not in late)]
    if not moving:
        return Archived(target, [], 0, left)
    ours = users.put_by_users(target)
    strange = [run_id for run_id in moving if run_id not in ours and _has(target, run_id)]
    users.rely(root, target, [run_id for run_id in moving if run_id not in strange], strange)
    columns.leave_out(target, [run_id for run_id in moving if _has(target, run_id)])  # no row may stand there twice
    size = 0
    for run_id in moving:
        if run_id in archived:
            go_on(root, target, run_id)
        size += copy_run(root, target, run_id) if _has(root, run_id) else 0
        watch(1)
    columns.write(source, target, moving, f"{time.time_ns()}-{os.urandom(4).hex()}", watching)
    _summarise(source, moving)
    stamps = {run_id: fingerprint(target, run_id) for run_id in moving}
    note(root, replace(known, path=os.fspath(target), runs=known.runs | stamps))
    here = [run_id for run_id in moving if _has(root, run_id)]
    see_both(root, target, here)
    take_out(root, here)  # what was derived from them stays
    return Archived(target, moving, size, left)


def attach(source: Store, target: Path) -> Archive:
    """Let a store know an archive: one that was moved, or another one's. Raises ``StoreError``."""
    root, target = source.root, target.absolute()
    if not (target / NAME).is_file():
        raise StoreError(f"{target} is no archive", do="`agentrace archive --to DIR` makes one", slug="archive")
    _refuse_inside(root, target)
    _refuse_no_text(target)
    try:
        Place(root).prepare()
        with alone(root), alone_if_writable(target) as writable:
            _refuse_same(root, target)
            known = _known(root, target)
            there = sealed_ids(target)
            ours = {run_id: known.runs.get(run_id) or fingerprint(target, run_id) for run_id in there}
            if writable:
                users.rely(root, target, (), there)
            told = replace(known, path=os.fspath(target), runs=ours)
            note(root, told)
    except OSError as error:
        raise _failed(error) from error
    return told


def default_archive(root: Path) -> Path | None:
    """The archive that a store used, if it is one only. Raises ``StoreError``."""
    known = archives(root)
    return Path(known[0].path) if len(known) == 1 else None


def _refuse_inside(root: Path, target: Path) -> None:
    if target.resolve().is_relative_to(root.resolve()):
        raise StoreError(
            f"the archive {target} would be inside the store {root}", do="name a directory elsewhere", slug="archive"
        )


def _refuse_no_text(target: Path) -> None:
    """A path that is no text stands in no table."""
    try:
        os.fspath(target).encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"the path of the archive {target!a} is no text", do="name another one", slug="archive"
        ) from error


def _refuse_same(root: Path, target: Path) -> None:
    """A link or a mount may lead back to the store: its runs would count as copied to where they are."""
    if os.path.samefile(Place(root).segments, Place(target).segments):
        raise StoreError(
            f"the archive {target} is the store {root} under another name", do="name another directory", slug="archive"
        )


def _has(root: Path, run_id: bytes) -> bool:
    return (Place(root).segments / run_id.hex()).exists()


def _known(root: Path, target: Path) -> Archive:
    """What a store knows of the archive at a path, which gets a name if it has none."""
    path = target / NAME
    if not path.exists():
        write_new(path, f"{os.urandom(_HEX // 2).hex()}\n".encode())
    name = path.read_text("ascii", "replace").strip()
    if len(name) != _HEX or not all(digit in "0123456789abcdef" for digit in name):
        raise StoreError(f"{path} names no archive", do="remove that file, if the directory is one", slug="archive")
    found = next((one for one in archives(root) if one.name == name), None)
    return found or Archive(name, os.fspath(target), {})


def _summarise(source: Store, run_ids: Sequence[bytes]) -> None:
    """Keep what lists tell of these runs, for the time when the archive cannot be reached."""
    runs = Runs(source)
    for run_id in run_ids:
        runs.summary(run_id)


def _failed(error: OSError) -> StoreError:
    return StoreError(
        f"the runs could not be moved: {error.strerror or error}",
        do="make room, or make both directories writable; nothing is lost, and trying again goes on",
        slug="archive",
    )
