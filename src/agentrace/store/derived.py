"""Results that can be computed again, kept beside the runs that they were computed from.

One small file for each result, ``<root>/derived/<name>``. Deleting them costs time and nothing else; a store that
may only be read goes without.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec

DIRECTORY: Final = "derived"

_encode = msgspec.msgpack.Encoder().encode


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    stamp: str
    data: msgspec.Raw


_decode = msgspec.msgpack.Decoder(_Kept).decode
_decode_map = msgspec.msgpack.Decoder(dict[bytes, msgspec.Raw]).decode
_OF_A_RUN: Final = re.compile(r"([0-9a-f]{32})(?:\.|\Z)")
_ID: Final = 32


class Derived:
    """What was derived from the runs of one store."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DIRECTORY
        self._writable = True

    def get(self, name: str, stamp: str, since_ns: int = 0) -> bytes | None:
        """What was kept under this name with this stamp; ``None`` if nothing was, or with another stamp, or before
        ``since_ns`` (Unix nanoseconds).
        """
        path = self._directory / name
        try:
            if since_ns and os.stat(path).st_mtime_ns < since_ns:
                return None
            kept = _decode(path.read_bytes())
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

    def stamps(self) -> Iterator[tuple[str, str | None]]:
        """Every result by its name, and its stamp; None where it cannot be read."""
        for name in _names(self._directory):
            try:
                yield name, _decode((self._directory / name).read_bytes()).stamp
            except msgspec.DecodeError:
                yield name, None
            except OSError:
                continue  # removed since

    def forget(self, run_ids: Collection[bytes]) -> None:
        """Remove what was derived from these runs; what is kept of many runs is kept without them. Raises OSError.

        A result of one run has a name that begins with its id; one of many is a map by run id. What is half written
        goes too: nobody knows of which runs it is, and who is writing it goes without.
        """
        gone = {run_id.hex() for run_id in run_ids}
        if gone:
            for half in self._directory.glob(".*"):
                half.unlink(missing_ok=True)
        for name in _names(self._directory):
            if name[:_ID] in gone:
                (self._directory / name).unlink(missing_ok=True)
            elif run_of(name) is None:
                self._forget_in(self._directory / name, run_ids)

    def _forget_in(self, path: Path, run_ids: Collection[bytes]) -> None:
        try:
            kept = _decode(path.read_bytes())
            results = _decode_map(kept.data)
        except (OSError, msgspec.DecodeError):
            return  # nothing of ours, or nothing that anybody could read
        rest = {run_id: result for run_id, result in results.items() if run_id not in run_ids}
        if len(rest) < len(results):
            _replace(path, _encode(_Kept(kept.stamp, msgspec.Raw(_encode(rest)))))


def run_of(name: str) -> bytes | None:
    """The run that a name begins with the id of, 32 hex digits; None if it begins with none."""
    found = _OF_A_RUN.match(name)
    return None if found is None else bytes.fromhex(found[1])


def _names(directory: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


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
