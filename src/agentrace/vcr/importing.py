"""Cassettes into a trace file or a store: every one of them becomes a run, or none does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from agentrace import events
from agentrace.errors import CassetteError, TraceFileError
from agentrace.journal import Journal
from agentrace.query import Runs
from agentrace.redact import Redactor
from agentrace.vcr.cassette import SUFFIXES, read_cassette
from agentrace.vcr.telling import ToldRun, told

NO_CASSETTE: Final = "cassette"
"""Slug of the error for a file that is none."""


class Found(Struct, frozen=True):
    """A file that may be a cassette."""

    path: Path
    name: str
    """What its run is called: below a directory that was named, its path there; without its suffix."""
    meant: bool
    """Whether it was named itself, so that it has to be one."""


class Told(Struct, frozen=True):
    """What cassettes tell."""

    runs: Sequence[ToldRun]
    left_out: Sequence[Path]
    """Files of directories that are no cassettes."""


def found_at(places: Iterable[Path]) -> list[Found]:
    """The files that are named, and those with a cassette's suffix below the directories that are.

    Raises ``CassetteError`` where a directory holds none.
    """
    found: dict[Path, Found] = {}
    for place in places:
        if not place.is_dir():
            found.setdefault(place, Found(place, place.stem, True))
            continue
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            suffixes = ", ".join(sorted(SUFFIXES))
            raise CassetteError(f"{place} holds no file that ends in {suffixes}", do="name the cassettes' directory")
        for file in files:
            found.setdefault(file, Found(file, file.relative_to(place).with_suffix("").as_posix(), False))
    return list(found.values())


def tell_all(found: Iterable[Found], redactor: Redactor, watch: Callable[[], object] = lambda: None) -> Told:
    """The runs that files tell; ``watch`` is called after each. Raises ``CassetteError``."""
    runs: dict[bytes, ToldRun] = {}
    left_out: list[Path] = []
    for one in found:
        try:
            run = told(read_cassette(one.path, one.name), redactor)
            runs[run.run_id] = run
        except CassetteError as error:
            if one.meant or error.slug != NO_CASSETTE:
                raise
            left_out.append(one.path)
        watch()
    if not runs:
        raise CassetteError(f"none of {len(left_out)} files is a cassette", do="name the cassettes' directory")
    return Told(list(runs.values()), left_out)


@contextmanager
def told_in(runs: Sequence[ToldRun]) -> Generator[Runs]:
    """A store that holds these runs while the block lasts. Raises ``TraceFileError`` where there is no room for it."""
    with tempfile.TemporaryDirectory(prefix="agentrace-") as root:
        journal = Journal(Path(root), tombstone=events.tombstone, on_failure=_refused, seal=False)
        try:
            for run in runs:
                writer = journal.writer(run.run_id)
                for digest, data in run.payloads:
                    writer.payload(digest, data)
                for event in run.events:
                    writer.event(event)
                writer.finished()
        finally:
            journal.close()
        yield Runs(Path(root))


def _refused(failure: BaseException, _: int) -> None:
    raise TraceFileError(
        f"the temporary directory cannot be written: {failure}", do="make room in it, or name another with TMPDIR"
    ) from failure
