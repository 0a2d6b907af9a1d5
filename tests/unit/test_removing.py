"""Removing runs: each is whole or gone, whoever is killed or reads meanwhile, and what belongs to it goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentrace.errors import RunNotFound
from agentrace.journal import Snapshot, list_runs, verify
from agentrace.journal.removal import damaged_files
from agentrace.query import Runs
from agentrace.store import Store
from agentrace.store.removing import remove
from tests.unit.journal_samples import OTHER, RUN, died, digest, event, journal, written
from tests.unit.recorded_runs import Process

REPOSITORY = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from agentrace.store.removing import remove

root, after = Path(sys.argv[1]), int(sys.argv[2])
told = []
def watch(share):
    told.append(share)
    if len(told) == after:
        os.kill(os.getpid(), signal.SIGKILL)
remove(root, [[bytes.fromhex(name)] for name in sorted(os.listdir(root / "segments"))], watch)
"""


def stored(root: Path, count: int) -> list[bytes]:
    """That many runs, which are over and sealed."""
    process = Process(root)
    for number in range(count):
        run = process.run(f"agent-{number}", after_ms=number)
        run.done(run.step("tool", "fetch", 1, {"n": number}), 2, os.urandom(2000).hex())
        run.end(3)
    process.close()
    return [entry.run_id for entry in list_runs(root)]


def ids(root: Path) -> list[bytes]:
    return [entry.run_id for entry in list_runs(root)]


@pytest.mark.parametrize("after", [1, 4, 8])
def test_killed_in_between_each_run_is_whole_or_gone_and_the_next_command_ends_it(tmp_path: Path, after: int) -> None:
    runs = stored(tmp_path, 8)
    for _ in Runs(tmp_path).listed():
        pass  # what is derived from them is kept
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(after)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "trash").iterdir())) == after

    left = Store(tmp_path)

    assert [entry.run_id for entry in left.entries] == runs[after:]
    assert not (tmp_path / "trash").exists()
    assert [left.problems(run_id) for run_id in runs[after:]] == [[]] * (8 - after)
    gone = {run_id.hex() for run_id in runs[:after]}
    assert [name for name in os.listdir(tmp_path / "derived") if name[:32] in gone] == []


def test_what_was_derived_from_a_run_goes_with_it_and_nothing_else_does(tmp_path: Path) -> None:
    runs = stored(tmp_path, 40)
    assert len(list(Runs(tmp_path).listed())) == 40
    before = set(os.listdir(tmp_path / "derived"))

    remove(tmp_path, [[runs[3]]])

    gone = {runs[3].hex(), f"{runs[3].hex()}.meaning"}
    assert set(os.listdir(tmp_path / "derived")) == before - gone
    kept = (tmp_path / "derived" / "heads").read_bytes()
    assert b"\xa7agent-3" not in kept
    assert b"\xa7agent-4" in kept
    assert [head.name for head in Runs(tmp_path).heads()] == [f"agent-{n}" for n in reversed(range(40)) if n != 3]


def test_a_run_that_somebody_writes_is_left_with_its_whole_group(tmp_path: Path) -> None:
    (other,) = stored(tmp_path, 1)
    going_on = written(tmp_path, [event(1)])

    done = remove(tmp_path, [[RUN, other]])

    assert (done.removed, done.kept) == ([], {RUN: True, other: True})
    assert set(ids(tmp_path)) == {RUN, other}
    going_on.close()
    assert remove(tmp_path, [[RUN, other]]).removed == [RUN, other]
    assert ids(tmp_path) == []


def test_a_run_that_is_over_but_in_the_lane_of_a_living_process_is_left(tmp_path: Path) -> None:
    recorder = journal(tmp_path)
    run = recorder.writer(RUN)
    run.event(event(1))
    run.finished()

    assert remove(tmp_path, [[RUN]]).kept == {RUN: True}
    recorder.close()
    assert remove(tmp_path, [[RUN]]).removed == [RUN]


def test_what_a_dead_process_left_is_sealed_first(tmp_path: Path) -> None:
    recorder = written(tmp_path, [event(1)])
    recorder.writer(OTHER).event(event(1))
    died(recorder)

    done = remove(tmp_path, [[RUN]])

    assert done.removed == [RUN]
    assert ids(tmp_path) == [OTHER]
    assert verify(tmp_path, OTHER) == []
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_damaged_lane_file_goes_with_the_last_run_that_is_in_it(tmp_path: Path) -> None:
    recorder = written(tmp_path, [event(n) for n in range(1, 9)])
    recorder.writer(OTHER).event(event(1, "of the other"))
    died(recorder)
    (lane,) = (tmp_path / "journal").glob("*/*.lane")
    data = bytearray(lane.read_bytes())
    data[data.index(b"what happened")] ^= 1
    lane.write_bytes(data)
    assert Store(tmp_path).entries
    assert len(damaged_files(tmp_path)) == 1

    first = remove(tmp_path, [[RUN]])
    assert first.damaged == damaged_files(tmp_path) != []
    second = remove(tmp_path, [[OTHER]])

    assert second.damaged == damaged_files(tmp_path) == []
    assert list((tmp_path / "damaged").iterdir()) == []


def test_a_run_that_is_not_there_is_not_removed(tmp_path: Path) -> None:
    (run,) = stored(tmp_path, 1)
    assert remove(tmp_path, [[run], [OTHER]]).removed == [run]
    assert remove(tmp_path, [[run]]).removed == []


def test_no_link_is_followed_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (run,) = stored(tmp_path / "store", 1)
    (tmp_path / "store" / "segments" / run.hex() / "link").symlink_to(tmp_path / "precious")

    remove(tmp_path / "store", [[run]])

    assert ids(tmp_path / "store") == []
    assert (tmp_path / "precious" / "file").read_text() == "kept"


def test_readers_meanwhile_get_the_run_or_are_told_that_it_is_gone(tmp_path: Path) -> None:
    """Runs of several segments, too large to be read at once."""
    runs: list[bytes] = []
    for number in range(12):
        run_id = bytes([number]) * 16
        runs.append(run_id)
        for first in (1, 5):
            recorder = journal(tmp_path)
            run = recorder.writer(run_id)
            for seq in range(first, first + 4):
                data = os.urandom(100_000)
                run.payload(digest(data), data)
                run.event(event(seq))
            recorder.close(timeout=30)
    assert [len(os.listdir(tmp_path / "segments" / run_id.hex())) for run_id in runs] == [2] * 12
    outcomes: list[object] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            for run_id in runs:
                outcomes.append(read_whole(tmp_path, run_id))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for run_id in runs:
        seen = len(outcomes)
        while len(outcomes) < seen + 3 and any(reader.is_alive() for reader in readers):
            over.wait(0.001)
        remove(tmp_path, [[run_id]])
    over.set()
    for reader in readers:
        reader.join()

    assert set(outcomes) == {8, "gone"}


def read_whole(root: Path, run_id: bytes) -> object:
    """How many events and payloads of a run can be read; or that it is gone, or what else went wrong."""
    try:
        record = Snapshot(root).record(run_id)
        events = len(list(record.events()))
        payloads = [len(record.payload(one)) for one in record.digests()]
    except RunNotFound:
        return "gone"
    except Exception as error:
        return repr(error)
    return events if len(payloads) == 8 and not record.holes and not record.damage else record


def test_a_list_passes_over_what_is_removed_while_it_is_read(tmp_path: Path) -> None:
    runs = stored(tmp_path, 4)
    opened = Runs(tmp_path)
    listed = opened.listed()
    assert next(listed).summary.name == "agent-3"

    remove(tmp_path, [[runs[1]], [runs[2]]])

    assert [one.summary.name for one in listed] == ["agent-0"]
    assert [one.name for one in Runs(tmp_path).heads()] == ["agent-3", "agent-0"]


def test_two_who_remove_at_once_remove_each_run_once(tmp_path: Path) -> None:
    runs = stored(tmp_path, 60)
    removed: list[list[bytes]] = []

    def all_of_them() -> None:
        removed.append(remove(tmp_path, [[run_id] for run_id in runs]).removed)

    others = [threading.Thread(target=all_of_them) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()

    assert sorted(run_id for one in removed for run_id in one) == runs
    assert ids(tmp_path) == []
    assert not (tmp_path / "trash").exists()
