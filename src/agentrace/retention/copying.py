"""A sealed run copied from one store-shaped directory to another: as a whole, and compared with what was copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from blake3 import blake3

from agentrace.errors import StoreError
from agentrace.events import EventsLost, decode
from agentrace.journal.disk import sync_directory
from agentrace.journal.lanes import Place
from agentrace.journal.reading import open_sealed
from agentrace.journal.removal import delete, empty_trash, in_trash, take_away
from agentrace.journal.run_directory import segment_paths, take_over
from agentrace.journal.segment import SegmentWriter

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
    _sweep_copies(there.parent, [run_id])
    if not there.exists():
        new = there.with_name(f"{_NEW}{run_id.hex()}-{os.urandom(4).hex()}")
        try:
            _copied(here, new)
            os.rename(new, there)
            sync_directory(there.parent)
        finally:
            delete(new)
    _refuse_links(here, there)
    if _digests(there) != wanted:
        raise StoreError(
            f"{there} is not what {here} is: nothing was removed",
            do="see which of the two is right with `agentrace verify`, and move the other one away",
            slug="archive",
        )
    return sum(path.stat().st_size for path in segment_paths(here))


def go_on(late: Path, whole: Path, run_id: bytes) -> None:
    """Add to a run in ``whole`` what was recorded of it into ``late`` after it had been moved there, and take it out.

    A process that is still there may do that. The record of it then begins with a hole where the moved part is; that
    which stands for the hole is left out. Does nothing where ``late`` holds anything else. Raises OSError.
    """
    here, there = (Place(root).segments / run_id.hex() for root in (late, whole))
    if not segment_paths(here) or not segment_paths(there) or _digests(here) == _digests(there):
        return
    progress = take_over(there, run_id)
    record, known = open_sealed(late, run_id), set(open_sealed(whole, run_id).events())
    spans = [span for span in record.spans() if span[2] not in known]
    if record.damage or not all(_comes_later(span, progress.last) for span in spans):
        return
    writer = SegmentWriter(there, run_id, progress)
    try:
        for first, last, event in spans:
            if first > progress.last:
                writer.event(event, last)
        for digest in record.digests():
            if digest not in progress.digests:
                writer.payload(digest, record.payload(digest))
        if spans:
            writer.finish([])
            writer.sync()
            writer.publish()
            sync_directory(there)
    finally:
        writer.discard()
    take_out(late, [run_id])


def _comes_later(span: tuple[int, int, bytes], last: int) -> bool:
    """Whether an event comes after ``last``, or stands for a hole that ends there."""
    first, until, event = span
    return first > last or (until <= last and isinstance(decode(event), EventsLost))


def see_both(source: Path, target: Path, run_ids: Iterable[bytes]) -> None:
    """See once more that both have all of these runs, before one is removed. Raises ``StoreError``."""
    for run_id in run_ids:
        here, there = (Place(root).segments / run_id.hex() for root in (source, target))
        _refuse_links(here, there)
        if not _sizes(there) or _sizes(there) != _sizes(here):
            raise StoreError(
                f"{there} was changed meanwhile: {here} was not removed", do="try again when it is done", slug="archive"
            )


def take_out(root: Path, run_ids: Sequence[bytes]) -> None:
    """Remove the segments of these runs, and nothing else. Raises OSError."""
    taken = set(take_away(root, run_ids))
    ours = [path for path, run_id in in_trash(root).items() if run_id in taken]
    for _ in empty_trash(root, ours):
        pass


def sweep(root: Path, run_ids: Collection[bytes]) -> None:
    """Remove what a copy or a removal of these runs left that was killed; nobody else is at work there.

    Raises OSError.
    """
    _sweep_copies(Place(root).segments, run_ids)
    for _ in empty_trash(root, [path for path, run_id in in_trash(root).items() if run_id in run_ids]):
        pass


def _sweep_copies(segments: Path, run_ids: Collection[bytes]) -> None:
    beginnings = tuple(f"{_NEW}{run_id.hex()}-" for run_id in run_ids)
    for name in os.listdir(segments):
        if name.startswith(beginnings):
            delete(segments / name)


def _refuse_links(here: Path, there: Path) -> None:
    """A copy that is a link, or a mount, of what was copied is none."""
    links = [path for path in (*segment_paths(here), *segment_paths(there)) if path.is_symlink()]
    if links or os.path.samefile(here, there):
        raise StoreError(
            f"{links[0] if links else there} is a link, and no copy: nothing was removed",
            do="put the file or directory itself there",
            slug="archive",
        )


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in segment_paths(directory)}


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
