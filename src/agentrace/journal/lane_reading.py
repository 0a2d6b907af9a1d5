"""What the lanes hold: the frames of living and dead processes that are not sealed yet, by run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agentrace.journal.disk import read_fully
from agentrace.journal.frames import (
    CONFLICT,
    DIGEST_SIZE,
    EVENT,
    FINISHED,
    HEADER,
    HEADER_SIZE,
    LAST_LOST,
    MAGIC,
    NO_EVENT,
    PAYLOAD,
    TOMBSTONE,
    Damage,
    Found,
    concerned,
    damaged_body,
    head,
    scan,
)
from agentrace.journal.lanes import is_living, lane_file_name, lane_files

_PIECE: Final = 1 << 20
_ZEROS: Final = bytes(_PIECE)


class Unsealed:
    """What one run has in the lanes. ``events``: first seq -> (last seq, event)."""

    __slots__ = ("damage", "events", "finished", "living", "payloads")

    def __init__(self) -> None:
        self.events: dict[int, tuple[int, bytes]] = {}
        self.payloads: dict[bytes, bytes] = {}
        self.living = False
        self.finished = False
        self.damage: list[Damage] = []

    @property
    def live(self) -> bool:
        """Whether its process may still write events of it."""
        return self.living and not self.finished

    @property
    def last(self) -> int:
        """The last seq that is here."""
        return max((last for last, _ in self.events.values()), default=0)

    def add(self, kind: int, body: bytes) -> str:
        """Take in a frame; what is wrong with it, or nothing."""
        if kind == PAYLOAD:
            self.payloads.setdefault(body[:DIGEST_SIZE], body[DIGEST_SIZE:])
        elif kind == FINISHED:
            self.finished = True
        elif kind in (EVENT, TOMBSTONE):
            event = body if kind == EVENT else body[LAST_LOST.size :]
            found = head(event)
            if found is None:
                return NO_EVENT
            last = found.seq if kind == EVENT else LAST_LOST.unpack_from(body)[0]
            if self.events.setdefault(found.seq, (last, event))[1] != event:
                return CONFLICT
        return ""


def unsealed_runs(there: Iterable[Path], only: bytes | None = None) -> dict[bytes, Unsealed]:
    """All runs that have frames in these lanes, or only the one that is named."""
    runs: dict[bytes, Unsealed] = {}
    for lane in there:
        living = is_living(lane)
        for path in lane_files(lane):
            content, frames, damage = _frames_of(path, living)
            here: set[bytes] = set()
            for kind, run_id, offset, body in frames:
                here.add(run_id)
                if only is None or run_id == only:
                    run = runs.get(run_id) or runs.setdefault(run_id, Unsealed())
                    run.living = living
                    wrong = run.add(kind, body)
                    if wrong:
                        damage.append(damaged_body(lane_file_name(path), offset, body, wrong))
            for spot in damage:
                for run_id in runs.keys() & concerned(content, spot, here):
                    runs[run_id].damage.append(spot)
    return runs


def _frames_of(path: Path, living: bool) -> tuple[bytes, list[Found], list[Damage]]:
    """A lane file and the frames in it; nothing if it was sealed and removed in this moment."""
    content, size = content_of(path, living)
    frames, damage = scanned(content, path, living)
    if living and (damage or is_cut(content, frames, size)):
        # A frame was being written while we read; now it is there. Or there are a million zeros in a payload.
        content, _ = content_of(path, living=False)
        frames, damage = scanned(content, path, living)
    return content, frames, damage


def content_of(path: Path, living: bool, start: int = 0) -> tuple[bytes, int]:
    """What is written in a lane file from ``start`` on, and its size; nothing if it was sealed and removed now."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", 0
    try:
        size = os.fstat(fd).st_size
        return _written_part(fd, size, start) if living else read_fully(fd, size - start, start), size
    finally:
        os.close(fd)


def scanned(content: bytes, path: Path, living: bool) -> tuple[list[Found], list[Damage]]:
    """The frames in (a stretch of) a lane file, and what is damaged there."""
    damage: list[Damage] = []
    name, size = lane_file_name(path), len(content)
    return list(scan(content, path.parent.name, damage, file=name, size=size, living=living)), damage


def _written_part(fd: int, size: int, start: int) -> bytes:
    """The file from ``start`` up to where, it seems, there are only the zeros that were allocated ahead."""
    pieces: list[bytes] = []
    for offset in range(start, size, _PIECE):
        piece = read_fully(fd, min(_PIECE, size - offset), offset)
        if not piece or piece == _ZEROS[: len(piece)]:
            break
        pieces.append(piece)
    return b"".join(pieces)


def is_cut(content: bytes, frames: list[Found], size: int) -> bool:
    """Whether a frame begins in what was read, and ends beyond it."""
    at = frames[-1][2] + len(frames[-1][3]) if frames else 0
    if at + HEADER_SIZE > len(content):
        return False
    magic, _, _, length, _, _ = HEADER.unpack_from(content, at)
    return bool(magic == MAGIC and len(content) < at + HEADER_SIZE + length <= size)
