"""Who may open the index at a time: readers together, or one who writes.

DuckDB lets one process hold a file for writing, and refuses it to all others meanwhile. So nobody holds it longer than
one command or request takes, and everybody waits in line: first for the gate, alone; then for the data, together with
other readers or alone; then the gate is let go. Who waits for the data stands in the gate, so readers that come in a
loop cannot get past a writer. The kernel takes both locks back from a process that dies, and forked children let go.

A thread that reads may read once more, and shares what it holds: waiting in line it would wait for itself.
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
from agentrace.native import OwnFile, get_ident

GATE: Final = "index.gate"
DATA: Final = "index.lock"
_TOLD_AFTER: Final = 1.0

Waiting = Callable[[], None]
"""Told once, by another thread, when another process has held the index for a second."""


def silent() -> None:
    """Tell nobody."""


class Occupied(Exception):
    """Waiting for who has the index open would never end: it is this thread itself, as ``str`` says."""


class _Lease:
    """The index as one thread holds it."""

    def __init__(self, data: OwnFile, key: tuple[int, int, int], alone: bool) -> None:
        self.data = data
        self.key = key
        self.alone = alone
        self.users = 1

    def leave(self) -> None:
        """One user less; the last one lets go."""
        self.users -= 1
        if not self.users:
            if _held.get(self.key) is self:
                del _held[self.key]
            _let_go(self.data)


_held: Final[dict[tuple[int, int, int], _Lease]] = {}
"""By store (device and number of its directory) and thread."""
_inherited: Final[set[tuple[int, int]]] = set()
"""Stores whose index was open when this process was forked: what the engine has of it works in the parent only."""


@contextmanager
def lease(root: Path, *, alone: bool, waiting: Waiting = silent) -> Generator[None]:
    """Hold the index of the store at ``root``: alone to write it, otherwise together with other readers.

    Raises ``Occupied`` where this thread holds it already, unless that and this is to read; and ``StoreError`` where
    the locks cannot be made.
    """
    held = _join(root, alone) or _wait(root, alone, waiting)
    try:
        yield
    finally:
        held.leave()


def _join(root: Path, alone: bool) -> _Lease | None:
    """What this thread holds, if it can be shared. Raises ``Occupied`` where it cannot."""
    key = _key(root)
    if key[:2] in _inherited:
        raise Occupied("the program that this process was forked from, in the middle of a question")
    found = _held.get(key)
    if found is None:
        return None
    if alone or found.alone:
        raise Occupied("this program itself")
    found.users += 1
    return found


def _wait(root: Path, alone: bool, waiting: Waiting) -> _Lease:
    gate = _open(root / GATE)
    try:
        _take(gate.fd, LOCK_EX, waiting)
        data = _open(root / DATA)
        try:
            _take(data.fd, LOCK_EX if alone else LOCK_SH, waiting)
        except BaseException:
            data.close()
            raise
    finally:
        _let_go(gate)
    key = _key(root)
    held = _held[key] = _Lease(data, key, alone)
    return held


def _key(root: Path) -> tuple[int, int, int]:
    try:
        at = os.stat(root)
    except OSError:
        return (0, 0, get_ident())
    return (at.st_dev, at.st_ino, get_ident())


def _open(path: Path) -> OwnFile:
    try:
        return OwnFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        try:  # a store that may only be read still has readers who wait for each other
            return OwnFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
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


def _let_go(file: OwnFile) -> None:
    if file.fd >= 0:
        flock(file.fd, LOCK_UN)  # closing is not enough if C code forked meanwhile without telling Python
    file.close()


def _in_child() -> None:
    _inherited.update(key[:2] for key in _held)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
