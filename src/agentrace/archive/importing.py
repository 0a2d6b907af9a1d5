"""Taking the runs of a trace file into a store: all of them, each whole and checked, or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from agentrace.archive.reading import TraceFile
from agentrace.errors import CorruptRecord, RunNotFound, TraceFileError
from agentrace.ids import format_run_id
from agentrace.journal.disk import open_private, sync_directory, take_name, write_fully
from agentrace.journal.lanes import Place
from agentrace.journal.segment import TEMPORARY, segment_name
from agentrace.store import Problem, Record, Store

_FIRST: Final = 1
CHECKING: Final = 0.8
"""The share of a run's time that checking takes; the rest is copying."""

Watch = Callable[[float], object]


class Imported(msgspec.Struct, frozen=True):
    """What an import did."""

    added: list[bytes]
    """Runs that are new in the store."""
    there: list[bytes]
    """Runs that the store had already, with the same content."""


def import_file(file: TraceFile, store: Store, watch: Watch = lambda share: None) -> Imported:
    """Copy every run of a file into a store, after checking all of them.

    ``watch`` is told how much more of a run is done, which adds up to 1 for each.

    Raises ``TraceFileError``: ``trace-file-damaged`` where anything in the file is not as it was written,
    ``run-exists`` where the store has other content under the id of one of its runs. Nothing is written then.
    """
    run_ids = [run.run_id for run in file.manifest.runs]
    _check(file, run_ids, watch)
    there = [run_id for run_id in run_ids if _is_there(file, store, run_id)]
    added = [run_id for run_id in run_ids if run_id not in set(there)]
    try:
        Place(store.root).prepare()
        for run_id in added:
            _add(file, run_id, Place(store.root).segments)
            watch(1 - CHECKING)
    except OSError as failure:
        raise TraceFileError(
            f"{store.root} cannot be written: {failure.strerror or failure}",
            do="make room or make the directory writable; importing again goes on",
        ) from failure
    return Imported(added, there)


def _check(file: TraceFile, run_ids: list[bytes], watch: Watch) -> None:
    wrong = list(file.notices)
    if not wrong:
        promised = {run.run_id: {digest.hex() for digest in run.missing} for run in file.manifest.runs}
        for run_id in run_ids:
            found = file.problems(run_id)
            wrong += [problem.text for problem in found if not _was_wrong_before(problem, file, promised[run_id])]
            watch(CHECKING)
    if wrong:
        raise TraceFileError(
            f"{file.root.name} is not as it was written, so nothing of it was imported: {wrong[0]}",
            do="get the file again from where it was made; `agentrace show` reads what is whole of it",
            slug="trace-file-damaged",
        )


def _was_wrong_before(problem: Problem, file: TraceFile, missing: set[str]) -> bool:
    """Whether this was damaged or missing already when it was exported, and the record itself says so."""
    if problem.kind == "damage":
        return not problem.text.startswith(f"{file.root.name}:")
    return problem.kind == "payload" and any(digest in problem.text for digest in missing)


def _is_there(file: TraceFile, store: Store, run_id: bytes) -> bool:
    """Whether the store has this run; raises where it has another one under the same id."""
    try:
        known = store.source(run_id)
    except RunNotFound:
        return False
    if _same(known, file.source(run_id)):
        return True
    raise TraceFileError(
        f"{store.root} has run {format_run_id(run_id)} already, and not with the content that {file.root.name} has",
        do="look at the file in place, or import it into another store: agentrace import --home DIR FILE",
        slug="run-exists",
    )


def _same(known: Record, new: Record) -> bool:
    try:
        return known.chain() == new.chain() and set(new.digests()) <= set(known.digests())
    except CorruptRecord:
        return False


def _add(file: TraceFile, run_id: bytes, segments: Path) -> None:
    """Write a run's segment under a hidden name, and then name it. Raises OSError."""
    directory = segments / run_id.hex()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = directory / f".{segment_name(_FIRST)}-{os.urandom(4).hex()}{TEMPORARY}"
    fd = open_private(temporary, os.O_CREAT | os.O_EXCL)
    try:
        for data in file.segment(run_id):
            write_fully(fd, data)
        os.fsync(fd)
        if not take_name(temporary, directory / segment_name(_FIRST)):
            raise TraceFileError(
                f"another process wrote run {format_run_id(run_id)} in this moment",
                do="import the file again",
                slug="run-exists",
            )
    finally:
        os.close(fd)
        temporary.unlink(missing_ok=True)
    sync_directory(directory)
    sync_directory(segments)
