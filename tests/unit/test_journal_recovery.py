"""Recovery seals what dead processes left, however often it is done, interrupted, or done by many at once."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from agentrace import events
from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.journal import list_runs, open_record, recover, verify
from agentrace.journal.lanes import is_living, lanes
from agentrace.journal.sealed import open_segment
from agentrace.journal.segment import Progress, SegmentWriter, chain_start, chained
from tests.unit.journal_samples import (
    OTHER,
    RUN,
    chain_of,
    died,
    digest,
    event,
    journal,
    lost,
    read,
    seq_of,
    written,
)


def dead_store(root: Path, *, runs: int = 1, length: int = 20) -> list[bytes]:
    """A store with a dead lane that holds some runs; their ids."""
    made = journal(root, seal=False)
    run_ids = [number.to_bytes(16, "big") for number in range(1, runs + 1)]
    for run_id in run_ids:
        writer = made.writer(run_id)
        writer.payload(digest(run_id), run_id)
        for seq in range(1, length + 1):
            writer.event(event(seq))
    made.forget()
    return run_ids


def segments(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("segments/*/*")}


def test_the_lane_of_a_living_process_is_not_touched(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1)])
    before = sorted(path.name for path in tmp_path.rglob("*"))

    recovered = recover(tmp_path, tombstone=events.tombstone)

    assert (recovered, sorted(path.name for path in tmp_path.rglob("*"))) == ([], before)
    made.close()


def test_what_a_dead_process_never_wrote_is_told_as_lost_in_its_place(tmp_path: Path) -> None:
    died(written(tmp_path, [event(seq) for seq in (1, 2, 4, 9)]))

    (recovered,) = recover(tmp_path, tombstone=events.tombstone)

    record, found = read(tmp_path)
    assert [lost(body) or seq_of(body) for body in found] == [1, 2, (3, 3, "crash"), 4, (5, 8, "crash"), 9]
    assert (recovered.lost, record.holes, verify(tmp_path, RUN)) == (5, [], [])


def test_a_store_that_is_not_there_has_nothing_to_recover(tmp_path: Path) -> None:
    assert recover(tmp_path / "store", tombstone=events.tombstone) == []
    assert list_runs(tmp_path / "store") == []
    with pytest.raises(RunNotFound):
        open_record(tmp_path / "store", RUN)
    assert list(tmp_path.iterdir()) == []


def test_what_was_recovered_is_told(tmp_path: Path) -> None:
    made = journal(tmp_path, seal=False)
    writer = made.writer(RUN)
    for seq in (1, 2, 5):
        writer.event(event(seq))
    writer.payload(digest(b"data"), b"data")
    made.forget()

    (recovered,) = recover(tmp_path, tombstone=events.tombstone)

    told = (recovered.run_id, recovered.number, recovered.events, recovered.payloads, recovered.lost)
    assert told == (RUN, 1, 4, 1, 2)


def _recover(root: Path, start: multiprocessing.synchronize.Barrier, results: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg,name-defined]
    start.wait()
    recover(root, tombstone=events.tombstone)
    results.put(sorted(entry.state for entry in list_runs(root)))


def test_many_processes_recover_at_once(tmp_path: Path) -> None:
    number = 20 if os.environ.get("AGENTRACE_SOAK") else 6
    for _ in range(3):
        dead_store(tmp_path, runs=1)
    run_ids = dead_store(tmp_path, runs=8, length=50)
    living = written(tmp_path, [event(1)], run_id=OTHER)
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(number), context.SimpleQueue()

    workers = [context.Process(target=_recover, args=(tmp_path, start, results)) for _ in range(number)]
    for worker in workers:
        worker.start()
    states = [results.get() for _ in workers]
    for worker in workers:
        worker.join()

    assert states == [["live"] + ["sealed"] * len(run_ids)] * number
    assert len(list((tmp_path / "journal").iterdir())) == 1
    for run_id in run_ids:
        record, found = read(tmp_path, run_id)
        assert found == [event(seq) for seq in range(1, 51)]
        assert record.payload(digest(run_id)) == run_id
        assert verify(tmp_path, run_id) == []
    living.close()


def test_a_recovery_that_died_after_naming_a_segment_is_repeated_without_effect(tmp_path: Path) -> None:
    """The segment is there, and so are still the lane files."""
    (run_id,) = dead_store(tmp_path / "store")
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    recover(tmp_path / "store", tombstone=events.tombstone)
    sealed = segments(tmp_path / "store")
    shutil.copytree(tmp_path / "before" / "journal", tmp_path / "store" / "journal", dirs_exist_ok=True)

    between, found = read(tmp_path / "store", run_id)
    recovered = recover(tmp_path / "store", tombstone=events.tombstone)

    assert (between.state, found) == ("sealed", [event(seq) for seq in range(1, 21)])
    assert recovered == []
    assert segments(tmp_path / "store") == sealed
    assert not list((tmp_path / "store" / "journal").iterdir())


def test_what_a_dying_sealer_left_half_written_is_removed(tmp_path: Path) -> None:
    (run_id,) = dead_store(tmp_path)
    directory = tmp_path / "segments" / run_id.hex()
    directory.mkdir()
    (directory / ".000001.seg-00000000.tmp").write_bytes(b"half a segment")

    recover(tmp_path, tombstone=events.tombstone)

    assert [path.name for path in directory.iterdir()] == ["000001.seg"]
    assert verify(tmp_path, run_id) == []


def test_recovery_stops_when_its_time_is_over_and_goes_on_the_next_time(tmp_path: Path) -> None:
    run_ids = dead_store(tmp_path, runs=5, length=200)

    assert recover(tmp_path, tombstone=events.tombstone, timeout=-1) == []
    assert {entry.state for entry in list_runs(tmp_path)} == {"unsealed"}
    recover(tmp_path, tombstone=events.tombstone)

    assert [(entry.run_id, entry.state) for entry in list_runs(tmp_path)] == [(run, "sealed") for run in run_ids]


def test_lanes_are_recovered_in_the_order_in_which_they_were_started(tmp_path: Path) -> None:
    """A run that goes on in a second journal: were its lanes taken in another order, half of it would be lost."""
    first = written(tmp_path, [event(seq) for seq in range(1, 11)], seal=False)
    second = written(tmp_path, [event(seq) for seq in range(11, 21)], seal=False)
    second.forget()
    first.forget()

    recover(tmp_path, tombstone=events.tombstone)

    assert [seq_of(body) for body in read(tmp_path)[1]] == list(range(1, 21))


def test_who_looks_whether_a_process_lives_does_not_make_it_look_alive(tmp_path: Path) -> None:
    (run_id,) = dead_store(tmp_path)
    (lane,) = lanes(tmp_path)
    with (lane / "lock").open() as somebody:
        fcntl.flock(somebody, fcntl.LOCK_SH)

        assert not is_living(lane)
        recover(tmp_path, tombstone=events.tombstone)

    assert verify(tmp_path, run_id) == []
    assert lanes(tmp_path) == []


def test_a_lane_that_has_no_lock_is_dead(tmp_path: Path) -> None:
    (run_id,) = dead_store(tmp_path)
    for lock in tmp_path.glob("journal/*/lock"):
        lock.unlink()

    recover(tmp_path, tombstone=events.tombstone)

    assert verify(tmp_path, run_id) == []
    assert not list((tmp_path / "journal").iterdir())


def test_a_damaged_lane_file_is_set_aside_not_removed(tmp_path: Path) -> None:
    (run_id,) = dead_store(tmp_path)
    (path,) = tmp_path.glob("journal/*/*.lane")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    name = path.relative_to(tmp_path / "journal")

    recover(tmp_path, tombstone=events.tombstone)

    assert (tmp_path / "damaged" / name).read_bytes() == bytes(data)
    assert [spot.file for spot in open_record(tmp_path, run_id).damage] == [f"journal/{name}"]


def test_of_two_that_seal_a_run_against_the_rules_one_is_refused(tmp_path: Path) -> None:
    before = Progress(0, 0, chain_start(RUN))
    writers = [SegmentWriter(tmp_path, RUN, before) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.event(event(1, f"as number {number} has it"), 1)
        writer.finish([])

    published = [writer.publish() for writer in writers]
    for writer in writers:
        writer.discard()

    (path,) = tmp_path.iterdir()
    segment = open_segment(path, path.name, RUN)
    assert published == [True, False]
    assert [body for *_, body in segment.events(segment.footer.chunks[0])] == [event(1, "as number 0 has it")]


def test_what_died_before_it_had_a_name_is_removed_a_day_later(tmp_path: Path) -> None:
    for name in (".new-1-1-abcd-ef01", ".new-2-2-abcd-ef01"):
        (tmp_path / "journal" / name).mkdir(parents=True)
        (tmp_path / "journal" / name / "lock").touch()
    long_ago = time.time() - 90_000
    os.utime(tmp_path / "journal" / ".new-1-1-abcd-ef01", (long_ago, long_ago))

    recover(tmp_path, tombstone=events.tombstone)

    assert [path.name for path in (tmp_path / "journal").iterdir()] == [".new-2-2-abcd-ef01"]


@pytest.mark.parametrize("at", [2, 4, 8, 40])
def test_runs_are_listed_from_a_lane_with_a_damaged_header(tmp_path: Path, at: int) -> None:
    """The second run is found although the lengths in the headers do not lead to it."""
    run_ids = dead_store(tmp_path, runs=2)
    (path,) = tmp_path.glob("journal/*/*.lane")
    data = bytearray(path.read_bytes())
    data[at] ^= 64
    path.write_bytes(data)

    assert [entry.run_id for entry in list_runs(tmp_path)] == run_ids


# --- verify -------------------------------------------------------------------------------------------------


def sealed_in_three(root: Path) -> list[Path]:
    for first in (1, 11, 21):
        written(root, [event(seq) for seq in range(first, first + 10)]).close()
    return sorted(root.glob("segments/*/*.seg"))


def test_a_segment_that_is_missing_is_a_hole_and_breaks_the_chain(tmp_path: Path) -> None:
    paths = sealed_in_three(tmp_path)
    assert verify(tmp_path, RUN) == []

    paths[1].unlink()

    assert [(problem.kind, problem.text) for problem in verify(tmp_path, RUN)] == [
        ("hole", "events 11 to 20 are missing"),
        ("chain", f"segments/{RUN.hex()}/000003.seg does not continue what is before it"),
    ]
    assert [seq_of(body) for body in read(tmp_path)[1]] == [*range(1, 11), *range(21, 31)]


def test_events_of_another_record_break_the_chain(tmp_path: Path) -> None:
    paths = sealed_in_three(tmp_path / "one")
    bodies = [event(seq) for seq in range(1, 11)]
    written(tmp_path / "other", [*bodies[:9], event(10, "changed by somebody")]).close()
    (other,) = (tmp_path / "other").glob("segments/*/*.seg")

    shutil.copy(other, paths[0])

    assert [problem.kind for problem in verify(tmp_path / "one", RUN)] == ["chain"]


def test_a_segment_of_another_run_is_not_read(tmp_path: Path) -> None:
    paths = sealed_in_three(tmp_path)
    written(tmp_path, [event(1, "of the other")], run_id=OTHER).close()
    (other,) = tmp_path.glob(f"segments/{OTHER.hex()}/*.seg")

    shutil.copy(other, paths[2])

    record, found = read(tmp_path)
    assert [seq_of(body) for body in found] == list(range(1, 21))
    assert [spot.what for spot in record.damage] == [f"segments/{RUN.hex()}/000003.seg belongs to another run"]


def test_a_payload_that_events_refer_to_must_be_there(tmp_path: Path) -> None:
    made = journal(tmp_path)
    writer = made.writer(RUN)
    writer.payload(digest(b"there"), b"there")
    writer.event(event(1, "there"))
    writer.event(event(2, "missing"))
    made.close()

    def references(body: bytes) -> list[bytes]:
        return [digest(b"there") if b"there" in body else digest(b"missing")]

    problems = verify(tmp_path, RUN, references=references)

    assert [problem.text for problem in problems] == [f"payload {digest(b'missing').hex()} is missing"]
    with pytest.raises(CorruptRecord, match="not in the record"):
        open_record(tmp_path, RUN).payload(digest(b"missing"))


def test_the_chain_is_the_documented_one(tmp_path: Path) -> None:
    sealed_in_three(tmp_path)
    bodies = [event(seq) for seq in range(1, 31)]

    assert open_record(tmp_path, RUN).chain() == chain_of(bodies)
    assert chain_of(bodies) == chained(chain_of(bodies[:-1]), bodies[-1])
