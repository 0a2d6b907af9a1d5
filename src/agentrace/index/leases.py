"""Who may open the index at a time: readers together, or one who writes.

DuckDB lets one process hold a file for writing, and refuses it to all others meanwhile. So nobody holds it longer than
one command or request takes, and everybody waits in line: first for the gate, alone; then for the data, together with
other readers or alone; then the gate is let go. Who waits for the data stands in the gate, so readers that come in a
loop cannot get past a writer. The kernel takes both locks back from a process that dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from threading import Timer
from typing import Final

from agentrace.errors import StoreError

GATE: Final = "index.gate"
DATA: Final = "index.lock"
_TOLD_AFTER: Final = 1.0

Waiting = Callable[[], None]
"""Told once, by another thread, when another process has held the index for a second."""


def silent() -> None:
    """Tell nobody."""


@contextmanager
def lease(root: Path, *, alone: bool, waiting: Waiting = silent) -> Generator[None]:
    """Hold the index of the store at ``root``: alone to write it, otherwise together with other readers.

    Raises ``StoreError`` where the locks cannot be made.
    """
    gate = _open(root / GATE)
    try:
        _take(gate, LOCK_EX, waiting)
        data = _open(root / DATA)
        try:
            _take(data, LOCK_EX if alone else LOCK_SH, waiting)
        except BaseException:
            os.close(data)
            raise
    finally:
        _let_go(gate)
    try:
        yield
    finally:
        _let_go(data)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        try:  # a store that may only be read still has readers who wait for each other
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise StoreError(
                f"the index of {path.parent} cannot be locked: {error.strerror}",
                do="make the store writable for this user, or look at single runs with `agentrace show`",
            ) from error


def _take(fd: int, kind: int, waiting: Waiting) -> None:
    """Wait for a lock, in the order of coming. That it takes long is told once."""
    try:
        flock(fd, kind | LOCK_NB)
    except BlockingIOError:
        long = Timer(_TOLD_AFTER, waiting)
        long.daemon = True
        long.start()
        try:
            flock(fd, kind)
        finally:
            long.cancel()


def _let_go(fd: int) -> None:
    flock(fd, LOCK_UN)  # closing is not enough if somebody forked meanwhile
    os.close(fd)
