"""Where there is no room any more: what asks says so, and what makes room works."""

from __future__ import annotations

import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentrace.errors import StoreError
from agentrace.index import database, opened, rebuild
from agentrace.retention import remove_runs
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store
from tests.unit.recorded_runs import Process
from tests.unit.test_retention import held, stored


@contextmanager
def no_file_larger_than(size: int) -> Generator[None]:
    """As on a disk that is full: what would be larger fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("room", [0, 1_000, 100_000])
@pytest.mark.parametrize("indexed", [False, True])
def test_a_run_is_removed_where_there_is_no_room(tmp_path: Path, room: int, indexed: bool) -> None:
    ids = stored(tmp_path)
    before = held(tmp_path)
    if indexed:
        of_store(tmp_path)

    with no_file_larger_than(room):
        done = remove_runs(Store(tmp_path), [[ids[0]]])

    assert (done.removed, done.index_held) == ([ids[0]], "")
    assert held(tmp_path) == {run_id: before[run_id] for run_id in ids[1:]}
    assert of_store(tmp_path) == made_anew(tmp_path)
    assert [path.name for path in tmp_path.glob(".index*")] == []


@pytest.mark.parametrize("room", [0, 1_000, 100_000])
def test_an_index_for_which_there_is_no_room_is_an_error(tmp_path: Path, room: int) -> None:
    stored(tmp_path)

    with no_file_larger_than(room):
        for ask in (lambda: opened(Store(tmp_path)).__enter__(), lambda: rebuild(Store(tmp_path))):
            with pytest.raises(StoreError, match="cannot be written"):
                ask()

    assert of_store(tmp_path) == made_anew(tmp_path)


@pytest.mark.parametrize("room", [0, 1_000])
def test_an_index_that_has_no_room_to_grow_stays(tmp_path: Path, room: int) -> None:
    stored(tmp_path)
    of_store(tmp_path)
    before = (tmp_path / database.FILE).stat().st_ino
    process = Process(tmp_path)
    process.run("later", after_ms=300, number=9).end(1)
    process.close()

    with no_file_larger_than(room), pytest.raises(StoreError, match="cannot be written"):
        opened(Store(tmp_path)).__enter__()

    assert (tmp_path / database.FILE).stat().st_ino == before
    assert of_store(tmp_path) == made_anew(tmp_path)
