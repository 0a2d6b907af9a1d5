"""One process writes: threads, signal handlers and forks at once, and a background that seals without hurting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrace import events
from agentrace.journal import Snapshot, list_runs, open_record, recover, verify
from agentrace.journal.filesystem import Verdict, judge
from agentrace.journal.lane import RETRY_AFTER
from agentrace.journal.lanes import is_living, lanes
from tests.unit.journal_samples import (
    OTHER,
    RUN,
    Failures,
    chain_of,
    digest,
    event,
    journal,
    read,
    seq_of,
    written,
)

TEXT = "the tool said that the answer is forty-two. " * 25
"""1.1 kB."""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what a background thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        os.sched_yield()


# --- threads and handlers -----------------------------------------------------------------------------------


def test_threads_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    made = journal(tmp_path)
    writer = made.writer(RUN)
    seqs = iter(range(1, 20_001))

    def work() -> None:
        for seq in seqs:
            writer.event(event(seq, TEXT[: seq % 300]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()

    record, found = read(tmp_path)
    assert found == [event(seq, TEXT[: seq % 300]) for seq in range(1, 20_001)]
    assert (record.state, record.damage, record.holes) == ("sealed", [], [])
    assert record.chain() == chain_of(found)


def test_3000_short_lived_threads_share_one_lane(tmp_path: Path) -> None:
    made = journal(tmp_path, seal=False)
    writer = made.writer(RUN)

    for seq in range(1, 3001):
        thread = threading.Thread(target=writer.event, args=(event(seq, TEXT),))
        thread.start()
        thread.join()

    held = sum(path.stat().st_blocks * 512 for path in tmp_path.glob("journal/*/*.lane"))
    assert held < 3000 * len(event(1, TEXT)) * 4
    assert read(tmp_path)[1] == [event(seq, TEXT) for seq in range(1, 3001)]
    made.close()


@pytest.mark.parametrize("may_map", [judge, lambda _: Verdict(False, "as the test wants it")])
def test_a_signal_handler_writes_while_the_main_thread_does(tmp_path: Path, may_map: Callable[[Path], Verdict]) -> None:
    made = journal(tmp_path, may_map=may_map)
    mine, handlers = made.writer(RUN), made.writer(OTHER)
    fired, over = 0, False

    def interrupt(*_: object) -> None:
        nonlocal fired
        fired += 1
        handlers.event(event(fired, TEXT * 20))
        if fired % 50 == 0:
            made.flush()
        if not over:  # it may be called once more when the timer is stopped
            signal.setitimer(signal.ITIMER_REAL, 0.000_1)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.000_1)
    try:
        seq = 0
        while fired < 400:
            seq += 1
            mine.event(event(seq, TEXT))
            made.writer(RUN)
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    made.close(timeout=20)

    assert read(tmp_path)[1] == [event(number, TEXT) for number in range(1, seq + 1)]
    assert read(tmp_path, OTHER)[1] == [event(number, TEXT * 20) for number in range(1, fired + 1)]
    assert verify(tmp_path, RUN) == verify(tmp_path, OTHER) == []


def test_a_reader_in_a_loop_sees_a_growing_prefix(tmp_path: Path) -> None:
    made = journal(tmp_path)
    writer = made.writer(RUN)
    total = 15_000

    def work() -> None:
        for seq in range(1, total + 1):
            writer.event(event(seq, TEXT[: seq % 900]))

    thread = threading.Thread(target=work)
    thread.start()
    seen = 0
    while seen < total:
        record = open_record(tmp_path, RUN)
        found = list(record.events())
        assert [seq_of(body) for body in found] == list(range(1, len(found) + 1))
        assert len(found) >= seen
        assert (record.state, record.damage, record.holes) == ("live", [], [])
        seen = len(found)
    thread.join()
    made.close()


def test_a_living_run_is_read_past_a_million_zeros(tmp_path: Path) -> None:
    """Zeros are also what is allocated ahead of the writer."""
    made = journal(tmp_path)
    writer = made.writer(RUN)
    for seq in range(1, 30):
        writer.event(event(seq, TEXT * 20))
    zeros = bytes(3 << 20)

    writer.payload(digest(zeros), zeros)
    writer.event(event(30))

    record, found = read(tmp_path)
    assert [seq_of(body) for body in found] == list(range(1, 31))
    assert record.payload(digest(zeros)) == zeros
    made.close()


def test_a_disk_that_refuses_is_not_asked_for_each_event(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    failures = Failures()
    writer = journal(tmp_path / "file" / "store", on_failure=failures).writer(RUN)

    start = time.monotonic()
    for seq in range(1, 1001):
        writer.event(event(seq))
    attempts = 1 + (time.monotonic() - start) / RETRY_AFTER

    assert failures.events == 1000
    assert len({id(failure) for failure, _ in failures}) <= attempts + 1


# --- sealing in the background ------------------------------------------------------------------------------


def test_the_background_seals_a_long_run_while_it_lives(tmp_path: Path) -> None:
    made = journal(tmp_path)
    writer = made.writer(RUN)

    for seq in range(1, 10_001):
        writer.event(event(seq, TEXT))
    until(lambda: len(list(tmp_path.glob("segments/*/*.seg"))) >= 2)
    until(lambda: len(list(tmp_path.glob("journal/*/*.lane"))) <= 2)

    record, found = read(tmp_path)
    assert (record.state, len(found), record.damage, record.holes) == ("live", 10_000, [], [])
    assert record.chain() == chain_of(found)
    made.close()
    record, again = read(tmp_path)
    assert (record.state, again) == ("sealed", found)


def test_a_run_that_waits_for_a_seq_is_sealed_up_to_it_and_continues(tmp_path: Path) -> None:
    made = journal(tmp_path)
    writer = made.writer(RUN)

    for seq in (*range(1, 2001), *range(2002, 6001)):
        writer.event(event(seq, TEXT))
    until(lambda: bool(list(tmp_path.glob("segments/*/*.seg"))))
    record, found = read(tmp_path)
    writer.event(event(2001, "at last"))

    assert (len(found), record.state, record.holes) == (2000, "live", [])
    assert [seq_of(body) for body in read(tmp_path)[1]] == list(range(1, 6001))
    made.close()
    assert [seq_of(body) for body in read(tmp_path)[1]] == list(range(1, 6001))


def test_many_small_runs_are_each_sealed_on_their_own(tmp_path: Path) -> None:
    made = journal(tmp_path)
    run_ids = [number.to_bytes(16, "big") for number in range(1, 301)]

    for run_id in run_ids:
        writer = made.writer(run_id)
        writer.payload(digest(run_id), run_id)
        writer.event(event(1, TEXT))
        writer.event(event(2))
        writer.finished()
    assert [entry.run_id for entry in list_runs(tmp_path)] == run_ids
    made.close(timeout=20)

    snapshot = Snapshot(tmp_path)
    assert [(entry.run_id, entry.state) for entry in snapshot.runs()] == [(run, "sealed") for run in run_ids]
    for run_id in run_ids:
        record = snapshot.record(run_id)
        assert list(record.events()) == [event(1, TEXT), event(2)]
        assert record.payload(digest(run_id)) == run_id


def test_a_finished_run_is_over_although_its_process_lives(tmp_path: Path) -> None:
    made = journal(tmp_path)
    over, goes_on = made.writer(RUN), made.writer(OTHER)
    over.event(event(1))
    goes_on.event(event(1))

    over.finished()

    assert [(entry.run_id, entry.state) for entry in list_runs(tmp_path)] == [
        (RUN, "unsealed"),
        (OTHER, "live"),
    ]
    made.close()


def test_the_end_with_10000_unsealed_events_is_quick(tmp_path: Path) -> None:
    began = time.process_time()
    made = written(tmp_path, (event(seq, TEXT[:600]) for seq in range(1, 10_001)))
    writing = time.process_time() - began
    made.close()
    closing = time.process_time() - began - writing

    assert closing < 15 * writing  # on a machine that writes them in 30 ms, half a second
    assert len(read(tmp_path)[1]) == 10_000


def test_an_end_without_time_leaves_everything_to_recovery(tmp_path: Path) -> None:
    made = written(tmp_path, [event(seq) for seq in range(1, 2001)])

    made.close(timeout=0)

    assert [entry.state for entry in list_runs(tmp_path)] == ["unsealed"]
    recover(tmp_path, tombstone=events.tombstone)
    record, found = read(tmp_path)
    assert (record.state, len(found), verify(tmp_path, RUN)) == ("sealed", 2000, [])


def test_without_sealing_the_lane_waits_for_the_next_reader(tmp_path: Path) -> None:
    made = written(tmp_path, [event(seq, TEXT) for seq in range(1, 2001)], seal=False)

    made.close()

    assert not list(tmp_path.glob("segments/*"))
    assert len(read(tmp_path)[1]) == 2000
    assert sum(path.stat().st_size for path in tmp_path.glob("journal/*/*.lane")) < 2000 * 1300
    recover(tmp_path, tombstone=events.tombstone)
    assert verify(tmp_path, RUN) == []


def test_a_hole_of_a_finished_run_is_filled_at_the_end(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1), event(4)])
    made.writer(RUN).finished()

    made.close()

    assert read(tmp_path)[1] == [
        event(1),
        events.tombstone(2, 3, "unwritten", 1_700_000_000_000_000_004),
        event(4),
    ]


@pytest.mark.parametrize("may_map", [judge, lambda _: Verdict(False, "as the test wants it")])
def test_durability_power_syncs_in_flush_and_every_50_ms(
    tmp_path: Path, may_map: Callable[[Path], Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, str]] = []
    fdatasync = os.fdatasync

    def noted(fd: int) -> None:
        fdatasync(fd)
        synced.append(
            (threading.current_thread() is threading.main_thread(), Path(os.readlink(f"/proc/self/fd/{fd}")).suffix)
        )

    monkeypatch.setattr(os, "fdatasync", noted)
    made = written(tmp_path, [event(1)], durability="power", may_map=may_map)

    made.flush()
    assert (True, ".lane") in synced
    until(lambda: (False, ".lane") in synced)
    made.close()

    assert read(tmp_path)[1] == [event(1)]


def test_durability_process_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    made = written(tmp_path, [event(1)], seal=False)

    made.flush()
    made.close()

    assert synced == []


# --- fork ---------------------------------------------------------------------------------------------------


def forked(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child; its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("may_map", [judge, lambda _: Verdict(False, "as the test wants it")])
def test_a_forked_child_lets_go_and_may_open_a_journal_of_its_own(
    tmp_path: Path, may_map: Callable[[Path], Verdict]
) -> None:
    made = journal(tmp_path, may_map=may_map)
    writer = made.writer(RUN)
    writer.event(event(1))

    def child() -> None:
        writer.event(event(99, "not of this process"))
        writer.finished()
        made.flush()
        made.close()
        own = journal(tmp_path, may_map=may_map)
        own.writer(OTHER).event(event(1, "of the child"))
        own.close()

    status = forked(child)
    writer.event(event(2))
    made.close()

    assert status == 0
    assert read(tmp_path)[1] == [event(1), event(2)]
    assert read(tmp_path, OTHER)[1] == [event(1, "of the child")]


def test_a_forked_child_leaves_the_parents_lock_alone(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1)])

    status = forked(made.forget)

    (lane,) = lanes(tmp_path)
    assert status == 0
    assert is_living(lane)
    assert recover(tmp_path, tombstone=events.tombstone) == []
    made.close()


def test_a_child_that_outlives_its_parent_does_not_keep_the_lane(tmp_path: Path) -> None:
    """The parent writes, forks a child that lives on, and is killed."""
    program = """
        import os, signal, sys, time
        from pathlib import Path
        from tests.unit.journal_samples import event, written

        made = written(Path(sys.argv[1]), [event(1), event(2)])
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    output, _ = parent.communicate(timeout=30)
    child = int(output)
    try:
        recover(tmp_path, tombstone=events.tombstone)

        record, found = read(tmp_path)
        assert (record.state, found) == ("sealed", [event(1), event(2)])
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_program_that_is_started_does_not_inherit_the_lane(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1)])

    output = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False, check=True
    ).stdout

    assert "->" in output
    assert str(tmp_path) not in output
    made.close()
