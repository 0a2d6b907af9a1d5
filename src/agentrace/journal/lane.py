"""The mapped lane: every event is one ``mmap.write``, which copies and advances in one C call under the GIL.

So there is no lock and no system call on the way of an event, whatever threads, signal handlers and finalizers do,
and what was written is in the page cache, which outlives the process. A write that does not fit raises ValueError;
only then ``overflow`` takes a lock and opens the next file.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from agentrace.journal.frames import EVENT, HEADER_SIZE, MAX_BODY, OPENED, frame, scan
from agentrace.journal.lanes import LaneDirectory, LaneFile
from agentrace.journal.losses import Losses, Tombstone
from agentrace.native import RLock

FIRST_SIZE: Final = 256 << 10
LARGEST_SIZE: Final = 16 << 20
SMALLEST_SIZE: Final = 16 << 10
RETRY_AFTER: Final = 0.25
"""After a failed attempt to get a file, the next is made at the earliest after this many seconds."""

OnFailure = Callable[[BaseException, int], None]
"""(what went wrong, the number of events lost by it: 0 where a payload was lost)."""


class Terms(NamedTuple):
    """What a lane is written under. ``retired`` is told each file that is complete; ``synced``: durability
    "power".
    """

    root: Path
    tombstone: Tombstone
    on_failure: OnFailure
    retired: Callable[[LaneFile], None]
    synced: bool


class Lane(Protocol):
    """What a process writes its frames into. ``write`` is replaced when the file is; ask for it each time."""

    name: str
    write: Callable[[bytes], object]
    open_runs: dict[bytes, None]

    def overflow(self, unwritten: bytes) -> None:
        """Keep a frame that ``write`` refused with ValueError, or report it as lost."""
        ...

    def look_after(self) -> None:
        """Notice that the lane was removed from the disk, and write it again."""
        ...

    def sync(self) -> OSError | None:
        """Wait until everything written so far is on the disk."""
        ...

    def flush(self) -> None:
        """Everything written so far is where the lane's durability promises it to be."""
        ...

    def close(self, timeout: float) -> list[LaneFile]:
        """Stop writing, after at most this many seconds; the file that was being written, if any, plugged and
        trimmed.
        """
        ...

    def leave(self) -> None:
        """After close() and sealing: let the lane's lock go."""
        ...

    def forget(self) -> None:
        """In a forked child: let go without writing."""
        ...


class MappedLane:
    """A lane that is a series of allocated, mapped files: 256 KiB, doubling to 16 MiB, or as large as a frame
    needs.
    """

    def __init__(self, terms: Terms) -> None:
        self.write: Callable[[bytes], object] = refuse
        self.open_runs: dict[bytes, None] = {}
        self._terms = terms
        self._directory = LaneDirectory(terms.root)
        self.name = self._directory.name
        self._losses = Losses(self.name, terms.tombstone)
        self._lock = RLock()  # re-entrant: a signal handler that writes may interrupt its holder
        self._current: LaneFile | None = None
        self._unsynced: list[LaneFile] = []
        self._next_size = FIRST_SIZE
        self._failure: OSError | None = None
        self._retry_at = 0.0
        self._closed = False

    def overflow(self, unwritten: bytes) -> None:
        """Open the next file and write there; where that fails, the frame is lost and reported."""
        with self._lock:
            failure = self._keep(unwritten)
            lost = self._losses.add(unwritten, failure) if failure else 0
        if failure:
            self._terms.on_failure(failure, lost)

    def _keep(self, unwritten: bytes) -> Exception | None:
        if len(unwritten) > MAX_BODY + HEADER_SIZE:
            return OSError(errno.EFBIG, f"a frame of {len(unwritten)} bytes is larger than a lane takes")
        while not self._closed:
            try:
                self.write(unwritten)  # another thread, or a handler, may have opened a file meanwhile
            except ValueError:
                failure = self._open_next(len(unwritten))
                if failure:
                    return failure
            else:
                return None
        return ValueError("the journal is closed")

    def _open_next(self, need: int) -> OSError | None:
        """Make a new file the current one. A handler that interrupts this may do the same: both files are
        kept.
        """
        if self._failure and time.monotonic() < self._retry_at:
            return self._failure
        lost = self._losses.take()
        preamble = b"".join(frame(self.name, OPENED, run_id) for run_id in list(self.open_runs))
        preamble += self._losses.frames(lost)
        try:
            file, mapping = self._allocate(need + len(preamble))
        except OSError as failure:
            self._losses.put_back(lost)
            self._failure, self._retry_at = failure, time.monotonic() + RETRY_AFTER
            return failure
        self._failure = None
        mapping.write(preamble)
        self._directory.hold(file)
        if self._terms.synced:
            self._unsynced.append(file)
        self._current, self.write = file, mapping.write
        self._retire_others()
        return None

    def _allocate(self, need: int) -> tuple[LaneFile, mmap]:
        """A new file with its blocks and its mapping; smaller than wanted where the disk is nearly full."""
        size = max(self._next_size, _pages(need))
        while True:
            path, fd = self._directory.new_file()
            try:
                os.posix_fallocate(fd, 0, size)
                mapping = mmap(fd, size)
            except OSError:
                os.close(fd)
                path.unlink(missing_ok=True)
                smaller = max(size // 2, _pages(need))
                if smaller == size or size <= SMALLEST_SIZE:
                    raise
                size = smaller
            else:
                self._next_size = min(max(self._next_size, size) * 2, LARGEST_SIZE)
                return LaneFile(path, fd, size, mapping), mapping

    def _retire_others(self) -> None:
        """Plug every file but the current one and pass it on to be sealed."""
        for file in self._directory.files:
            if file is not self._current and not file.plugged:
                file.plug()
                self._terms.retired(file)

    def look_after(self) -> None:
        """Where somebody removed the lane while it is being written, write it again from what is still mapped."""
        failure = self._restored()
        if failure:
            self._terms.on_failure(failure, 0)
        if self._losses:
            with self._lock:
                self._settle()

    def _restored(self) -> OSError | None:
        current = self._current
        if current is None or not (self._directory.incomplete or self._directory.removed() or current.gone()):
            return None
        with self._lock:
            current = self._current
            if current is not None and current.gone():
                failure = self._open_next(0)
                if failure:
                    return failure
            try:
                self._directory.restore()
            except OSError as failure:
                return failure
            return None

    def sync(self) -> OSError | None:
        """fdatasync whatever may have been written since the last time."""
        try:
            for file in list(self._unsynced):
                plugged = file.plugged
                file.sync()
                if plugged and file in self._unsynced:
                    self._unsynced.remove(file)
        except OSError as failure:
            return failure
        return None

    def flush(self) -> None:
        """Notice a removed directory; with durability "power", wait until everything written is on the disk."""
        self.look_after()
        failure = self.sync() if self._terms.synced else None
        if failure:
            self._terms.on_failure(failure, 0)

    def close(self, timeout: float) -> list[LaneFile]:  # noqa: ARG002  # it does not wait
        """Stop writing, at once. What comes later is reported as lost."""
        failure = self._restored()
        with self._lock:
            self._settle()
            self._closed, self.write = True, refuse
            current, self._current = self._current, None
            if current is not None:
                current.plug()
        if self._terms.synced:
            failure = self.sync() or failure
        if current is not None:
            with suppress(OSError):  # only space is lost by that
                current.trim()
        if failure:
            self._terms.on_failure(failure, sum(count_events(file) for file in self._directory.files if file.gone()))
        return [current] if current is not None else []

    def _settle(self) -> None:
        """Say which events were lost, if there is room for that."""
        if self._losses:
            lost = self._losses.take()
            try:
                self.write(self._losses.frames(lost))
            except ValueError:
                self._losses.put_back(lost)
                self._open_next(0)

    def leave(self) -> None:
        """Let the lock go, and remove the lane if nothing is left in it."""
        self._directory.leave()

    def forget(self) -> None:
        """In a forked child: the mapping is shared with the parent, so not one byte may be written any more."""
        self.write = discard
        self._closed = True
        self._current = None
        self._unsynced = []
        self._directory.forget()


def refuse(_: bytes) -> object:
    """Where there is no file to write to: what a full mapping does."""
    raise ValueError("no lane is open")


def discard(_: bytes) -> object:
    """In a forked child, which has no lane: its writers were its parent's."""
    return None


def count_events(file: LaneFile) -> int:
    """How many events stand in a file of this process."""
    found = scan(file.content(), file.lane, [], file=file.name, size=file.filled)
    return sum(kind == EVENT for kind, _, _, _ in found)


def _pages(size: int) -> int:
    return -(-size // 4096) * 4096
