"""What the journal asks of the disk: private files, whole reads and writes, and waiting until bytes are safe."""

from __future__ import annotations

import os
from pathlib import Path


def same_file(path: str, fd: int) -> bool:
    """Whether this path leads to the file that is open here."""
    try:
        there, here = os.stat(path), os.fstat(fd)
    except OSError:
        return False
    return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)


def open_private(path: Path, flags: int) -> int:
    """Open for reading and writing; a new file is the owner's alone; a program that is started does not inherit
    it.
    """
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)


def read_fully(fd: int, size: int, offset: int = 0) -> bytes:
    """``size`` bytes from ``offset`` on, fewer only where the file ends."""
    first = os.pread(fd, size, offset)
    if len(first) == size or not first:
        return first
    pieces = [first]
    while (missing := size - sum(map(len, pieces))) and (more := os.pread(fd, missing, offset + size - missing)):
        pieces.append(more)
    return b"".join(pieces)


def write_new(path: Path, data: bytes) -> None:
    """A new private file with this content. Raises OSError."""
    fd = open_private(path, os.O_CREAT | os.O_EXCL)
    try:
        write_fully(fd, data)
    finally:
        os.close(fd)


def take_name(temporary: Path, path: Path) -> bool:
    """Give a file its name, unless another has it already. Raises OSError."""
    try:
        os.link(temporary, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        return False
    except OSError:
        if path.exists():
            return False
        os.rename(temporary, path)  # a file system without hard links
    return True


def sync_directory(path: Path) -> None:
    """Wait until the names in this directory are on the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_together(root: Path) -> bool:
    """Wait until everything on this file system is on the disk; False where that cannot be asked for.

    One such wait costs about as much as that for one file. Raises OSError.
    """
    try:
        import ctypes

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError):
        return False
    fd = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(fd):
            raise OSError(ctypes.get_errno(), "the file system could not be synced")
    finally:
        os.close(fd)
    return True


def write_fully(fd: int, data: bytes) -> None:
    """All of ``data``, in as many writes as it takes. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
