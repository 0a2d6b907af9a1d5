"""Who holds the index: never a program between its questions, never a forked child, and no thread waits for itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import duckdb
import pytest

import agentrace
from agentrace.errors import ConfigError, StoreError
from agentrace.index import Watching, database, opened, rebuild
from agentrace.index.leases import DATA, GATE, lease
from agentrace.retention import archive, remove_archived, restore
from agentrace.store import Store
from agentrace.store.removing import remove
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.recorded_runs import Process
from tests.unit.test_retention import held, stored

SECONDS = 30
COUNT = "SELECT count(*) FROM runs"


def later(root: Path, number: int = 9) -> None:
    """One more run."""
    process = Process(root)
    process.run("later", after_ms=300, number=number).end(1)
    process.close()


def is_free(root: Path) -> bool:
    """Whether another process could write the index now."""
    for name in (GATE, DATA):
        fd = os.open(root / name, os.O_RDWR)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
    return True


@pytest.fixture(autouse=True)
def nobody_waits_for_ever() -> object:
    """A wait for oneself is an error here, and no hang."""

    def give_up(*_: object) -> None:
        raise TimeoutError("it waits for itself")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(2 * SECONDS)
    yield None
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    return None


def test_a_thread_that_reads_may_read_once_more(tmp_path: Path) -> None:
    stored(tmp_path)

    with opened(Store(tmp_path)) as outer:
        with opened(Store(tmp_path)) as inner:
            assert (inner.stale, one(inner, COUNT)) == (None, 4)
        later(tmp_path)
        with opened(Store(tmp_path)) as inner:
            assert inner.stale is not None
            assert "this program itself" in inner.stale.because
            assert one(inner, COUNT) == one(outer, COUNT) == 4
        assert one(outer, COUNT) == 4
        assert not is_free(tmp_path)

    assert is_free(tmp_path)
    assert of_store(tmp_path) == made_anew(tmp_path)


def test_whoever_of_a_thread_reads_last_lets_go(tmp_path: Path) -> None:
    stored(tmp_path)
    first, second = ExitStack(), ExitStack()
    first.enter_context(opened(Store(tmp_path)))
    reading = second.enter_context(opened(Store(tmp_path)))

    first.close()  # as tasks of one loop may do it
    assert one(reading, COUNT) == 4
    assert not is_free(tmp_path)
    second.close()

    assert is_free(tmp_path)


def test_reading_once_more_does_not_wait_behind_a_writer(tmp_path: Path) -> None:
    stored(tmp_path)
    of_store(tmp_path)
    waiting = threading.Event()
    writer = threading.Thread(target=rebuild, args=[Store(tmp_path), Watching(waiting=waiting.set)])

    with opened(Store(tmp_path)):
        writer.start()
        assert waiting.wait(SECONDS)
        with opened(Store(tmp_path)) as inner:
            assert one(inner, COUNT) == 4
    writer.join()

    assert of_store(tmp_path) == made_anew(tmp_path)


def test_who_reads_cannot_make_it_anew(tmp_path: Path) -> None:
    stored(tmp_path)

    with opened(Store(tmp_path)), pytest.raises(StoreError) as refused:
        rebuild(Store(tmp_path))

    assert refused.value.slug == "index-held"
    assert rebuild(Store(tmp_path)).runs == 4


def test_who_writes_cannot_read(tmp_path: Path) -> None:
    stored(tmp_path)
    refused: list[str] = []

    def ask(done: int, _: int) -> None:
        if done == 1:
            with pytest.raises(StoreError) as error, opened(Store(tmp_path)):
                pass
            refused.append(error.value.slug)

    with opened(Store(tmp_path), Watching(progress=ask)) as session:
        assert one(session, COUNT) == 4
    assert refused == ["index-held"]


def test_runs_are_moved_and_removed_by_who_reads(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    of_store(root)
    later(root)  # the index that is open does not know it
    (new,) = held(root).keys() - before.keys()

    with opened(Store(root)):
        later(root, 10)
        (newer,) = held(root).keys() - before.keys() - {new}
        archive(Store(root), target, [[run_id] for run_id in (ids[0], ids[1], newer)], lambda _: None)
        restore(Store(root), ids[:1], lambda _: None)
        remove_archived(Store(root), ids[1:2])
        remove(root, [[ids[2]]])

    with duckdb.connect() as reader:
        there = reader.execute(f"SELECT run_id FROM '{target}/parquet/runs/*.parquet'").fetchall()
    assert [run_id.bytes for (run_id,) in there] == [newer]
    assert held(root).keys() == {ids[0], ids[3], new, newer}
    assert of_store(root)["steps"] == made_anew(root)["steps"]


def test_between_questions_nothing_is_held(tmp_path: Path) -> None:
    stored(tmp_path)
    recordings = agentrace.open(tmp_path)
    kept: list[object] = [
        recordings.runs(name="agent"),
        recordings.sql("SELECT * FROM steps"),
        recordings.search("1 1"),
    ]

    walked = iter(recordings.runs(status="completed"))
    kept += [next(walked), recordings.steps().to_arrow(), recordings.steps().to_polars(), repr(kept[0])]
    try:
        recordings.sql("SELECT no_such_column FROM runs")
    except ConfigError as error:
        kept.append(error)  # with its traceback, as a notebook keeps it

    assert is_free(tmp_path)
    with duckdb.connect(str(tmp_path / database.FILE)):
        pass
    later(tmp_path)
    assert len(recordings.runs(status="completed")) == 5
    recordings.close()


def in_child(work: Callable[[], object]) -> int:
    """The exit code of a forked child that does this: 0 if it did."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(SECONDS)  # it ends a child
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def refused(root: Path) -> str:
    """What a question is refused with."""
    try:
        with opened(Store(root)):
            return ""
    except StoreError as error:
        return error.slug


def test_a_child_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    stored(tmp_path)
    stack = ExitStack()

    def leave() -> None:
        assert refused(tmp_path) == "index-held"
        stack.close()  # as where a child goes on behind the block

    with opened(Store(tmp_path)) as session:
        stack.enter_context(lease(tmp_path, alone=False))
        assert in_child(leave) == 0
        assert one(session, COUNT) == 4
        assert not is_free(tmp_path)
        stack.close()

    assert is_free(tmp_path)
    assert in_child(lambda: of_store(tmp_path)) == 0


def test_a_child_may_ask_while_a_thread_of_its_parent_does(tmp_path: Path) -> None:
    stored(tmp_path / "one")
    stored(tmp_path / "two")
    asking, forked = threading.Event(), threading.Event()
    recordings, other = agentrace.open(tmp_path / "one"), agentrace.open(tmp_path / "two")

    def ask() -> None:
        with recordings._source.index(), recordings._source.lock, other._source.lock:
            asking.set()
            forked.wait(SECONDS)

    thread = threading.Thread(target=ask)
    thread.start()
    assert asking.wait(SECONDS)
    try:
        assert in_child(lambda: other.runs(status="completed")[0]) == 0
        assert in_child(lambda: recordings["@last"].status) == 0
    finally:
        forked.set()
        thread.join()


FORKS_AND_DIES = """
import os, pathlib, signal, sys
from agentrace.index.leases import lease
from agentrace.retention.locking import alone
root = pathlib.Path(sys.argv[1])
ready, told = os.pipe()
with lease(root, alone=sys.argv[2] == "alone"), alone(root):
    if os.fork() == 0:
        os.write(told, b"x")
        sys.stdin.read()  # until the test ends it
        os._exit(0)
    os.read(ready, 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("manner", ["alone", "shared"])
def test_what_a_killed_process_held_is_free_although_its_child_lives(tmp_path: Path, manner: str) -> None:
    ids = stored(tmp_path / "store")
    command = [sys.executable, "-c", FORKS_AND_DIES, str(tmp_path / "store"), manner]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as dying:
        assert dying.wait(SECONDS) == -signal.SIGKILL

        assert is_free(tmp_path / "store")
        done = archive(Store(tmp_path / "store"), tmp_path / "archive", [ids[:1]], lambda _: None)
        assert done.moved == ids[:1]
        assert dying.stdin is not None
        dying.stdin.close()
