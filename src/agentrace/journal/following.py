"""Following the lanes of a store while they are written: each look reads what came since the one before, and no more.

A lane file is append-only and has zeros behind its last frame, so where nothing came a look costs one read of a header
in each file. Files stay open, so what was sealed and removed between two looks is read to its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from agentrace.journal.disk import read_fully
from agentrace.journal.frames import HEADER, HEADER_SIZE, MAGIC, MAX_BODY, Found, scan
from agentrace.journal.lanes import LANE_SUFFIX, Place, is_living, lane_file_name, lane_files, lanes
from agentrace.journal.reading import sealed_runs

_PIECE: Final = 64 << 10
_COARSE_NS: Final = 1_000_000_000


class Arrived(NamedTuple):
    """A frame that came."""

    lane: str
    kind: int
    run_id: bytes
    body: bytes


class LaneWatch:
    """The lanes of one store. Those of processes that were dead before the first look are left alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lanes: dict[str, _Followed] = {}
        self._dead: set[str] = set()
        self._looked = False
        self._sealed: set[bytes] = set()
        self._sealed_at = 0

    def look(self) -> Iterator[Arrived]:
        """What came since the last look, lane by lane, each in the order of writing."""
        there = lanes(self._root)
        for path in there:
            name = path.name
            if name in self._lanes or name in self._dead:
                continue
            if self._looked or is_living(path):
                self._lanes[name] = _Followed(path)
            else:
                self._dead.add(name)
        self._looked = True
        present = {path.name for path in there}
        self._dead &= present
        for name, lane in list(self._lanes.items()):
            for kind, run_id, _, body in lane.arrived(name in present):
                yield Arrived(name, kind, run_id, body)
            if name not in present:
                lane.close()
                del self._lanes[name]

    def sealed(self) -> Iterator[bytes]:
        """The runs that were sealed since the last time, some of them again; at first all that are."""
        segments = Place(self._root).segments
        try:
            changed = os.stat(segments).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return
        # The clock of a file system may be coarse: what changed a moment ago may change again in the same moment.
        if changed == self._sealed_at and time.time_ns() - changed > _COARSE_NS:
            return
        self._sealed_at = changed
        found = set(sealed_runs(segments))
        yield from sorted(found - self._sealed)
        self._sealed = found

    def is_living(self, lane: str) -> bool:
        """Whether the process of a lane may still write; False once the lane is gone and was read to its end."""
        found = self._lanes.get(lane)
        return found is not None and is_living(found.path)

    def close(self) -> None:
        """Let all files go."""
        for lane in self._lanes.values():
            lane.close()
        self._lanes = {}


class _Followed:
    """One lane: its files, and how far each was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, _File] = {}

    def arrived(self, present: bool) -> Iterator[Found]:
        names = {path.name for path in lane_files(self.path)} if present else set[str]()
        for name in sorted(names - self._files.keys()):
            with suppress(FileNotFoundError):  # sealed and removed in this moment
                self._files[name] = _File(self.path / name)
        for name, file in sorted(self._files.items()):
            yield from file.arrived()
            if name not in names:
                file.close()
                del self._files[name]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}


class _File:
    """One lane file; ``_at``: behind the last frame that was read."""

    def __init__(self, path: Path) -> None:
        assert path.name.endswith(LANE_SUFFIX)
        self._lane = path.parent.name
        self._name = lane_file_name(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._at = 0

    def arrived(self) -> Iterator[Found]:
        while True:
            before = self._at
            yield from self._piece()
            if self._at == before:
                return

    def _piece(self) -> Iterator[Found]:
        head = os.pread(self._fd, HEADER_SIZE, self._at)
        if len(head) < HEADER_SIZE or not any(head):
            return
        magic, _, _, length, _, _ = HEADER.unpack(head)
        wanted = max(_PIECE, HEADER_SIZE + length if magic == MAGIC and length <= MAX_BODY else 0)
        start = self._at
        content = read_fully(self._fd, wanted, start)
        # Of what is no frame, only what has a whole frame behind it is stepped over: the rest may be in the making.
        for kind, run_id, offset, body in scan(
            content, self._lane, [], file=self._name, size=len(content), living=True
        ):
            self._at = start + offset + len(body)
            yield kind, run_id, offset, body

    def close(self) -> None:
        os.close(self._fd)
