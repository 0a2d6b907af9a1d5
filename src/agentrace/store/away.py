"""Runs of a store that are kept elsewhere: which they are, and in which archive.

An archive is a directory of the shape of a store, with the segments of its runs. The store keeps one small file for
each archive, ``<root>/archived/<name of the archive>``, so that a run that is archived is still listed where its
archive cannot be reached. Where the store itself has a run, that is the one that counts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agentrace.errors import ArchiveAway, StoreError
from agentrace.journal.disk import sync_directory, write_new

DIRECTORY: Final = "archived"
FORMAT: Final = 1

_encode = msgspec.msgpack.Encoder().encode


class Archive(Struct, frozen=True):
    """One archive as a store knows it."""

    name: str
    """32 hex digits, which the archive says of itself; it keeps them wherever it is moved to."""
    path: str
    """Where it is: an absolute path."""
    runs: dict[bytes, str]
    """The runs of the store that are in it, each with its segments and their sizes."""
    format: int = FORMAT

    @property
    def is_there(self) -> bool:
        """Whether it can be reached now."""
        return os.path.isdir(os.path.join(self.path, "segments"))  # unlike pathlib's, false whatever a mount answers


_decode = msgspec.msgpack.Decoder(Archive).decode


def archives(root: Path) -> list[Archive]:
    """The archives that a store knows, by name. Raises ``StoreError``."""
    try:
        names = sorted(os.listdir(root / DIRECTORY))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [_read(root / DIRECTORY / name) for name in names if not name.startswith(".")]


def where(known: list[Archive]) -> Mapping[bytes, Archive]:
    """The archive of each archived run; of several that have it one that can be reached."""
    ordered = sorted(known, key=lambda archive: archive.is_there)
    return {run_id: archive for archive in ordered for run_id in archive.runs}


def note(root: Path, archive: Archive) -> None:
    """Keep what is known of an archive, for good once this returns; nothing is kept of one without runs.

    Raises OSError.
    """
    directory = root / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / archive.name
    if not archive.runs:
        path.unlink(missing_ok=True)
        return
    new = directory / f".{archive.name}-{os.getpid()}-{os.urandom(4).hex()}"
    write_new(new, _encode(archive))
    with contextlib.closing(open(new, "rb")) as file:
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_directory(directory)


def _read(path: Path) -> Archive:
    try:
        found = _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(
            f"{path} does not say what is archived: {getattr(error, 'strerror', None) or error}",
            do="remove that file, then `agentrace archive --attach` the archive again",
            slug="archive",
        ) from error
    if found.format > FORMAT:
        raise StoreError(
            f"{path} was written by a newer agentrace", do="read this store with that one", slug="store-version"
        )
    return found


def is_away(archive: Archive, run_id: bytes) -> ArchiveAway:
    """The error for a run whose archive cannot be reached."""
    return ArchiveAway(
        f"run {run_id.hex()} is archived in {archive.path}, which is not there",
        do="make it reachable again, or say where it is now: agentrace archive --attach DIR",
    )
