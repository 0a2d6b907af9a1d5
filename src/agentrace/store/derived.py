"""Results that can be computed again, kept beside the runs that they were computed from.

One small file for each result, ``<root>/derived/<name>``. Deleting them costs time and nothing else; a store that
may only be read goes without.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

DIRECTORY: Final = "derived"

_encode = msgspec.msgpack.Encoder().encode


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    stamp: str
    data: msgspec.Raw


_decode = msgspec.msgpack.Decoder(_Kept).decode


class Derived:
    """What was derived from the runs of one store."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DIRECTORY
        self._writable = True

    def get(self, name: str, stamp: str) -> bytes | None:
        """What was kept under this name with this stamp; ``None`` if nothing was, or with another stamp."""
        try:
            kept = _decode((self._directory / name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return bytes(kept.data) if kept.stamp == stamp else None

    def put(self, name: str, stamp: str, data: bytes) -> bool:
        """Keep the msgpack ``data``, in place of what was kept under this name before; whether that was possible."""
        if not self._writable:
            return False
        path = self._directory / name
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            _replace(path, _encode(_Kept(stamp, msgspec.Raw(data))))
        except OSError:
            self._writable = False  # once is enough to learn that this store is not ours to write
        return self._writable


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it sees the old one or the new one, whole."""
    new = path.with_name(f".{path.name}-{os.getpid()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.closing(os.fdopen(fd, "wb")) as file:
            file.write(data)
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
