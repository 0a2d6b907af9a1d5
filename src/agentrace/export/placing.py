"""Putting a file in its place: at once and whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from agentrace.errors import StoreError


def place(path: Path, parts: Iterable[bytes], *, replace: bool) -> int:
    """Write ``parts`` to ``path``; the file's size. Without ``replace`` a file that is there is left as it is.

    Only its owner may read the file, as it is with trace files: it holds what was said. Raises ``StoreError``.
    """
    try:
        return _placed(path, parts, replace=replace)
    except FileExistsError as failure:
        raise _there(path) from failure
    except OSError as failure:
        raise StoreError(
            f"{path} cannot be written: {failure.strerror or failure}", do="name a place with space that you may write"
        ) from failure


def refuse_existing(path: Path) -> None:
    """Raise ``StoreError`` if there is something at ``path``, before anything is made for it."""
    if os.path.lexists(path):
        raise _there(path)


def _there(path: Path) -> StoreError:
    return StoreError(
        f"{path} is there already", do="name another file, or replace it with --force", slug="file-exists"
    )


def _placed(path: Path, parts: Iterable[bytes], *, replace: bool) -> int:
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        (os.replace if replace else _move_to_nothing)(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return size


def _move_to_nothing(temporary: str, path: Path) -> None:
    """Give the file its name; raises ``FileExistsError`` if that is taken, however late."""
    try:
        os.link(temporary, path)  # unlike a renaming, this fails where there is something
    except FileExistsError:
        raise
    except OSError:  # no links on this file system: take the name first
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(temporary, path)
    else:
        os.unlink(temporary)
