"""One archive command at a time for each store and each archive: what is known is read, and changed, under a lock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from typing import Final

from agentrace.errors import StoreError
from agentrace.journal.disk import open_private
from agentrace.native import OwnFile

NAME: Final = "archived.lock"
"""The file that is locked, in the store and in the archive. It is never removed."""
WAITING = 60.0
"""Seconds until somebody else's work is no longer waited for."""
_PAUSE: Final = 0.05

_held: dict[tuple[int, int], int] = {}
"""The locks of this process, and the thread that has each: waiting for oneself would never end."""


@contextmanager
def alone(directory: Path) -> Generator[None]:
    """Nobody else archives into this directory, or out of it, meanwhile.

    Raises ``StoreError`` where others do not end, and OSError where the directory cannot be written.
    """
    file = OwnFile(open_private(directory / NAME, os.O_CREAT))
    try:
        at = os.fstat(file.fd)
        key = (at.st_dev, at.st_ino)
        _take(file.fd, key, directory)
        _held[key] = threading.get_ident()
        try:
            yield
        finally:
            if file.fd >= 0:  # otherwise this is a forked child, and the lock its parent's
                del _held[key]
                flock(file.fd, LOCK_UN)  # closing is not enough if C code forked meanwhile without telling Python
    finally:
        file.close()


@contextmanager
def alone_if_writable(directory: Path) -> Generator[bool]:
    """As ``alone``; False where the directory may only be read, and then nothing is to be removed there."""
    if not (os.access(directory, os.W_OK) and os.access(directory / "segments", os.W_OK)):
        yield False
        return
    with alone(directory):
        yield True


def _take(fd: int, key: tuple[int, int], directory: Path) -> None:
    deadline = time.monotonic() + WAITING
    while True:
        try:
            flock(fd, LOCK_EX | LOCK_NB)
            return
        except BlockingIOError:
            if _held.get(key) == threading.get_ident() or time.monotonic() > deadline:
                raise _at_work(directory) from None
        time.sleep(_PAUSE)


def _at_work(directory: Path) -> StoreError:
    return StoreError(
        f"another archive or restore is at work in {directory}", do="try again when it is done", slug="archive"
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)
