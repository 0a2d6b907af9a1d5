"""Whether anything is new, seen from the journal without opening the index.

Beside the index stands what it was made from: a digest of the runs that were there. While a program is recording,
there may always be something new; then a pass that began after one's own beginning is enough.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

from agentrace.index.database import STAMP, identity
from agentrace.query import RunEntry, facts_version

FILE: Final = "index.stamp"
LANES: Final = "index.lanes"


class Pass(Struct, frozen=True):
    """One pass of the indexer."""

    digest: str
    """Of the runs that were there; empty if one of them was not sealed."""
    began: int
    """Monotonic nanoseconds since the machine was started."""
    boot: str
    """Names that start of the machine."""
    identity: str = ""
    """Of the index when the pass was done."""
    facts: dict[str, str] = {}
    """Integrations that told something of these runs, and their versions."""


def segment_stamps(root: Path) -> dict[bytes, str]:
    """When a segment was last added to each sealed run, or taken from it."""
    stamps: dict[bytes, str] = {}
    with suppress(OSError), os.scandir(root / "segments") as entries:
        for entry in entries:
            with suppress(OSError, ValueError):
                stamps[bytes.fromhex(entry.name)] = str(entry.stat(follow_symlinks=False).st_mtime_ns)
    return stamps


def this_pass(began: int, root: Path, entries: Sequence[RunEntry], archives: Collection[str] = ()) -> Pass:
    """What a pass finds that began then, before ``entries`` were listed; ``archives`` are those that can be reached.

    Segments come to a run only while it is in a lane, and whole runs come and go by the directory that they are in.
    """
    if any(entry.state != "sealed" for entry in entries):  # in a lane something may still come
        return Pass("", began, _boot())
    places = [f"{_changed(Path(place))} {place}" for place in sorted(archives)]
    digest = blake3("\n".join([STAMP, str(_changed(root)), *places, ""]).encode())
    for entry in entries:
        digest.update(entry.run_id)
        digest.update(entry.state.encode())
    return Pass(digest.hexdigest(), began, _boot())


def last_pass(root: Path) -> Pass | None:
    """The last pass that was done; ``None`` if that is not known."""
    try:
        return msgspec.json.decode((root / FILE).read_bytes(), type=Pass)
    except (OSError, msgspec.DecodeError):
        return None


def is_covered(root: Path, wanted: Pass) -> bool:
    """Whether the last pass found all that ``wanted`` would find."""
    last = last_pass(root)
    if (
        last is None
        or last.identity != identity(root)
        or any(facts_version(name) != version for name, version in last.facts.items())
    ):
        return False
    if wanted.digest and last.digest == wanted.digest:
        return True
    return bool(wanted.boot) and last.boot == wanted.boot and last.began >= wanted.began


def note(root: Path, done: Pass, facts: dict[str, str], came_to: bytes) -> None:
    """Note that a pass is done, what was told by whom, and how far in the lanes it ``came_to``.

    Only its writer may, while it holds the index alone.
    """
    _write(root / LANES, came_to)
    _write(root / FILE, msgspec.json.encode(replace(done, facts=facts, identity=identity(root))))


def came_to(root: Path) -> bytes:
    """How far in the lanes the last pass had come; empty if that is not known."""
    try:
        return (root / LANES).read_bytes()
    except OSError:
        return b""


def _write(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}-{os.getpid()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def forget(root: Path) -> None:
    """The next one looks at the index itself."""
    (root / FILE).unlink(missing_ok=True)


def _changed(root: Path) -> int:
    """When a run last came to the sealed ones in a directory, or went; 0 if that cannot be seen."""
    try:
        return os.stat(root / "segments").st_mtime_ns
    except OSError:
        return 0


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
