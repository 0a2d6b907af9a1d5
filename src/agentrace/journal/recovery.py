"""Recovery: seal what dead processes left behind. Any number of processes may do it at once.

A lane whose lock can be shared has no living owner. Those who recover take turns by a second lock in the lane's
directory, and go through the lanes in the order in which they were started, so that whoever returns knows that the
lanes which were dead when it came are sealed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from typing import Final

from agentrace.journal.disk import open_private, same_file
from agentrace.journal.lanes import LaneFile, is_living, lane_files, lanes, remove_abandoned, remove_lane
from agentrace.journal.losses import CRASH, Tombstone
from agentrace.journal.sealing import Breathe, OutOfTime, Recovered, Sealer
from agentrace.journal.store_format import format_of
from agentrace.native import OwnFile

RECOVERING: Final = "recovering"
_ASK_AGAIN: Final = 0.005


def recover(root: Path, *, tombstone: Tombstone, timeout: float | None = None) -> list[Recovered]:
    """Seal every lane whose process is dead; the segments that this call wrote.

    Living lanes are not touched. Stops after ``timeout`` seconds; the next call goes on from there. Raises
    OSError where the store cannot be written: ``StoreVersion`` where its format is not known here.
    """
    format_of(root)
    deadline = None if timeout is None else time.monotonic() + timeout

    def breathe() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime

    recovered: list[Recovered] = []
    remove_abandoned(root)
    try:
        for lane in lanes(root):
            if not is_living(lane):
                with _turn(lane, deadline) as ours:
                    if ours and not is_living(lane):
                        recovered.extend(_recover_lane(root, lane, tombstone, breathe))
    except OutOfTime:
        return recovered
    return recovered


def _recover_lane(root: Path, lane: Path, tombstone: Tombstone, breathe: Breathe) -> Iterator[Recovered]:
    sealer = Sealer(root, tombstone)
    files: list[LaneFile] = []
    try:
        for path in lane_files(lane):
            fd = open_private(path, 0)
            file = LaneFile(path, fd, os.fstat(fd).st_size)
            file.filled = file.size
            files.append(file)
        sealer.waiting = list(files)
        yield from sealer.work(breathe, end=CRASH)
    finally:
        for file in files:
            file.close()
    remove_lane(lane)


@contextmanager
def _turn(lane: Path, deadline: float | None) -> Generator[bool, None, None]:
    """Wait until nobody else recovers this lane. False if it is gone by then. Raises OutOfTime."""
    try:
        file = OwnFile(open_private(lane / RECOVERING, os.O_CREAT))
    except FileNotFoundError:
        yield False
        return
    try:
        while not _locked(file.fd):
            if deadline is not None and time.monotonic() > deadline:
                raise OutOfTime
            time.sleep(_ASK_AGAIN)
        yield same_file(str(lane / RECOVERING), file.fd)
        if file.fd >= 0:  # otherwise this is a forked child, and the lock its parent's
            flock(file.fd, LOCK_UN)  # closing is not enough if C code forked meanwhile without telling Python
    finally:
        file.close()


def _locked(fd: int) -> bool:
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
