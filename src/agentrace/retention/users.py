"""Who relies on the runs of an archive: one small file in it, ``users/<32 hex>``, for each store.

A run goes out of the archive only for a store that put it there, and only while no other store relies on it. A store
is known by its machine and its path: one that was moved is another one, for which nothing is taken out.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3
from msgspec import Struct

from agentrace.errors import StoreError
from agentrace.journal.disk import sync_directory, write_new

DIRECTORY: Final = "users"
_HEX: Final = 32


class User(Struct, frozen=True):
    """A store that relies on runs of an archive."""

    path: str
    put: list[str]
    """The runs that it put there, by their ids in hex."""
    reads: list[str]
    """The runs that were there when it got to know the archive."""


_decode = msgspec.json.Decoder(User).decode


def rely(root: Path, target: Path, put: Iterable[bytes], reads: Iterable[bytes] = ()) -> None:
    """Say in an archive that a store relies on these runs, too. Raises ``StoreError`` and OSError."""
    known = _users(target).get(_name(root), User("", [], []))
    owned = {*known.put, *(run_id.hex() for run_id in put)}
    seen = {*known.reads, *(run_id.hex() for run_id in reads)} - owned
    _write(root, target, owned, seen)


def release(root: Path, target: Path, run_ids: Iterable[bytes]) -> None:
    """Say in an archive that a store does not need these runs any more. Raises ``StoreError`` and OSError."""
    known = _users(target).get(_name(root))
    if known is not None:
        gone = {run_id.hex() for run_id in run_ids}
        _write(root, target, {*known.put} - gone, {*known.reads} - gone)


def takeable(root: Path, target: Path, run_ids: Iterable[bytes]) -> list[bytes]:
    """The runs that may go out of the archive when this store does not need them. Raises ``StoreError``."""
    others = _users(target)
    own = others.pop(_name(root), None)
    needed = {run_id for user in others.values() for run_id in (*user.put, *user.reads)}
    free = set() if own is None else {*own.put} - needed
    return [run_id for run_id in run_ids if run_id.hex() in free]


def put_by_users(target: Path) -> set[bytes]:
    """The runs that some store put into the archive. Raises ``StoreError``."""
    return {bytes.fromhex(run_id) for user in _users(target).values() for run_id in user.put}


def _users(target: Path) -> dict[str, User]:
    try:
        names = sorted(os.listdir(target / DIRECTORY))
    except FileNotFoundError:
        return {}
    return {name: _read(target / DIRECTORY / name) for name in names if not name.startswith(".")}


def _read(path: Path) -> User:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(
            f"{path} does not say which runs a store needs: {getattr(error, 'strerror', None) or error}",
            do="remove that file; the store that it is of keeps its runs with `agentrace archive --attach`",
            slug="archive",
        ) from error


def _write(root: Path, target: Path, put: Collection[str], reads: Collection[str]) -> None:
    directory, name = target / DIRECTORY, _name(root)
    directory.mkdir(mode=0o700, exist_ok=True)
    if not put and not reads:
        (directory / name).unlink(missing_ok=True)
        return
    new = directory / f".{name}-{os.urandom(4).hex()}"
    user = User(os.fsencode(root.absolute()).decode("utf-8", "replace"), sorted(put), sorted(reads))
    write_new(new, msgspec.json.encode(user))
    with open(new, "rb") as file:
        os.fsync(file.fileno())
    os.replace(new, directory / name)
    sync_directory(directory)


def _name(root: Path) -> str:
    return blake3(platform.node().encode() + b"\0" + os.fsencode(root.resolve())).hexdigest()[:_HEX]
