"""Removing runs: each is taken out of the readers' sight at once and as a whole, and then off the disk.

A sealed run is one directory, which is moved into the store's trash under a new name. Killed in between, a removal
leaves every run either whole or in the trash; whoever opens the store next empties that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from agentrace.journal.disk import sync_directory
from agentrace.journal.frames import HEADER_SIZE, Damage, concerned, scan
from agentrace.journal.lane_glancing import runs_in_file
from agentrace.journal.lanes import Place, lane_file_name, lane_files


def take_away(root: Path, run_ids: Iterable[bytes]) -> Iterator[bytes]:
    """Move sealed runs into the trash, and yield those that were there. Raises OSError.

    The caller has made sure that they are over and in no lane.
    """
    place = Place(root)
    place.trash.mkdir(mode=0o700, exist_ok=True)
    for run_id in run_ids:
        try:
            os.rename(place.segments / run_id.hex(), place.trash / f"{run_id.hex()}-{os.urandom(4).hex()}")
        except FileNotFoundError:
            continue  # somebody else removed it in this moment
        yield run_id


def in_trash(root: Path) -> dict[Path, bytes]:
    """What is in the trash, and the run that each was; empty if it is no run's name."""
    try:
        names = sorted(os.listdir(Place(root).trash))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {Place(root).trash / name: _named(name.partition("-")[0]) for name in names}


def empty_trash(root: Path, entries: Iterable[Path]) -> Iterator[Path]:
    """Delete these entries of the trash, and yield each that is gone. Raises OSError."""
    place = Place(root)
    with suppress(FileNotFoundError):
        sync_directory(place.segments)  # without power, no run may come back that has lost a part
    for entry in entries:
        delete(entry)
        yield entry
    with suppress(OSError):
        place.trash.rmdir()  # unless somebody else removes something


def delete(path: Path) -> None:
    """Delete a file or a directory with all that is in it; no link is followed. Raises OSError.

    Others may delete it at the same time.
    """
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        for entry in list(os.scandir(path)):
            delete(Path(entry.path))
        path.rmdir()


def damaged_of(root: Path, run_ids: Collection[bytes]) -> tuple[list[Path], list[Path]]:
    """The damaged lane files in which something of these runs is: those in which no other run is that is still there,
    and those in which one is.
    """
    gone = frozenset(run_ids)
    segments = Place(root).segments
    alone: list[Path] = []
    shared: list[Path] = []
    for path in damaged_files(root):
        runs = runs_in_file(path)
        if runs & gone:
            others = any((segments / run_id.hex()).exists() for run_id in runs - gone)
            (shared if others else alone).append(path)
    return alone, shared


def blank(path: Path, run_ids: Collection[bytes]) -> None:
    """Overwrite in a damaged lane file what is of these runs, or damaged so that it may be; the rest stays.

    Raises OSError.
    """
    gone, damage = frozenset(run_ids), list[Damage]()
    with suppress(FileNotFoundError), path.open("r+b") as file:
        data = file.read()
        frames = list(scan(data, path.parent.name, damage, file=lane_file_name(path), size=len(data)))
        others = {run_id for _, run_id, _, _ in frames} - gone
        spots = [(at - HEADER_SIZE, len(body) + HEADER_SIZE) for _, run_id, at, body in frames if run_id in gone]
        for spot in damage:
            content = data[spot.offset : spot.offset + spot.length]
            is_named = concerned(data, spot, others) is not others
            if not is_named or any(run_id in content for run_id in gone):
                spots.append((spot.offset, spot.length))
        for at, length in spots:
            file.seek(at)
            file.write(bytes(length))
        file.flush()
        os.fsync(file.fileno())


def damaged_files(root: Path) -> list[Path]:
    """The lane files that were set aside because damage was found in them."""
    try:
        lanes = sorted(os.listdir(Place(root).damaged))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for lane in lanes for path in lane_files(Place(root).damaged / lane)]


def _named(name: str) -> bytes:
    try:
        found = bytes.fromhex(name)
    except ValueError:
        return b""
    return found if len(found) == 16 else b""
