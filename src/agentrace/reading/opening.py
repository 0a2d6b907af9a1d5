"""``agentrace.open()``: which store or trace file is meant, and that there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from agentrace import config
from agentrace.archive import TraceFile
from agentrace.config import STORE_NAME
from agentrace.errors import ConfigError, StoreError
from agentrace.reading.recordings import Recordings
from agentrace.reading.source import Source

_OF_A_STORE: Final = ("segments", "journal")


def open(  # noqa: A001  (it is agentrace.open)
    where: str | os.PathLike[str] | None = None, *, home: str | os.PathLike[str] | None = None
) -> Recordings:
    """What was recorded, for reading: runs, steps, messages, events, SQL, data frames.

    ``where`` is a store directory or a trace file, which has to be there. Without it, it is the store in force: the one
    that this process records into, or else the one of the settings (docs/settings.md), for which ``home`` stands as in
    ``agentrace.init(home=...)``; that one may be empty, or yet to be made. Nothing is recorded, and nothing but the
    index of the store is written. Raises ``ConfigError``, ``StoreError`` (slug ``open-not-found``) and
    ``TraceFileError``. ::

        with agentrace.open() as recordings:
            print(recordings["@last"].usage.output_tokens)
    """
    if where is None:
        return Recordings(Source(_in_force(home), None))
    if home is not None:
        raise ConfigError("both where and home are given", do="leave one of them out", slug="open-filter")
    path = Path(where)
    if path.is_dir():
        return Recordings(Source(_checked(path), None))
    if not path.exists():
        raise StoreError(
            f"there is no store and no trace file {path}",
            do="check the name; agentrace.open() without one opens the store in force, which `agentrace path` shows",
            slug="open-not-found",
        )
    return Recordings(Source(path, TraceFile(path)))


def _in_force(home: str | os.PathLike[str] | None) -> Path:
    given = None if home is None else os.fspath(home)
    recording = sys.modules.get("agentrace.runtime")  # what is not loaded records nothing
    if given is None and recording is not None and recording.status().home:
        return Path(recording.status().home)
    found = config.load({"home": given}, environ=os.environ, cwd=_working_directory()).home
    if found.exists() and not found.is_dir():
        raise ConfigError(
            f"the store {found} is a file", do="name a directory, or open the file: agentrace.open(file)", slug="config"
        )
    return found


def _checked(path: Path) -> Path:
    """A directory that is a store, or may become one."""
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read: {error.strerror}", do="make it readable") from error
    if not names or names.intersection(_OF_A_STORE):
        return path
    inside = path / STORE_NAME
    raise StoreError(
        f"{path} is a directory, and no store",
        do=f"open {inside}" if inside.is_dir() else "name the directory of the store, which `agentrace path` shows",
        slug="open-not-found",
    )


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
