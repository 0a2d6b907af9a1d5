"""The lane on disk: one directory per recording process, held by a lock for as long as that process lives.

    <root>/journal/<pid>-<start in ns, hex>-<random>/
        lock          held with flock LOCK_EX by its process
        NNNNNN.lane   frames (frames.py), in the order of the numbers

The directory is made under a hidden name, locked, and then renamed, so that nobody sees it before it is locked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from mmap import mmap
from pathlib import Path
from typing import Final, NamedTuple

from agentrace.journal.disk import open_private, read_fully, same_file, sync_directory, write_new
from agentrace.journal.frames import HEADER, HEADER_SIZE, MAGIC, Bytes
from agentrace.journal.store_format import settle

LANE_SUFFIX: Final = ".lane"
LOCK: Final = "lock"
HIDDEN: Final = ".new-"
_ABANDONED: Final = 86_400.0


class Place(NamedTuple):
    """Where things stand in a store."""

    root: Path

    @property
    def journal(self) -> Path:
        """The directory of the lanes."""
        return self.root / "journal"

    @property
    def segments(self) -> Path:
        """The directory of the sealed runs, one directory each."""
        return self.root / "segments"

    @property
    def damaged(self) -> Path:
        """Where a lane file that held damage is kept after its intact frames were sealed."""
        return self.root / "damaged"

    @property
    def trash(self) -> Path:
        """Where a run is while it is removed."""
        return self.root / "trash"

    def prepare(self) -> None:
        """Make the store, private, and invisible to git. Raises OSError: ``StoreVersion`` where it is of a format
        that is not known here, and then nothing is touched.
        """
        settle(self.root)
        for directory in (self.journal, self.segments):
            directory.mkdir(mode=0o700, exist_ok=True)
        if not (self.root / ".gitignore").exists():
            try:
                write_new(self.root / ".gitignore", b"*\n")
            except FileExistsError:
                return  # another process did it in this moment


class LaneFile:
    """One file of a lane that is being written, or waits to be sealed. ``pieces``: its frames not yet sealed."""

    __slots__ = ("_path", "damaged", "fd", "filled", "lane", "mapping", "path", "pieces", "plugged", "size", "synced")

    def __init__(self, path: Path, fd: int, size: int, mapping: mmap | None = None) -> None:
        self.path = path
        self.lane = path.parent.name
        self._path = str(path)  # asked for by each run that begins or ends
        self.fd = fd
        self.size = size
        self.filled = 0
        self.mapping = mapping
        self.pieces = 0
        self.plugged = False
        self.damaged = False
        self.synced = False

    @property
    def name(self) -> str:
        """The file as damage reports name it: relative to the store."""
        return lane_file_name(self.path)

    def content(self) -> Bytes:
        """All bytes of the file."""
        return self.mapping if self.mapping is not None else read_fully(self.fd, self.size)

    def plug(self) -> None:
        """From here on every write to the mapping fails, so what a scan has seen is all there will ever be."""
        self.plugged = True
        mapping = self.mapping
        if mapping is None:
            return
        end = mapping.tell()
        mapping.seek(0, os.SEEK_END)
        # A thread may have written between the two lines above: step over what it left.
        while end + HEADER_SIZE <= self.size:
            magic, _, _, length, _, _ = HEADER.unpack_from(mapping, end)
            if magic != MAGIC:
                break
            end += HEADER_SIZE + length
        self.filled = min(end, self.size)

    def trim(self) -> None:
        """Give back what was allocated ahead. The mapping goes first: a mapped page beyond the end is deadly."""
        self.unmap()
        if self.fd >= 0:
            os.ftruncate(self.fd, self.filled)
            self.size = self.filled

    def sync(self) -> None:
        """Wait until what was written so far, and at first the file's name, is on the disk. Raises OSError."""
        try:
            if self.fd >= 0:
                getattr(os, "fdatasync", os.fsync)(self.fd)
                if not self.synced:
                    sync_directory(self.path.parent)
                    sync_directory(self.path.parent.parent)
                    self.synced = True
        except OSError:
            if self.fd >= 0:  # else it was sealed and closed in this moment
                raise

    def unmap(self) -> None:
        """Let the mapping go; content() then reads the file."""
        mapping, self.mapping = self.mapping, None
        if mapping is not None:
            mapping.close()

    def close(self) -> None:
        """Close descriptor and mapping; the file stays."""
        self.unmap()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def forget(self) -> None:
        """As close(), in a forked child: another thread may have been reading the mapping at that moment."""
        try:
            self.close()
        except BufferError:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def gone(self) -> bool:
        """Whether its path no longer leads to this file: it, or a directory above it, was removed or moved."""
        return not same_file(self._path, self.fd)


class LaneDirectory:
    """The lane of this process: its directory, its lock, and the files it holds open."""

    def __init__(self, root: Path) -> None:
        self.place = Place(root)
        self.name = f"{os.getpid()}-{time.time_ns():x}-{os.urandom(4).hex()}"
        self.path = self.place.journal / self.name
        self.files: list[LaneFile] = []
        self.incomplete = False
        self._lock = -1
        self._lock_path = str(self.path / LOCK)
        self._number = 0

    @property
    def exists(self) -> bool:
        """Whether the directory was made (it may have been removed since)."""
        return self._lock >= 0

    def _create(self) -> None:
        """Make and lock the directory, also when somebody removed it. Raises OSError."""
        self.place.prepare()
        hidden = self.path.with_name(f"{HIDDEN}{self.name}-{os.urandom(2).hex()}")
        hidden.mkdir(mode=0o700)
        lock = -1
        try:
            lock = open_private(hidden / LOCK, os.O_CREAT)
            _lock_if_possible(lock)
            os.rename(hidden, self.path)
        except OSError:
            if lock >= 0:
                os.close(lock)
            remove_lane(hidden)
            if not self.path.is_dir():
                raise
            if not self.removed():
                return  # a signal handler was quicker
            lock = open_private(self.path / LOCK, os.O_CREAT)  # only the lock was removed
            _lock_if_possible(lock)
        old, self._lock = self._lock, lock
        if old >= 0:
            os.close(old)

    def new_file(self) -> tuple[Path, int]:
        """Create the next file of the lane and open it. Raises OSError."""
        if not self.exists:
            self._create()
        while True:
            self._number += 1
            path = self.path / f"{self._number:06d}{LANE_SUFFIX}"
            try:
                return path, open_private(path, os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                continue  # a signal handler took this number
            except FileNotFoundError:
                self._create()

    def hold(self, file: LaneFile) -> None:
        """Remember an open file, and forget those that were sealed and closed."""
        self.files = [*(held for held in self.files if held.fd >= 0), file]

    def removed(self) -> bool:
        """Whether the directory was made, and then removed or moved by somebody."""
        return self.exists and not same_file(self._lock_path, self._lock)

    def restore(self) -> None:
        """Write those of the plugged files that are gone from the disk, but that we hold open. Raises
        OSError.
        """
        self.incomplete = True
        if self.removed():
            self._create()
        for file in self.files:
            try:
                if file.plugged and not file.path.exists():
                    content = file.content()[: file.filled]
                    write_new(file.path, content)
            except (OSError, ValueError):
                if file.fd >= 0:  # else it was sealed and closed in this moment
                    raise
        self.incomplete = False

    def leave(self) -> None:
        """Let go of the lane: empty, it is removed; else it is left for recovery."""
        if self.exists and not self.removed() and not list(lane_files(self.path)):
            remove_lane(self.path)
        if self.exists:
            with suppress(OSError):
                flock(self._lock, LOCK_UN)  # closing is not enough if C code forked without telling Python
        self.forget()

    def forget(self) -> None:
        """Close files and lock. In a forked child that leaves the parent's lock as it is: it is the parent's,
        too.
        """
        for file in self.files:
            file.forget()
        self.files = []
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def lane_file_name(path: Path) -> str:
    """A lane file relative to its store."""
    return f"journal/{path.parent.name}/{path.name}"


def lanes(root: Path) -> list[Path]:
    """The lanes of a store, the one that was started first, first."""
    try:
        found = [Path(entry.path) for entry in os.scandir(Place(root).journal) if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=_started)


def _started(lane: Path) -> tuple[int, str]:
    parts = lane.name.split("-")
    try:
        return int(parts[1], 16), lane.name
    except (IndexError, ValueError):
        return 0, lane.name


def lane_files(lane: Path) -> Iterator[Path]:
    """The files of a lane in the order in which they were written."""
    try:
        names = sorted(os.listdir(lane))
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (lane / name for name in names if name.endswith(LANE_SUFFIX) and name[:-5].isdecimal())


def is_living(lane: Path) -> bool:
    """Whether the process of this lane is alive: the shared lock cannot be had, or it cannot be told."""
    try:
        fd = os.open(lane / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        flock(fd, LOCK_SH | LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def remove_lane(lane: Path) -> None:
    """Remove a lane that holds no more files; whoever else is at it may finish first."""
    try:
        for name in os.listdir(lane):
            if not name.endswith(LANE_SUFFIX):
                (lane / name).unlink(missing_ok=True)
        lane.rmdir()
    except OSError:
        return


def remove_abandoned(root: Path) -> None:
    """Remove what a process left that died, a day ago or longer, between making its lane and naming it."""
    try:
        hidden = [entry for entry in os.scandir(Place(root).journal) if entry.name.startswith(HIDDEN)]
        old = [entry for entry in hidden if time.time() - entry.stat().st_mtime > _ABANDONED]
    except OSError:
        return
    for entry in old:
        remove_lane(Path(entry.path))


def _lock_if_possible(fd: int) -> None:
    """Where locks do not exist, nobody else can take one either, and so nobody takes the lane for dead."""
    try:
        flock(fd, LOCK_EX)  # others hold it for an instant at most, to see whether we live
    except OSError:
        return
