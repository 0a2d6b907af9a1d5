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

    Raises ``StoreError``.
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
        os.chmod(temporary, 0o666 & ~_umask())
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike a renaming, this fails where there is something
            os.unlink(temporary)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return size


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
