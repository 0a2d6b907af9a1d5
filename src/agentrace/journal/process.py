"""The journal of this process: writers of runs in front, one lane behind them, sealing in the background.

journal = Journal(root, tombstone=..., on_failure=...) run = journal.writer(run_id) run.payload(digest, data);
run.event(body); run.finished() journal.close()
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, Literal
from weakref import WeakSet
from zlib import crc32

from agentrace.journal.background import Background
from agentrace.journal.fallback import QueuedLane
from agentrace.journal.filesystem import Verdict, judge
from agentrace.journal.frames import (
    EVENT,
    FINISHED,
    HEADER,
    MAGIC,
    OPENED,
    PAYLOAD,
    VERSION,
    frame,
    seed,
)
from agentrace.journal.lane import Lane, MappedLane, OnFailure, Terms
from agentrace.journal.lanes import LaneFile
from agentrace.journal.losses import Tombstone
from agentrace.native import Repeating

SYNC_INTERVAL: Final = 0.05


class RunWriter:
    """Writes one run. Events need a seq from 1 on that no other event of the run has; their order is free.

    ``event(body)`` keeps one event (msgpack bytes); ``payload(digest, data)`` keeps data (at most 1 GiB) under
    its 32-byte digest. Both return when the bytes are in the page cache ("mmap") or queued ("fallback"). Neither
    raises anything but what the journal's ``on_failure`` raises. ``finished()``: the run may be sealed.
    """

    __slots__ = ("event", "finished", "payload")

    def __init__(self, lane: Lane, run_id: bytes) -> None:
        self.event: Callable[[bytes], None] = _event_writer(lane, run_id)
        self.payload: Callable[[bytes, bytes], None] = _payload_writer(lane, run_id)
        self.finished: Callable[[], None] = _finisher(lane, run_id)


def _event_writer(lane: Lane, run_id: bytes) -> Callable[[bytes], None]:
    start, pack = seed(lane.name, EVENT, run_id), HEADER.pack

    def event(body: bytes) -> None:
        unwritten = pack(MAGIC, EVENT, VERSION, len(body) & 0xFFFFFFFF, crc32(body, start), run_id) + body
        try:
            lane.write(unwritten)
        except ValueError:
            lane.overflow(unwritten)

    return event


def _payload_writer(lane: Lane, run_id: bytes) -> Callable[[bytes, bytes], None]:
    start, pack = seed(lane.name, PAYLOAD, run_id), HEADER.pack

    def payload(digest: bytes, data: bytes) -> None:
        check = crc32(data, crc32(digest, start))
        header = pack(MAGIC, PAYLOAD, VERSION, min(len(data) + len(digest), 0xFFFFFFFF), check, run_id)
        unwritten = b"".join((header, digest, data))
        try:
            lane.write(unwritten)
        except ValueError:
            lane.overflow(unwritten)

    return payload


def _finisher(lane: Lane, run_id: bytes) -> Callable[[], None]:
    done = frame(lane.name, FINISHED, run_id)

    def finished() -> None:
        lane.look_after()
        lane.open_runs.pop(run_id, None)
        _put(lane, done)

    return finished


def _put(lane: Lane, unwritten: bytes) -> None:
    try:
        lane.write(unwritten)
    except ValueError:
        lane.overflow(unwritten)


class Journal:
    """All runs of this process, on their way to the disk.

    ``root`` is the store. ``on_failure(exception, events)`` is called in the thread whose event was lost (events
    is 0 where none was: a payload, or the disk refuses but the queue still holds everything); what it raises
    reaches the caller. ``tombstone`` encodes the event that stands for lost ones. ``durability``: "process" keeps
    what was written when the process dies; "power" also syncs it to the disk every 50 ms and in flush(). Without
    ``seal`` the lane is left as it is, for the next reader to seal. ``may_map`` tells whether a mapping is safe
    where the store is.
    """

    def __init__(
        self,
        root: Path,
        *,
        tombstone: Tombstone,
        on_failure: OnFailure,
        durability: Literal["process", "power"] = "process",
        seal: bool = True,
        may_map: Callable[[Path], Verdict] = judge,
    ) -> None:
        root = root.absolute()  # the program may change its directory
        verdict = may_map(root)
        self.mode: Literal["mmap", "fallback"] = "mmap" if verdict.safe else "fallback"
        self.why = verdict.why
        self._background = Background(root, tombstone) if seal else None
        retired = self._background.retired if self._background else LaneFile.close
        terms = Terms(root, tombstone, on_failure, retired, durability == "power")
        self._lane: Lane = MappedLane(terms) if verdict.safe else QueuedLane(terms)
        self._synced = terms.synced
        self._syncer: Repeating | None = None
        self._closed = False
        self._pid = os.getpid()
        _lanes.add(self._lane)

    def writer(self, run_id: bytes) -> RunWriter:
        """The writer of a run that begins now; ``run_id``: 16 bytes. One process writes a run, and only once."""
        if len(run_id) != 16:
            raise ValueError(f"a run id has 16 bytes, this has {len(run_id)}")
        lane = self._lane
        lane.look_after()
        lane.open_runs[run_id] = None
        _put(lane, frame(lane.name, OPENED, run_id))
        if self._synced and self._syncer is None:
            self._start_syncer()
        return RunWriter(lane, run_id)

    def flush(self) -> None:
        """What was written so far is as safe as ``durability`` says."""
        self._lane.flush()

    def close(self, *, timeout: float = 2.0) -> None:
        """Stop recording, seal what can be sealed within ``timeout`` seconds; recover() does the rest later."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        deadline = monotonic() + timeout
        syncer, self._syncer = self._syncer, None
        if syncer is not None:
            syncer.stop()
        last = self._lane.close(timeout)
        if self._background is None or self._background.finish(last, deadline):
            self._lane.leave()

    def forget(self) -> None:
        """In a forked child: let go of everything without writing. Happens by itself; doing it twice is
        harmless.
        """
        self._closed = True
        self._lane.forget()

    def _start_syncer(self) -> None:
        with suppress(RuntimeError):  # the interpreter is ending: flush() and close() still sync
            # A failure is reported by the next flush(), in a thread that can do something.
            self._syncer = Repeating(self._lane.sync, SYNC_INTERVAL)


_lanes: WeakSet[Lane] = WeakSet()
"""The lanes of this process: a forked child must let go of them before it runs anything else."""


def _forget_inherited() -> None:
    for lane in list(_lanes):
        lane.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
