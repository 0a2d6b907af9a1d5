"""Both ways of writing a lane, mapped and queued, keep the same promises when the disk or the directory fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrace import events
from agentrace.journal import Journal, list_runs, open_record, recover, verify
from agentrace.journal.filesystem import Verdict, judge
from tests.unit.journal_samples import (
    OTHER,
    RUN,
    Failures,
    chain_of,
    digest,
    event,
    journal,
    lost,
    read,
    seq_of,
)

MODES = {"mmap": judge, "fallback": lambda _: Verdict(False, "as the test wants it")}
BIG = "the tool said that the answer is forty-two. " * 1000
"""44 kB."""


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def make(mode: str, failures: Failures) -> Iterator[Callable[[Path], Journal]]:
    """Makes journals of this mode, and closes them at the end."""
    made: list[Journal] = []

    def make(root: Path) -> Journal:
        made.append(journal(root, on_failure=failures, may_map=MODES[mode]))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def grow(disk: Path) -> None:
    """Make room."""
    subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)


def test_the_mode_and_its_reason_are_told(make: Callable[[Path], Journal], mode: str, tmp_path: Path) -> None:
    made = make(tmp_path / "store")

    assert made.mode == mode
    assert made.why


def test_what_was_flushed_is_read_at_once(make: Callable[[Path], Journal], tmp_path: Path) -> None:
    made = make(tmp_path)
    writer = made.writer(RUN)
    bodies = [event(seq) for seq in range(1, 101)]

    for body in bodies:
        writer.event(body)
    writer.payload(digest(b"data"), b"data")
    made.flush()

    record, found = read(tmp_path)
    assert (record.state, found, record.payload(digest(b"data"))) == ("live", bodies, b"data")


def test_files_and_directories_are_the_owners_alone(make: Callable[[Path], Journal], tmp_path: Path) -> None:
    root = tmp_path / "store"
    made = make(root)
    made.writer(RUN).event(event(1))
    made.flush()
    living = [path for path in root.rglob("*") if path.suffix != ".seg"]
    modes = {path.stat().st_mode & 0o777 for path in living if path.is_dir()}

    made.close()

    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}
    assert (root / ".gitignore").read_text() == "*\n"


def test_a_full_disk_loses_events_which_are_counted_and_told_when_there_is_room_again(
    make: Callable[[Path], Journal], failures: Failures, small_disk: Path
) -> None:
    made = make(small_disk)
    writer = made.writer(RUN)
    seqs = iter(range(1, 1_000_000))

    while not failures.events:
        writer.event(event(next(seqs), BIG))
        made.flush()
    grow(small_disk)
    until_kept(lambda: writer.event(event(next(seqs), BIG)), failures)
    made.close(timeout=10)

    record, found = read(small_disk)
    holes = [stands_for for body in found if (stands_for := lost(body))]
    assert sum(last - first + 1 for first, last, _ in holes) == failures.events
    assert {reason for _, _, reason in holes} == {"disk"}
    assert [body for body in found if not lost(body)] == [
        event(seq, BIG) for seq in range(1, next(seqs)) if not any(f <= seq <= to for f, to, _ in holes)
    ]
    assert {type(failure) for failure, _ in failures} == {OSError}
    assert (record.damage, verify(small_disk, RUN)) == ([], [])


def until_kept(write: Callable[[], None], failures: Failures) -> None:
    """Write until an event is not lost: the disk is tried again every quarter of a second."""
    while True:
        before = failures.events
        write()
        if failures.events == before:
            return


def test_what_the_full_disk_kept_is_recovered(
    make: Callable[[Path], Journal], failures: Failures, small_disk: Path
) -> None:
    made = make(small_disk)
    writer = made.writer(RUN)
    seq = 0
    while not failures:
        seq += 1
        writer.event(event(seq, BIG))
        made.flush()

    made.close()
    grow(small_disk)
    recover(small_disk, tombstone=events.tombstone)

    record, found = read(small_disk)
    kept = [seq_of(body) for body in found if not lost(body)]
    assert len(kept) >= 10
    assert kept == list(range(1, len(kept) + 1))
    assert (record.state, verify(small_disk, RUN)) == ("sealed", [])


def unwritable_by_a_file(directory: Path) -> Path:
    (directory / "file").write_text("not a directory")
    return directory / "file" / "store"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A file system that nobody can write to, also not the superuser."""
    disk = tmp_path / "read-only"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def check_nothing_kept(made: Journal, failures: Failures) -> None:
    writer = made.writer(RUN)
    for seq in range(1, 11):
        writer.event(event(seq))
    writer.payload(digest(b"data"), b"data")
    writer.finished()
    made.flush()
    made.close()

    assert failures.events == 10
    assert all(isinstance(failure, OSError) for failure, _ in failures)


def test_where_no_directory_can_be_made_every_event_is_reported(
    make: Callable[[Path], Journal], failures: Failures, tmp_path: Path
) -> None:
    root = unwritable_by_a_file(tmp_path)

    check_nothing_kept(make(root), failures)

    assert list_runs(root) == []


def test_on_a_read_only_file_system_every_event_is_reported(
    make: Callable[[Path], Journal], failures: Failures, read_only: Path
) -> None:
    check_nothing_kept(make(read_only / "store"), failures)


def test_what_on_failure_raises_reaches_the_caller(mode: str, tmp_path: Path) -> None:
    def refuse(failure: BaseException, count: int) -> None:
        raise RuntimeError("the run may not go on") from failure

    made = journal(unwritable_by_a_file(tmp_path), on_failure=refuse, may_map=MODES[mode])

    with pytest.raises(RuntimeError, match="may not go on") as raised:
        made.writer(RUN)

    assert isinstance(raised.value.__cause__, NotADirectoryError)
    with pytest.raises(RuntimeError):
        made.flush() if mode == "fallback" else made.writer(OTHER)


@pytest.mark.parametrize("what", ["the store", "the journal", "the file", "the lock"])
def test_a_lane_that_was_removed_is_written_again(
    make: Callable[[Path], Journal], failures: Failures, tmp_path: Path, what: str
) -> None:
    root = tmp_path / "store"
    made = make(root)
    writer = made.writer(RUN)
    bodies = [event(seq, BIG) for seq in range(1, 31)]
    for body in bodies[:20]:
        writer.event(body)
    made.flush()

    remove(root, what)
    for body in bodies[20:]:
        writer.event(body)
    made.flush()

    assert read(root)[1][-20:] == bodies[-20:]
    assert list_runs(root)[0].state == "live"
    made.close()
    assert failures == []


def remove(root: Path, what: str) -> None:
    (lane,) = (root / "journal").iterdir()
    match what:
        case "the store":
            shutil.rmtree(root)
        case "the journal":
            shutil.rmtree(root / "journal")
        case "the lock":
            (lane / "lock").unlink()
        case _:
            for file in lane.glob("*.lane"):
                file.unlink()


def test_a_lane_that_was_moved_away_leaves_a_copy_of_the_run_in_each_place(
    make: Callable[[Path], Journal], failures: Failures, tmp_path: Path
) -> None:
    made = make(tmp_path / "store")
    writer = made.writer(RUN)
    writer.event(event(1))
    made.flush()

    (tmp_path / "store").rename(tmp_path / "moved")
    writer.event(event(2))
    made.close()

    recover(tmp_path / "moved", tombstone=events.tombstone)
    assert read(tmp_path / "store")[1] == [event(1), event(2)]
    assert read(tmp_path / "moved")[1][:1] == [event(1)]
    assert failures == []


def test_a_burst_that_is_quicker_than_the_disk_loses_nothing(
    make: Callable[[Path], Journal], failures: Failures, tmp_path: Path
) -> None:
    """88 MB at once: more than the queue takes."""
    made = make(tmp_path)
    writer = made.writer(RUN)

    for seq in range(1, 2001):
        writer.event(event(seq, BIG))
    made.flush()

    assert [seq_of(body) for body in read(tmp_path)[1]] == list(range(1, 2001))
    assert failures == []


def test_a_payload_larger_than_a_lane_file_gets_a_file_of_its_size(
    make: Callable[[Path], Journal], tmp_path: Path
) -> None:
    made = make(tmp_path)
    writer = made.writer(RUN)
    data = os.urandom(20 << 20)

    writer.event(event(1))
    writer.payload(digest(data), data)
    writer.event(event(2))
    made.close(timeout=30)

    record, found = read(tmp_path)
    assert (found, record.payload(digest(data))) == ([event(1), event(2)], data)
    assert (record.state, record.chain()) == ("sealed", chain_of(found))


def test_a_program_that_changes_its_directory_goes_on_recording_to_the_same_place(
    make: Callable[[Path], Journal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    made = make(Path("store"))
    bodies = [event(seq, BIG) for seq in range(1, 41)]

    writer = made.writer(RUN)
    for body in bodies[:20]:
        writer.event(body)
    monkeypatch.chdir("elsewhere")
    for body in bodies[20:]:
        writer.event(body)
    made.close()

    assert read(tmp_path / "store")[1] == bodies
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_comes_after_the_end_is_reported(
    make: Callable[[Path], Journal], failures: Failures, tmp_path: Path
) -> None:
    made = make(tmp_path)
    writer = made.writer(RUN)
    writer.event(event(1))

    made.close()
    writer.event(event(2))
    writer.payload(digest(b"late"), b"late")
    made.close()

    assert failures.events == 1
    assert read(tmp_path)[1] == [event(1)]


def test_an_unused_journal_leaves_nothing(make: Callable[[Path], Journal], tmp_path: Path) -> None:
    make(tmp_path / "store").close()

    assert list(tmp_path.iterdir()) == []


def test_a_run_without_events_is_listed_while_it_lives(make: Callable[[Path], Journal], tmp_path: Path) -> None:
    made = make(tmp_path)

    made.writer(RUN)
    made.flush()

    assert [(entry.run_id, entry.state) for entry in list_runs(tmp_path)] == [(RUN, "live")]
    assert list(open_record(tmp_path, RUN).events()) == []
