"""The queued lane, for file systems on which a mapping is not safe: a deque, and a thread that writes every 10 ms.

The frames and files are those of the mapped lane, but what was queued in the last moments dies with the process.
While the disk takes no writes the queue grows to 64 MiB; then the newest events are lost, and counted. While it is
only slower than the events come, the caller of a full queue waits for it.
"""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from agentrace.journal.disk import write_fully
from agentrace.journal.frames import EVENT, HEADER_SIZE, MAX_BODY, OPENED, frame
from agentrace.journal.lane import LARGEST_SIZE, RETRY_AFTER, Terms, discard, refuse
from agentrace.journal.lanes import LaneDirectory, LaneFile
from agentrace.journal.losses import Losses
from agentrace.native import Repeating, RLock

INTERVAL: Final = 0.01
HELD_AT_MOST: Final = 64 << 20
PATIENCE: Final = 1.0
"""So many seconds a caller waits for the disk when the queue is full."""
_BATCH: Final = 1 << 20


class QueuedLane:
    """A lane whose frames wait in memory until its thread has written them."""

    def __init__(self, terms: Terms) -> None:
        self.write: Callable[[bytes], object] = refuse
        self.open_runs: dict[bytes, None] = {}
        self._terms = terms
        self._directory = LaneDirectory(terms.root)
        self.name = self._directory.name
        self._losses = Losses(self.name, terms.tombstone)
        self._state = RLock()  # for what overflow decides; never held while the disk is waited for
        self._disk = RLock()  # held by the one that writes the queue
        self._queue: deque[bytes] = deque()
        self._held = 0  # bytes in the queue: may drift a little between threads, set right by each drain
        self._file: LaneFile | None = None
        self._failure: OSError | None = None
        self._retry_at = self._hangs_until = 0.0
        self._draining = False
        self._thread: Repeating | None = None
        self._closed = False

    def _enqueue(self, unwritten: bytes) -> None:
        held = self._held + len(unwritten)
        if held > HELD_AT_MOST:
            raise ValueError("the queue is full")
        self._held = held
        self._queue.append(unwritten)

    def overflow(self, unwritten: bytes) -> None:
        """What is not simply queued: the first frame, what is too much, and what comes after the end."""
        full = bool(self._queue) and self._held + len(unwritten) > HELD_AT_MOST
        refused = full and not self._closed and not self._makes_room()
        with self._state:
            failure, lost = self._keep(unwritten, refused)
        if failure is None and self._thread is None:
            failure = self._start()
        if failure:
            self._terms.on_failure(failure, lost)

    def _keep(self, unwritten: bytes, refused: bool) -> tuple[Exception | None, int]:
        if self._closed:
            return ValueError("the journal is closed"), is_event(unwritten)
        if len(unwritten) > MAX_BODY + HEADER_SIZE:
            failure = OSError(errno.EFBIG, f"a frame of {len(unwritten)} bytes is larger than a lane takes")
            return failure, self._losses.add(unwritten, failure)
        if refused:
            failure = self._failure or OSError(errno.EBUSY, "the disk does not answer")
            return failure, self._losses.add(unwritten, failure)
        self._held += len(unwritten)
        self._queue.append(unwritten)
        return None, 0

    def _makes_room(self) -> bool:
        """In a burst the caller waits for a disk that works; for one that fails or hangs it does not wait twice."""
        if self._failure or time.monotonic() < self._hangs_until:
            return False
        if not self._disk.acquire(timeout=PATIENCE):
            self._hangs_until = time.monotonic() + RETRY_AFTER
            return False
        try:
            if not self._draining:  # else this is a signal handler within a drain
                self.drain()
        finally:
            self._disk.release()
        return self._failure is None

    def _start(self) -> OSError | None:
        """The first frame: see at once whether the disk takes it, and start the thread."""
        self.drain()
        with self._state:
            if self._thread is None:
                try:
                    self._thread = Repeating(self.drain, INTERVAL)
                except RuntimeError:
                    return self._failure  # the interpreter is ending: each frame is written as it comes
                self.write = self._enqueue
        return self._failure

    def drain(self) -> None:
        """Write what is queued by now. Does nothing where it is a signal handler that interrupted a drain."""
        with self._disk:
            if self._draining:
                return
            self._draining = True
            try:
                self._write_queue()
            finally:
                self._draining = False

    def _write_queue(self) -> None:
        if self._failure and time.monotonic() < self._retry_at:
            return
        try:
            self._restore()
            waiting = len(self._queue)  # not what others go on to add: who drains must come to an end
            while count := self._next_batch(waiting):
                waiting -= count
                data = b"".join(self._queue[index] for index in range(count))
                self._append(data)
                for _ in range(count):
                    self._queue.popleft()
                self._held -= len(data)
            if self._losses:
                self._settle()
        except OSError as failure:
            self._failure, self._retry_at = failure, time.monotonic() + RETRY_AFTER
        else:
            self._failure = None
        self._held = sum(map(len, list(self._queue)))

    def _next_batch(self, waiting: int) -> int:
        """How many of the waiting frames to write at once: about 1 MiB of them, at least one."""
        count = size = 0
        for count in range(1, waiting + 1):
            size += len(self._queue[count - 1])
            if size >= _BATCH:
                break
        return count

    def _append(self, data: bytes) -> None:
        """Write these frames, all or none, to the current file or, where they do not fit, the next. Raises
        OSError.
        """
        file = self._file
        if file is not None and file.filled and file.filled + len(data) > LARGEST_SIZE:
            self._retire(file)
        if self._file is None:
            path, fd = self._directory.new_file()
            self._file = LaneFile(path, fd, 0)
            self._directory.hold(self._file)
            data = b"".join(frame(self.name, OPENED, run_id) for run_id in list(self.open_runs)) + data
        file = self._file
        try:
            write_fully(file.fd, data)
        except OSError:
            os.ftruncate(file.fd, file.filled)
            os.lseek(file.fd, file.filled, os.SEEK_SET)
            raise
        file.filled += len(data)
        file.size = file.filled

    def _retire(self, file: LaneFile) -> None:
        self._file = None
        file.plug()
        self._terms.retired(file)

    def _settle(self) -> None:
        """The disk takes writes again: say in the record which events were lost."""
        with self._state:
            lost = self._losses.take()
        try:
            self._append(self._losses.frames(lost))
        except OSError:
            with self._state:
                self._losses.put_back(lost)
            raise

    def _restore(self) -> None:
        """Where somebody removed the lane, write it again from the files that are still open. Raises OSError."""
        file = self._file
        if file is not None and (self._directory.removed() or file.gone()):
            self._retire(file)
            self._directory.incomplete = True
        if self._directory.incomplete:
            self._directory.restore()

    def look_after(self) -> None:
        """Nothing to do: the thread sees by itself when the lane was removed."""

    def sync(self) -> OSError | None:
        """fdatasync what the thread has written."""
        try:
            for file in list(self._directory.files):
                file.sync()
        except OSError as failure:
            return failure
        return None

    def flush(self) -> None:
        """Wait until the queue is written; with durability "power", until it is on the disk."""
        if self._closed:
            return
        self.drain()
        failure = self._failure or (self.sync() if self._terms.synced else None)
        if failure:
            self._terms.on_failure(failure, 0)

    def close(self, timeout: float) -> list[LaneFile]:
        """Write what is queued and stop. What the disk did not take within the timeout is lost, and reported."""
        self._closed, self.write = True, refuse
        self._retry_at = 0.0
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
        if self._disk.acquire(timeout=timeout):
            self.drain()
            self._disk.release()
            failure = self._failure or (self.sync() if self._terms.synced else None)
        else:
            failure = OSError(errno.EBUSY, f"the disk did not answer within {timeout} s")
        file, self._file = self._file, None
        lost = sum(map(is_event, list(self._queue)))
        if failure:
            self._terms.on_failure(failure, lost)
        if file is None:
            return []
        file.plug()
        return [file]

    def leave(self) -> None:
        """Let the lock go, and remove the lane if nothing is left in it."""
        self._directory.leave()

    def forget(self) -> None:
        """In a forked child: what is queued here is the parent's to write."""
        self._closed, self.write = True, discard
        self._queue.clear()
        self._file = None
        self._directory.forget()


def is_event(unwritten: bytes) -> bool:
    """Whether this frame holds an event."""
    return unwritten[2] == EVENT
