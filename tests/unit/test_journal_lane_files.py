"""The edge of a full lane file: what a thread writes at the last moment is in the old file whole, or in the next."""

from __future__ import annotations

import os
from mmap import mmap
from pathlib import Path

import pytest

from agentrace import events
from agentrace.journal.frames import EVENT, HEADER_SIZE, frame
from agentrace.journal.lane import FIRST_SIZE, MappedLane, Terms
from agentrace.journal.lanes import LaneFile
from tests.unit.journal_samples import RUN, Failures, event


def mapped_file(path: Path, size: int, kind: type[mmap]) -> LaneFile:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, size)
    return LaneFile(path, fd, size, kind(fd, size))


def test_a_thread_that_looked_up_write_before_the_file_was_full_is_refused(tmp_path: Path) -> None:
    retired: list[LaneFile] = []
    lane = MappedLane(Terms(tmp_path, events.tombstone, Failures(), retired.append, synced=False))
    lane.overflow(frame(lane.name, EVENT, RUN, event(1)))
    late = lane.write

    lane.overflow(frame(lane.name, EVENT, RUN, event(2, "x" * FIRST_SIZE)))

    with pytest.raises(ValueError, match="out of range"):
        late(frame(lane.name, EVENT, RUN, event(3)))
    assert [file.plugged for file in retired] == [True]
    lane.close(0)
    lane.leave()


def test_a_frame_written_while_the_file_is_plugged_is_part_of_it(tmp_path: Path) -> None:
    last_moment = frame("lane", EVENT, RUN, event(2))

    class Contended(mmap):
        """Another thread writes between the look at the position and the plug."""

        def tell(self) -> int:
            position = super().tell()
            self.write(last_moment)
            return position

    file = mapped_file(tmp_path / "000001.lane", 1 << 16, Contended)
    assert file.mapping is not None
    file.mapping.write(frame("lane", EVENT, RUN, event(1)))

    file.plug()

    assert file.filled == 2 * HEADER_SIZE + len(event(1)) + len(event(2))
    file.close()


def test_trimming_gives_back_what_was_allocated_ahead(tmp_path: Path) -> None:
    file = mapped_file(tmp_path / "000001.lane", 1 << 16, mmap)
    assert file.mapping is not None
    written = frame("lane", EVENT, RUN, event(1))
    file.mapping.write(written)

    file.plug()
    file.trim()

    assert (tmp_path / "000001.lane").read_bytes() == bytes(file.content()) == written
    file.close()
