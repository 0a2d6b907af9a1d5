"""What comes of a run after it was archived belongs to it: read with it, and moved to where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from agentrace import events
from agentrace.index import opened
from agentrace.journal import Journal
from agentrace.journal.lane_glancing import runs_in_lanes
from agentrace.query import Runs
from agentrace.retention import archive, restore
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.recorded_runs import Process, Writing
from tests.unit.test_retention import held, moved, stored


def archived(root: Path, target: Path) -> tuple[Process, Writing]:
    """A run that was archived, as if it were over, while its process lives, to which something comes late."""
    process = Process(root)
    run = process.run("early")
    run.done(run.step("tool", "lookup", 1, {"at": 1}), 2, "found")
    run.end(3)
    process.close()
    moved(root, target, [run.id])
    process.journal = Journal(root, tombstone=events.tombstone, on_failure=lambda *_: None)  # its next lane
    run.writer = process.journal.writer(run.id)
    run.event(events.Scored, 0, 11, "quality", 0.5)
    return process, run


def types(root: Path, run_id: bytes) -> list[str]:
    """Of the events of a run."""
    return [type(event).__name__ for event in Runs(root).record(run_id).events]


WHOLE = ["WorkflowStarted", "StepDispatched", "StepCompleted", "WorkflowCompleted", "Scored"]


@pytest.mark.parametrize("sealed", [False, True], ids=["in-a-lane", "sealed"])
def test_a_run_is_read_as_one(tmp_path: Path, sealed: bool) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    process, run = archived(root, target)
    if sealed:
        process.close()

    assert types(root, run.id) == WHOLE
    assert Runs(root).summary(run.id).name == "early"
    with opened(Store(root)) as session:
        assert one(session, "SELECT name FROM runs") == "early"
    assert of_store(root)["events"] == made_anew(root)["events"]
    process.close()
    assert runs_in_lanes(root) == {}


@pytest.mark.parametrize("manner", ["restore", "archive"])
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_it_is_one_wherever_it_is_moved(tmp_path: Path, manner: str, killed: bool) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    process, run = archived(root, target)
    process.close()
    if killed:  # after the archive got what came late, and before the store let go of it
        shutil.copytree(root / "segments", tmp_path / "aside")
        moved(root, target, [run.id])
        shutil.copytree(tmp_path / "aside", root / "segments", dirs_exist_ok=True)

    if manner == "restore":
        assert restore(Store(root), [run.id], lambda _: None).restored == [run.id]
        assert list((target / "segments").iterdir()) == []
    else:
        moved(root, target, [run.id])
        assert list((root / "segments").iterdir()) == []

    assert types(root, run.id) == WHOLE
    assert Store(root).problems(run.id) == []
    assert of_store(root)["steps"] == made_anew(root)["steps"]


def test_another_archive_does_not_take_the_end_of_a_run(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    process, run = archived(root, target)
    process.close()

    done = archive(Store(root), tmp_path / "other", [[run.id]], lambda _: None)

    assert (done.moved, done.left) == ([], [run.id])
    assert types(root, run.id) == WHOLE


def test_a_move_that_was_killed_leaves_no_row_twice(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    shutil.copytree(root, tmp_path / "aside")
    moved(root, target, ids[:2])
    shutil.rmtree(root)
    (tmp_path / "aside").rename(root)  # as if it was killed before the store knew of it

    moved(root, target, ids[:2])

    assert held(root) == before
    with duckdb.connect() as reader:
        rows = reader.execute(f"SELECT run_id, count(*) FROM '{target}/parquet/runs/*.parquet' GROUP BY ALL").fetchall()
    assert sorted(count for _, count in rows) == [1, 1]
