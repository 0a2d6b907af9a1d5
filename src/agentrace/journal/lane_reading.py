"""What the lanes hold: the frames of living and dead processes that are not sealed yet, by run."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    KINDS,
    LAST_LOST,
    MAGIC,
    NO_EVENT,
    PAYLOAD,
    TOMBSTONE,
    VERSION,
    Damage,
    Found,
    concerned,
    damaged_body,
    head,
    scan,
    skip_zeros,
)
from agentrace.journal.lanes import is_living, lane_file_name, lane_files, lanes

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


def unsealed_runs(root: Path, only: bytes | None = None) -> dict[bytes, Unsealed]:
    """All runs that have frames in a lane, or only the one that is named."""
    runs: dict[bytes, Unsealed] = {}
    for lane in lanes(root):
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


class Glimpse:
    """What a look at the headers of the lanes tells of a run: enough to list it."""

    __slots__ = ("filled", "finished", "last", "living")

    def __init__(self, living: bool) -> None:
        self.living = living
        self.finished = False
        self.filled = False
        self.last = 0

    def add(self, kind: int, body: bytes) -> None:
        """Take in a frame."""
        if kind == FINISHED:
            self.finished = True
        elif kind == PAYLOAD:
            self.filled = True
        elif kind in (EVENT, TOMBSTONE):
            self.filled = True
            found = head(body) if kind == EVENT else None
            self.last = max(self.last, found.seq if found else LAST_LOST.unpack_from(body.ljust(8))[0])


def glimpsed_runs(root: Path) -> dict[bytes, Glimpse]:
    """All runs that have frames in a lane. Bodies are not checked, except in a file whose headers do not add up."""
    runs: dict[bytes, Glimpse] = {}
    for lane in lanes(root):
        living = is_living(lane)
        for path in lane_files(lane):
            for kind, run_id, body in _glimpse(path, living):
                run = runs.get(run_id)
                if run is None:
                    run = runs[run_id] = Glimpse(living)
                run.add(kind, body)
    return runs


def runs_in_lanes(root: Path) -> dict[bytes, bool]:
    """Every run of which there is a frame in a lane, and whether the lane's process lives.

    None is overlooked because its process goes on to the next file meanwhile: that one names every open run again
    before the one before it is removed, so a lane of which a file has gone is looked at again.
    """
    found: dict[bytes, bool] = {}
    for lane in lanes(root):
        living = is_living(lane)
        files: list[Path] = []
        while True:
            before, files = files, list(lane_files(lane))
            if (before and set(before) <= set(files)) or not files:
                break
            for path in files:
                for run_id in runs_in_file(path, living):
                    found[run_id] = living
    return found


def runs_in_file(path: Path, living: bool = False) -> set[bytes]:
    """The runs of which there is a frame in a lane file; none if it is gone."""
    return {run_id for _, run_id, _ in _glimpse(path, living)}


def _glimpse(path: Path, living: bool) -> Iterator[tuple[int, bytes, bytes]]:
    """Kind, run id and body of each frame, by the lengths in the headers."""
    content, _ = _content(path, living)
    unpack, at = HEADER.unpack_from, 0
    while at + HEADER_SIZE <= len(content):
        magic, kind, version, length, _, run_id = unpack(content, at)
        body, end = at + HEADER_SIZE, at + HEADER_SIZE + length
        if magic != MAGIC or version != VERSION or kind not in KINDS or end > len(content):
            if not (living and magic == 0) and skip_zeros(content, at, len(content)) < len(content):
                for found, run, _, whole in _scanned(content, path, living)[0]:
                    yield found, run, whole
            return
        yield kind, run_id, content[body:end]
        at = end


def _frames_of(path: Path, living: bool) -> tuple[bytes, list[Found], list[Damage]]:
    """A lane file and the frames in it; nothing if it was sealed and removed in this moment."""
    content, size = _content(path, living)
    frames, damage = _scanned(content, path, living)
    if living and (damage or _is_cut(content, frames, size)):
        # A frame was being written while we read; now it is there. Or there are a million zeros in a payload.
        content, _ = _content(path, living=False)
        frames, damage = _scanned(content, path, living)
    return content, frames, damage


def _content(path: Path, living: bool) -> tuple[bytes, int]:
    """What is written in a lane file, and its size; nothing if it was sealed and removed in this moment."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", 0
    try:
        size = os.fstat(fd).st_size
        return _written_part(fd, size) if living else read_fully(fd, size), size
    finally:
        os.close(fd)


def _scanned(content: bytes, path: Path, living: bool) -> tuple[list[Found], list[Damage]]:
    damage: list[Damage] = []
    name, size = lane_file_name(path), len(content)
    return list(scan(content, path.parent.name, damage, file=name, size=size, living=living)), damage


def _written_part(fd: int, size: int) -> bytes:
    """The file up to where, it seems, there are only the zeros that were allocated ahead."""
    pieces: list[bytes] = []
    for offset in range(0, size, _PIECE):
        piece = read_fully(fd, min(_PIECE, size - offset), offset)
        if not piece or piece == _ZEROS[: len(piece)]:
            break
        pieces.append(piece)
    return b"".join(pieces)


def _is_cut(content: bytes, frames: list[Found], size: int) -> bool:
    """Whether a frame begins in what was read, and ends beyond it."""
    at = frames[-1][2] + len(frames[-1][3]) if frames else 0
    if at + HEADER_SIZE > len(content):
        return False
    magic, _, _, length, _, _ = HEADER.unpack_from(content, at)
    return bool(magic == MAGIC and len(content) < at + HEADER_SIZE + length <= size)
