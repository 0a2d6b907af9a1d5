"""Removed runs leave the index for good: a row that is deleted stays in the file, so the file is written again.

Who removes runs says so before, in a file of its own beside the index. Whoever next brings the index up to date ends
it, so what was killed in between, or had to wait for a program that holds the index, is ended all the same.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from agentrace.index import database

_PREFIX: Final = "index.erase-"
_NEW: Final = ".index.erased-"


def intend(root: Path, run_ids: Collection[bytes]) -> None:
    """Say that these runs are about to be removed. Raises OSError."""
    name = f"{_PREFIX}{os.urandom(8).hex()}"
    new = root / f".{name}-{os.getpid()}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.writelines(f"{run_id.hex()}\n" for run_id in run_ids)
        os.replace(new, root / name)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def is_due(root: Path, there: Collection[bytes]) -> bool:
    """Whether a run was removed that the file may hold something of; ``there`` are the runs that are there."""
    return any(run_ids - set(there) for _, run_ids in _intended(root))


def end(root: Path, there: Collection[bytes], *, given_up: bool = False) -> None:
    """Nothing of the removed runs is in the index: forget that they were to be removed.

    ``given_up``: also where one of them was left. Raises OSError.
    """
    for path, run_ids in _intended(root):
        if given_up or not run_ids & set(there):
            path.unlink(missing_ok=True)


def write_again(root: Path) -> None:
    """Write the file again, with the rows that are in it and nothing else; the caller holds the index alone.

    Raises what the engine raises, and OSError; the file is then as it was.
    """
    new = root / f"{_NEW}{os.getpid()}"
    try:
        _remove_all(root)  # that were left by processes that were killed
        database.written_again(root, new)
        os.replace(new, root / database.FILE)
    finally:
        _remove_all(root)


def _remove_all(root: Path) -> None:
    for left in root.glob(f"{_NEW}*"):
        left.unlink(missing_ok=True)


def _intended(root: Path) -> Iterator[tuple[Path, set[bytes]]]:
    with suppress(OSError):
        for name in os.listdir(root):
            if name.startswith(_PREFIX):
                with suppress(OSError, ValueError):
                    yield root / name, set(map(bytes.fromhex, (root / name).read_text("ascii").split()))
