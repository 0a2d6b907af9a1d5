"""The Parquet files of an archive: what its runs are as rows, for tools that read nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentrace.errors import CorruptRecord
from agentrace.index import Watching, copy_out, opened_for, rewrite_without
from agentrace.journal.disk import sync_directory
from agentrace.store import Store

DIRECTORY: Final = "parquet"
VIEWS: Final = ("runs", "steps", "events", "messages", "texts")
"""The views of the index that are written, each into a directory of its name."""


def write(source: Store, target: Path, run_ids: Sequence[bytes], batch: str, watching: Watching) -> None:
    """Write the rows of these runs, one file for each view. Raises ``StoreError`` and OSError."""
    with opened_for(source, run_ids, watching) as session:
        for view in VIEWS:
            path = _place(target, view) / f"{batch}.parquet"
            new = path.with_name(f".{path.name}.tmp")
            copy_out(session, view, run_ids, new)
            _publish(new, path)


def leave_out(target: Path, run_ids: Sequence[bytes], *, for_good: bool = False) -> None:
    """Write the files again that have rows of these runs, without them. Raises ``StoreError`` and OSError.

    A damaged file is set aside as ``<name>.damaged``: the segments are what counts, and they are whole. ``for_good``:
    it goes, and those that were set aside before, because nobody can tell whose rows they have.
    """
    if not run_ids:
        return
    for view in VIEWS:
        place = _place(target, view)
        for left in (*place.glob(".*.tmp"), *(place.glob("*.damaged") if for_good else ())):
            left.unlink()  # nobody else is at work here
        for path in sorted(place.glob("*.parquet")):
            new = path.with_name(f".{path.name}.tmp")
            try:
                left_in_it = rewrite_without(path, run_ids, new)
            except CorruptRecord:
                new.unlink(missing_ok=True)
                if for_good:
                    path.unlink()
                else:
                    os.replace(path, path.with_name(f"{path.name}.damaged"))
                continue
            if left_in_it:
                _publish(new, path)
            elif left_in_it is not None:
                new.unlink()
                path.unlink()


def _place(target: Path, view: str) -> Path:
    directory = target / DIRECTORY / view
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _publish(new: Path, path: Path) -> None:
    os.chmod(new, 0o600)
    with open(new, "rb") as file:
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_directory(path.parent)
