"""A sealed run copied from one store-shaped directory to another: as a whole, and compared with what was copied."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from blake3 import blake3

from agentrace.errors import StoreError
from agentrace.journal.disk import sync_directory
from agentrace.journal.lanes import Place
from agentrace.journal.removal import delete
from agentrace.journal.run_directory import segment_paths

_NEW = ".new-"


def copy_run(source: Path, target: Path, run_id: bytes) -> int:
    """Copy the segments of a run, and see that they are there; how many bytes they have.

    A run that is there already is left if it is the same. Raises ``StoreError`` where it is another one, or the copy is
    not what was copied; and OSError.
    """
    here = Place(source).segments / run_id.hex()
    there = Place(target).segments / run_id.hex()
    wanted = _digests(here)
    if not wanted:
        raise StoreError(f"nothing is sealed of run {run_id.hex()} in {source}", do="see what became of the archive")
    if not there.exists():
        new = there.with_name(f"{_NEW}{run_id.hex()}-{os.urandom(4).hex()}")
        try:
            _copied(here, new)
            os.rename(new, there)
            sync_directory(there.parent)
        finally:
            delete(new)
    if _digests(there) != wanted:
        raise StoreError(
            f"{there} is not what {here} is: nothing was removed",
            do="see which of the two is right with `agentrace verify`, and move the other one away",
            slug="archive",
        )
    return sum(path.stat().st_size for path in segment_paths(here))


def _copied(here: Path, new: Path) -> None:
    new.mkdir(mode=0o700)
    for path in segment_paths(here):
        with open(path, "rb") as source, open(os.open(new / path.name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    sync_directory(new)


def _digests(directory: Path) -> dict[str, bytes]:
    """The segments in a directory, and what each holds."""
    return {path.name: blake3().update_mmap(path).digest() for path in segment_paths(directory)}
