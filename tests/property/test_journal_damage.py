"""A cut or a changed byte anywhere: never a wrong value, what is whole is kept, what is damaged is told."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace import events
from agentrace.errors import CorruptRecord
from agentrace.journal import Record, open_record, recover, verify
from agentrace.journal.frames import HEADER_SIZE
from tests.unit.journal_samples import RUN, chain_of, digest, event, journal, lost, read, seq_of

SOAK = int(os.environ.get("AGENTRACE_SOAK", "0"))
BODIES = [event(seq, "x" * (seq * 7 % 60)) for seq in range(1, 31)]
PAYLOADS = {digest(data): data for data in (b"first payload", b"second " * 20, bytes(300))}
BY_SEQ = {seq_of(body): body for body in BODIES}


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one lane, of a dead process, that holds all bodies, with the payloads between them."""
    root = tmp_path_factory.mktemp("dead") / "store"
    made = journal(root, seal=False)
    writer = made.writer(RUN)
    payloads = list(PAYLOADS.items())
    for number, body in enumerate(BODIES):
        if number % 10 == 5:
            writer.payload(*payloads.pop())
        writer.event(body)
    made.forget()
    return root


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one sealed run of three segments."""
    root = tmp_path_factory.mktemp("sealed") / "store"
    payloads = list(PAYLOADS.items())
    for first in (0, 10, 20):
        made = journal(root)
        writer = made.writer(RUN)
        writer.payload(*payloads.pop())
        for body in BODIES[first : first + 10]:
            writer.event(body)
        made.close()
    return root


def lane_file(root: Path) -> Path:
    (path,) = root.glob("journal/*/*.lane")
    return path


def used(root: Path) -> int:
    """How many bytes of the lane file hold frames."""
    return len(lane_file(root).read_bytes().rstrip(b"\0"))


def copied(root: Path, directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(root, directory)
    return directory


def changed(path: Path, offset: int, flip: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= flip
    path.write_bytes(data)


def no_wrong_value(record: Record) -> set[int]:
    """Whatever is read is what was written, or a tombstone; the seqs that were kept."""
    kept: set[int] = set()
    for body in record.events():
        stands_for = lost(body)
        if stands_for is None:
            assert body == BY_SEQ[seq_of(body)]
            kept.add(seq_of(body))
    for name, data in PAYLOADS.items():
        try:
            assert record.payload(name) == data
        except CorruptRecord:
            continue
    return kept


def payloads_kept(record: Record) -> set[bytes]:
    kept: set[bytes] = set()
    for name in PAYLOADS:
        try:
            kept.add(record.payload(name))
        except CorruptRecord:
            continue
    return kept


# --- lanes --------------------------------------------------------------------------------------------------


def check_cut(dead: Path, directory: Path, at: int) -> None:
    root = copied(dead, directory)
    os.truncate(lane_file(root), at)
    if at < HEADER_SIZE:
        return

    record, before = read(root)
    torn = record.damage
    recover(root, tombstone=events.tombstone)

    assert before == BODIES[: len(before)]
    assert all(spot.what == "torn tail" and spot.offset < spot.offset + spot.length <= at for spot in torn)
    assert len(torn) <= 1
    assert not list(root.glob("journal/*"))
    if before:
        record, after = read(root)
        assert (after, record.damage, record.chain()) == (before, torn, chain_of(before))
        assert len(verify(root, RUN)) == len(torn)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_lane_that_was_cut_keeps_every_whole_frame(
    dead: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, used(dead)))

    check_cut(dead, tmp_path_factory.getbasetemp() / "cut", at)


@pytest.mark.skipif(not SOAK, reason="set AGENTRACE_SOAK to cut and change every byte")
def test_every_cut_of_a_lane(dead: Path, tmp_path: Path) -> None:
    for at in range(used(dead) + 1):
        check_cut(dead, tmp_path / "cut", at)


def check_change(dead: Path, directory: Path, at: int, flip: int) -> None:
    root = copied(dead, directory)
    changed(lane_file(root), at, flip)

    record = open_record(root, RUN)
    kept = no_wrong_value(record)
    lost_events, lost_payloads = len(BODIES) - len(kept), len(PAYLOADS) - len(payloads_kept(record))
    assert lost_events + lost_payloads <= 1
    assert [spot.what for spot in record.damage] in (["damaged frame"], ["torn tail"])
    spot = record.damage[0]
    assert spot.offset <= at < spot.offset + spot.length

    recover(root, tombstone=events.tombstone)

    recovered = open_record(root, RUN)
    assert no_wrong_value(recovered) == kept
    assert payloads_kept(recovered) == payloads_kept(record)
    assert recovered.damage == record.damage
    assert [problem.kind for problem in verify(root, RUN)] == ["damage"]
    if spot.what == "damaged frame":
        assert len(list(root.glob("damaged/*/*.lane"))) == 1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_changed_byte_in_a_lane_costs_one_frame(
    dead: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, used(dead) - 1))
    flip = data.draw(st.integers(1, 255))

    check_change(dead, tmp_path_factory.getbasetemp() / "changed", at, flip)


@pytest.mark.skipif(not SOAK, reason="set AGENTRACE_SOAK to cut and change every byte")
def test_every_changed_byte_of_a_lane(dead: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    for at in range(used(dead)):
        check_change(dead, tmp_path / "changed", at, rng.randrange(1, 256))


@settings(max_examples=20, deadline=None)
@given(start=st.integers(0, 2500), length=st.integers(1, 600))
def test_a_stretch_of_zeros_in_a_lane_is_told(
    dead: Path, tmp_path_factory: pytest.TempPathFactory, start: int, length: int
) -> None:
    root = copied(dead, tmp_path_factory.getbasetemp() / "zeros")
    data = bytearray(lane_file(root).read_bytes())
    end = min(start + length, used(dead))
    before = bytes(data[start:end])
    data[start:end] = bytes(end - start)
    lane_file(root).write_bytes(data)

    record = open_record(root, RUN)
    kept = no_wrong_value(record)

    missing = set(BY_SEQ) - kept
    assert not missing or missing == set(range(min(missing), max(missing) + 1))
    if any(before) and end < used(dead):
        assert record.damage[0].offset <= start + before.index(before.lstrip(b"\0")[0])


# --- segments -----------------------------------------------------------------------------------------------


def segment_files(root: Path) -> list[Path]:
    return sorted(root.glob("segments/*/*.seg"))


def check_changed_segment(sealed: Path, directory: Path, number: int, at: int, flip: int) -> None:
    root = copied(sealed, directory)
    path = segment_files(root)[number]
    changed(path, at, flip)

    record = open_record(root, RUN)
    kept = no_wrong_value(record)

    of_this_segment = set(range(number * 10 + 1, number * 10 + 11))
    assert kept in (set(BY_SEQ), set(BY_SEQ) - of_this_segment)
    holes = [] if kept == set(BY_SEQ) else [(min(of_this_segment), max(of_this_segment))]
    assert record.holes == holes
    assert len(holes) + len(PAYLOADS) - len(payloads_kept(record)) <= 1
    assert {spot.file for spot in record.damage} == {f"segments/{RUN.hex()}/{path.name}"}
    assert "damage" in {problem.kind for problem in verify(root, RUN)}


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_changed_byte_in_a_segment_costs_one_chunk(
    sealed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, segment_files(sealed)[number].stat().st_size - 1))
    flip = data.draw(st.integers(1, 255))

    check_changed_segment(sealed, tmp_path_factory.getbasetemp() / "segment", number, at, flip)


def test_every_changed_byte_of_the_frame_of_a_segment(sealed: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    size = segment_files(sealed)[1].stat().st_size
    for at in range(size) if SOAK else (*range(40), *range(size - 60, size)):
        check_changed_segment(sealed, tmp_path / "segment", 1, at, rng.randrange(1, 256))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_cut_segment_keeps_its_whole_chunks(
    sealed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = copied(sealed, tmp_path_factory.getbasetemp() / "cut-segment")
    path = segment_files(root)[2]
    os.truncate(path, data.draw(st.integers(0, path.stat().st_size - 1)))

    record = open_record(root, RUN)
    kept = no_wrong_value(record)

    assert kept in (set(BY_SEQ), set(range(1, 21)))
    assert record.damage
    assert "damage" in {problem.kind for problem in verify(root, RUN)}
