"""What is left over in a store and belongs to no run: found, and removed if that is wanted.

Nothing here can remove a run: of a run's directory only files under a temporary name are touched, and the directory
itself only when nothing is in it. What a living process may still be writing is left for an hour.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from agentrace import events, journal
from agentrace.errors import StoreError
from agentrace.journal.lane_glancing import runs_in_lanes
from agentrace.journal.lanes import HIDDEN, Place, is_living, remove_lane
from agentrace.journal.removal import delete, empty_trash, in_trash
from agentrace.journal.segment import TEMPORARY
from agentrace.journal.store_format import FILE as FORMAT_FILE
from agentrace.journal.store_format import format_of
from agentrace.store.away import archives, where
from agentrace.store.derived import DIRECTORY, Derived, run_of
from agentrace.store.sizes import size_on_disk

STALE: Final = 3600.0
"""Seconds for which nobody has written to what counts as left by a process that is gone."""
INDEX: Final = "index.duckdb"
INDEX_LOCK: Final = "index.lock"
_INDEX_MAGIC: Final = (8, b"DUCK")
"""Where the name of its format stands in an index that is one."""
_ROOT_TEMPORARY: Final = re.compile(
    rf"\.{FORMAT_FILE}-.*\.tmp|\.agentrace-probe-.*|\.index\..*-\d+(\.wal)?|index\..*\.tmp"
)

_COPY: Final = re.compile(r"\.new-[0-9a-f]{32}-[0-9a-f]{8}")
"""A run that is being copied out of an archive; it gets its name when it is whole."""

Kind: TypeAlias = Literal["temporary", "trash", "derived", "lane", "directory", "index"]
KINDS: Final[dict[Kind, str]] = {
    "temporary": "half-written file",
    "trash": "run whose removal was cut short",
    "derived": "derived result of a run that is gone, or of another version",
    "lane": "lane that was never used",
    "directory": "empty directory of a run",
    "index": "damaged index",
}
"""What each kind is, in words for one of it."""

IsCurrent = Callable[[str, str], bool]
"""(name of a derived result, its stamp) -> whether it can still be used."""


class Leftover(Struct, frozen=True):
    """Something that may go."""

    kind: Kind
    path: Path
    size: int
    """Bytes on the disk."""


def leftovers(root: Path, is_current: IsCurrent = lambda name, stamp: True) -> Iterator[Leftover]:
    """All that may go, as it is found. Raises ``StoreError`` where the store is of a format that is not known here.

    What dead processes left in lanes is sealed first, as whenever a store is opened.
    """
    format_of(root)
    with suppress(OSError):
        journal.recover(root, tombstone=events.tombstone)
    yield from (Leftover("trash", path, size_on_disk(path)) for path in in_trash(root))
    yield from _at_the_top(root)
    yield from _of_runs(root)
    yield from _of_lanes(root)
    yield from _derived(root, is_current)


def collect(root: Path, found: Iterable[Leftover]) -> Iterator[Leftover]:
    """Remove what was found, and yield each that is gone. Raises ``StoreError``."""
    try:
        for one in found:
            if _REMOVE[one.kind](root, one.path):
                yield one
    except OSError as failure:
        raise StoreError(
            f"{failure.filename or root} cannot be removed: {failure.strerror or failure}",
            do="make the store writable for this user; gc again goes on",
        ) from failure


def _at_the_top(root: Path) -> Iterator[Leftover]:
    for name in _names(root):
        if _ROOT_TEMPORARY.fullmatch(name) and _is_stale(root / name):
            yield Leftover("temporary", root / name, size_on_disk(root / name))
    for path in (root / INDEX, root / f"{INDEX}.wal"):
        if _is_stale(path) and not _is_index(root / INDEX):
            yield Leftover("index", path, size_on_disk(path))


def _of_runs(root: Path) -> Iterator[Leftover]:
    """Segments that nobody finished, and directories in which there never was one."""
    segments = Place(root).segments
    busy = runs_in_lanes(root)
    for directory in _names(segments):
        run_id = run_of(directory)
        if _COPY.fullmatch(directory) and _is_stale(segments / directory):
            yield Leftover("temporary", segments / directory, size_on_disk(segments / directory))
        if run_id is None or run_id in busy:
            continue
        names = _names(segments / directory)
        left = [name for name in names if _is_temporary(name) and _is_stale(segments / directory / name)]
        for name in left:
            yield Leftover("temporary", segments / directory / name, size_on_disk(segments / directory / name))
        if len(left) == len(names) and (names or _is_stale(segments / directory)):
            yield Leftover("directory", segments / directory, 0)


def _of_lanes(root: Path) -> Iterator[Leftover]:
    """Lanes whose process died before it had named them."""
    lanes = Place(root).journal
    for name in _names(lanes):
        if name.startswith(HIDDEN) and _is_stale(lanes / name) and not is_living(lanes / name):
            yield Leftover("lane", lanes / name, size_on_disk(lanes / name))


def _derived(root: Path, is_current: IsCurrent) -> Iterator[Leftover]:
    directory = root / DIRECTORY
    there = {
        *_names(Place(root).segments),
        *(run_id.hex() for run_id in (*runs_in_lanes(root), *where(archives(root)))),
    }
    for name, stamp in Derived(root).stamps():
        run_id = run_of(name)
        is_gone = run_id is not None and run_id.hex() not in there
        if is_gone or stamp is None or not is_current(name, stamp):
            yield Leftover("derived", directory / name, size_on_disk(directory / name))
    for name in _names(directory):
        if name.startswith(".") and _is_stale(directory / name):
            yield Leftover("temporary", directory / name, size_on_disk(directory / name))


def _is_index(path: Path) -> bool:
    offset, magic = _INDEX_MAGIC
    with suppress(OSError), path.open("rb") as file:
        return file.read(offset + len(magic))[offset:] == magic
    return False


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY)


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > STALE
    except OSError:
        return False


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


# --- removing -----------------------------------------------------------------------------------------------


def _unlink(_: Path, path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


def _delete(_: Path, path: Path) -> bool:
    delete(path)
    return True


def _empty(root: Path, path: Path) -> bool:
    return list(empty_trash(root, [path])) == [path]


def _remove_lane(_: Path, path: Path) -> bool:
    if is_living(path):
        return False
    remove_lane(path)
    return not path.exists()


def _remove_directory(_: Path, path: Path) -> bool:
    with suppress(OSError):  # somebody writes a segment there by now
        path.rmdir()
        return True
    return False


def _remove_index(root: Path, path: Path) -> bool:
    """Unless somebody has it open."""
    try:
        fd = os.open(root / INDEX_LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _unlink(root, path)
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return _unlink(root, path)
    finally:
        os.close(fd)


_REMOVE: Final[dict[Kind, Callable[[Path, Path], bool]]] = {
    "temporary": _delete,
    "trash": _empty,
    "derived": _unlink,
    "lane": _remove_lane,
    "directory": _remove_directory,
    "index": _remove_index,
}
