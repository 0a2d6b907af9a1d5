"""A look at the lanes: which runs they hold and how far each is, which is enough to list them.

What a look found can be kept. The next one then goes on from there: it costs in proportion to what came since, and has
that at hand, run by run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from agentrace.journal.frames import (
    EVENT,
    FINISHED,
    HEADER,
    HEADER_SIZE,
    KINDS,
    LAST_LOST,
    MAGIC,
    PAYLOAD,
    TOMBSTONE,
    VERSION,
    Found,
    head,
    skip_zeros,
)
from agentrace.journal.lane_reading import Unsealed, content_of, is_cut, scanned
from agentrace.journal.lanes import is_living, lane_file_name, lane_files, lanes


class Seen(msgspec.Struct, array_like=True):
    """What was seen of a run."""

    last: int = 0
    """The last seq."""
    filled: bool = False
    finished: bool = False

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


class Looked(msgspec.Struct, array_like=True):
    """One lane file, looked at up to behind the frame that ends ``at`` this offset."""

    at: int
    runs: dict[bytes, Seen]

    def add(self, kind: int, run_id: bytes, body: bytes) -> None:
        """Take in a frame."""
        seen = self.runs.get(run_id)
        if seen is None:
            seen = self.runs[run_id] = Seen()
        seen.add(kind, body)


Places: TypeAlias = Mapping[str, Looked]
"""How far the lanes were looked at, by lane file (``lane_file_name``)."""


class Glimpse(Seen, array_like=True):
    """A run in the lanes."""

    living: bool = False
    lane: Path | None = None
    """The only lane that it is in; ``None`` if there are several."""


class Look:
    """What one look at all lanes found."""

    def __init__(self) -> None:
        self.runs: dict[bytes, Glimpse] = {}
        self.places: dict[str, Looked] = {}
        self.news: dict[bytes, Unsealed] = {}
        """What came since the look before, of the runs of which all that came is known."""

    def add(self, lane: Path, living: bool, places: Places, news: Mapping[bytes, Unsealed] | None) -> None:
        """Take in what is in one lane; ``news`` are ``None`` where it is not known what of it is new."""
        self.places.update(places)
        for run_id, seen in (found for looked in places.values() for found in looked.runs.items()):
            run = self.runs.get(run_id)
            if run is None:
                run = self.runs[run_id] = Glimpse(living=living, lane=lane)
                if news is not None:
                    self.news[run_id] = news.get(run_id) or Unsealed()
            elif run.lane != lane:
                run.lane = None
                self.news.pop(run_id, None)
            run.last = max(run.last, seen.last)
            run.filled |= seen.filled
            run.finished |= seen.finished


def look(root: Path, before: Places | None = None) -> Look:
    """All runs that have frames in a lane. Of what was there ``before`` nothing is read again in lanes of the living;
    of the rest, bodies are not checked, except in a file whose headers do not add up.
    """
    found = Look()
    for lane in lanes(root):
        living = is_living(lane)
        paths = list(lane_files(lane))
        since = _since(lane, paths, before) if living and before else None
        if since is not None:
            found.add(lane, living, *since)
        else:
            found.add(lane, living, {lane_file_name(path): _looked_at(path, living) for path in paths}, None)
    return found


def _since(lane: Path, paths: Sequence[Path], before: Places) -> tuple[Places, Mapping[bytes, Unsealed]] | None:
    """What came into a lane of a living process; ``None`` where that cannot be said, and it is to be read whole."""
    if not _goes_on(lane, paths, before):
        return None
    places: dict[str, Looked] = {}
    news: dict[bytes, Unsealed] = {}
    for path in paths:
        was = before.get(lane_file_name(path))
        start = 0 if was is None else was.at
        content, size = content_of(path, living=True, start=start)
        frames, damage = scanned(content, path, living=True)
        if damage or is_cut(content, frames, size - start):
            return None
        now = Looked(start, {} if was is None else dict(was.runs))
        for run_id in {run_id for _, run_id, _, _ in frames} & now.runs.keys():
            now.runs[run_id] = msgspec.structs.replace(now.runs[run_id])
        for kind, run_id, offset, body in frames:
            if news.setdefault(run_id, Unsealed()).add(kind, body):
                return None
            now.add(kind, run_id, body)
            now.at = start + offset + len(body)
        places[lane_file_name(path)] = now
    return places, news


def _goes_on(lane: Path, paths: Sequence[Path], before: Places) -> bool:
    """Whether a lane has all files that were looked at before, and all that came since."""
    there = [lane_file_name(path) for path in paths]
    known = sorted(name for name in before if name.startswith(f"journal/{lane.name}/"))
    if not known or not set(known) <= set(there):
        return False
    numbers = [int(path.stem) for path in paths[there.index(known[-1]) :]]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _looked_at(path: Path, living: bool) -> Looked:
    looked = Looked(0, {})
    for kind, run_id, body, end in _glimpse(path, living):
        looked.add(kind, run_id, body)
        looked.at = end
    return looked


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
    return {run_id for _, run_id, _, _ in _glimpse(path, living)}


def _glimpse(path: Path, living: bool) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Kind, run id, body and end of each frame, by the lengths in the headers."""
    content, _ = content_of(path, living)
    unpack, at = HEADER.unpack_from, 0
    while at + HEADER_SIZE <= len(content):
        magic, kind, version, length, _, run_id = unpack(content, at)
        body, end = at + HEADER_SIZE, at + HEADER_SIZE + length
        if magic != MAGIC or version != VERSION or kind not in KINDS or end > len(content):
            if not (living and magic == 0) and skip_zeros(content, at, len(content)) < len(content):
                yield from _whole(scanned(content, path, living)[0])
            return
        yield kind, run_id, content[body:end], end
        at = end


def _whole(frames: Iterable[Found]) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Frames of a file that is not as it was written: a later look is not to go on from here."""
    return ((kind, run_id, body, 0) for kind, run_id, _, body in frames)
