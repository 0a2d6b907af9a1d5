"""Runs that are archived stay listed, shown and asked for, wherever they are; and come back as they were."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from blake3 import blake3

from agentrace.errors import ArchiveAway, StoreError
from agentrace.index import opened
from agentrace.query import Runs
from agentrace.retention import archive, attach, locking, remove_archived, restore
from agentrace.store import Store
from agentrace.store.away import archives
from agentrace.store.parts import strays
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.recorded_runs import Process

KILLS = int(os.environ.get("AGENTRACE_SOAK") or 4)


def stored(root: Path, runs: int = 4) -> list[bytes]:
    """A store with some runs; their ids, the oldest first."""
    process = Process(root)
    ids = []
    for number in range(1, runs + 1):
        run = process.run(f"agent-{number}", after_ms=number * 10, number=number)
        for at in range(3):
            run.done(run.step("tool", "lookup", at, {"at": at, "text": f"{number} " * 2_000}), at + 0.5, [at] * 500)
        run.end(5)
        ids.append(run.id)
    process.close()
    return ids


def held(root: Path) -> dict[bytes, bytes]:
    """What every run of a store holds, whoever keeps it: a digest of its events and payloads."""
    store, found = Store(root), {}
    for entry in store.entries:
        source = store.source(entry.run_id)
        digest = blake3(b"".join(source.events()))
        for payload in sorted(source.digests()):
            digest.update(source.payload(payload))
        found[entry.run_id] = digest.digest()
    return found


def moved(root: Path, target: Path, ids: list[bytes]) -> None:
    """Archive runs, each by itself."""
    archive(Store(root), target, [[run_id] for run_id in ids], lambda _: None)


def of_runs(root: Path) -> dict[str, list[object]]:
    """What the index says of a store, except where its runs are kept."""
    told = of_store(root)
    with opened(Store(root)) as session:
        runs = session.connection.execute("SELECT * EXCLUDE (archive, run_key) FROM runs ORDER BY run_id").fetchall()
    return told | {"runs": runs}


def test_an_archived_run_is_as_it_was(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before, told, summaries = held(root), of_runs(root), [Runs(root).summary(run_id) for run_id in ids]

    done = archive(Store(root), target, [[run_id] for run_id in ids[:3]], lambda _: None)

    assert (done.moved, done.left) == (ids[:3], [])
    assert done.size > 0
    assert sorted(os.listdir(root / "segments")) == [ids[3].hex()]
    assert sorted(os.listdir(target / "segments")) == [run_id.hex() for run_id in ids[:3]]
    assert held(root) == before
    assert held(target) == {run_id: before[run_id] for run_id in ids[:3]}
    assert [Runs(root).summary(run_id) for run_id in ids] == summaries
    assert of_runs(root) == told
    assert [entry.run_id for entry in Store(root).entries if Store(root).problems(entry.run_id)] == []
    with opened(Store(root)) as session:
        assert one(session, "SELECT count(*) FROM runs WHERE archive = " + f"'{target}'") == 3


def test_the_parquet_files_say_what_the_index_says(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    of_store(root)

    moved(root, target, ids[:1])
    moved(root, target, ids[1:3])

    for view in ("runs", "steps", "events", "texts", "messages"):
        files = target / "parquet" / view
        with opened(Store(root)) as session, duckdb.connect() as reader:
            query = "SELECT * EXCLUDE (run_key) FROM {} WHERE run_id IN (SELECT unnest($ids::UUID[])) ORDER BY ALL"
            there = reader.execute(f"SELECT * FROM '{files}/*.parquet' ORDER BY ALL").fetchall()
            wanted = {"ids": [run_id.hex() for run_id in ids[:3]]}
            if view == "runs":
                query = query.replace("EXCLUDE (run_key)", "EXCLUDE (run_key) REPLACE (NULL AS archive)")
            assert there == session.connection.execute(query.format(view), wanted).fetchall()
        assert len(os.listdir(files)) == 2


def test_an_archive_that_cannot_be_reached_is_told_and_no_run_is_lost(tmp_path: Path) -> None:
    root, target, elsewhere = tmp_path / "store", tmp_path / "archive", tmp_path / "moved"
    ids = stored(root)
    shutil.copytree(root, tmp_path / "twin")
    before, told = held(root), of_runs(tmp_path / "twin")
    names = [Runs(tmp_path / "twin").summary(run_id) for run_id in ids]
    moved(root, target, ids[:3])
    target.rename(elsewhere)

    runs = Runs(root)
    assert [runs.summary(run_id) for run_id in ids] == names
    assert of_runs(root) == told
    with pytest.raises(StoreError) as away:
        runs.record(ids[0])
    assert away.value.slug == "archive"
    assert str(target) in away.value.what

    shutil.rmtree(root / "derived")
    (root / "index.duckdb").unlink()
    assert [Runs(root).summary(run_id).status for run_id in ids] == ["unreadable"] * 3 + ["completed"]
    with opened(Store(root)) as session:
        assert one(session, "SELECT count(*) FROM runs WHERE status = 'unreadable'") == 3

    attach(Store(root), elsewhere)
    assert held(root) == before
    assert of_runs(root) == told


def test_restoring_brings_back_what_was_there(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before, told = held(root), of_runs(root)
    moved(root, target, ids)

    done = restore(Store(root), ids[:2], lambda _: None)

    assert (done.restored, done.here, done.kept) == (ids[:2], [], [])
    assert sorted(os.listdir(root / "segments")) == [run_id.hex() for run_id in ids[:2]]
    assert sorted(os.listdir(target / "segments")) == [run_id.hex() for run_id in ids[2:]]
    assert held(root) == before
    assert of_runs(root) == told
    with duckdb.connect() as reader:
        left = reader.execute(f"SELECT DISTINCT run_id FROM '{target}/parquet/steps/*.parquet'").fetchall()
    assert {run_id.bytes for (run_id,) in left} == set(ids[2:])

    restore(Store(root), ids[2:], lambda _: None)
    assert archives(root) == []
    assert os.listdir(target / "parquet" / "steps") == []
    assert of_store(root) == made_anew(root)


def test_what_a_process_still_writes_is_left(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    process = Process(root)
    live = process.run("live", after_ms=100, number=50)

    done = archive(Store(root), target, [[ids[0], live.id], [ids[1]]], lambda _: None)

    assert (done.moved, sorted(done.left)) == ([ids[1]], [ids[0], live.id])
    process.close()


def test_an_archive_is_no_part_of_its_store(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with pytest.raises(StoreError) as inside:
        moved(root, root / "archive", stored(root)[:1])

    with pytest.raises(StoreError) as none:
        attach(Store(root), tmp_path)

    assert {inside.value.slug, none.value.slug} == {"archive"}


def test_another_run_under_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    (target / "segments" / ids[0].hex()).mkdir(parents=True)
    (target / "segments" / ids[0].hex() / "000001.seg").write_bytes(b"another one")

    with pytest.raises(StoreError) as other:
        moved(root, target, ids[:1])

    assert other.value.slug == "archive"
    assert held(root) == before


def test_what_the_store_cannot_note_it_keeps(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    (root / "archived").write_text("no directory")

    with pytest.raises(StoreError):
        moved(root, target, ids)

    (root / "archived").unlink()
    assert held(root) == before


def test_restoring_while_a_run_is_archived_loses_nothing(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    moved(root, target, ids[:2])

    with pytest.raises(StoreError, match="another archive or restore is at work"):
        restore(Store(root), ids[:1], lambda _: moved(root, target, ids[:1]))

    assert held(root) == before
    assert restore(Store(root), ids[:1], lambda _: None).restored == ids[:1]
    assert held(root) == before


def test_two_archives_of_one_archive_are_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, target = tmp_path / "first", tmp_path / "second", tmp_path / "archive"
    ids = stored(first)
    shutil.copytree(first, second)
    monkeypatch.setattr(locking, "WAITING", 0.1)
    with ThreadPoolExecutor(1) as other, pytest.raises(StoreError, match="at work"):
        archive(Store(first), target, [ids[:1]], lambda _: other.submit(moved, second, target, ids[1:2]).result())

    monkeypatch.setattr(locking, "WAITING", 60.0)
    with ThreadPoolExecutor(4) as others:
        list(others.map(lambda run_id: moved(first, target, [run_id]), ids))
    assert archives(first)[0].runs.keys() == set(ids)
    assert held(first) == held(second)


@pytest.mark.parametrize("manner", ["segments", "run", "file"])
def test_a_copy_that_is_a_link_to_the_store_is_none(tmp_path: Path, manner: str) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    (at := {"segments": target, "run": target / "segments", "file": target / "segments" / ids[0].hex()}[manner]).mkdir(
        parents=True
    )
    name = {"segments": "segments", "run": ids[0].hex(), "file": "000001.seg"}[manner]
    (at / name).symlink_to(root / at.relative_to(target) / name)

    with pytest.raises(StoreError) as link:
        moved(root, target, ids[:1])

    assert link.value.slug == "archive"
    assert held(root) == before


def test_an_archive_keeps_what_another_store_relies_on(tmp_path: Path) -> None:
    first, second, reader, target = (tmp_path / name for name in ("first", "second", "reader", "archive"))
    ids = stored(first)
    shutil.copytree(first, second)
    before = held(first)
    moved(first, target, ids[:3])
    moved(second, target, ids[:1])
    attach(Store(reader), target)

    restore(Store(first), ids[:1], lambda _: None)
    restore(Store(reader), ids[1:2], lambda _: None)
    assert remove_archived(Store(first), ids[2:3]).archives == [target]

    assert held(second) == before
    assert held(reader) == {run_id: before[run_id] for run_id in ids[:3]}
    assert held(first) == {run_id: before[run_id] for run_id in (ids[0], ids[1], ids[3])}


def test_what_nobody_else_relies_on_any_more_goes_out_of_the_archive(tmp_path: Path) -> None:
    first, second, target = tmp_path / "first", tmp_path / "second", tmp_path / "archive"
    ids = stored(first)
    shutil.copytree(first, second)
    for root in (first, second):
        moved(root, target, ids[:1])

    restore(Store(first), ids[:1], lambda _: None)
    assert os.listdir(target / "segments") == [ids[0].hex()]
    restore(Store(second), ids[:1], lambda _: None)

    assert os.listdir(target / "segments") == []
    assert os.listdir(target / "users") == []


def test_what_archiving_leaves_in_a_store_and_in_an_archive_belongs_there(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    moved(root, target, stored(root)[:1])

    assert [*strays(root), *strays(target)] == []


@pytest.mark.parametrize("damage", [b"garbage", None])
def test_a_damaged_parquet_file_is_set_aside(tmp_path: Path, damage: bytes | None) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)
    moved(root, target, ids[:2])
    (path,) = (target / "parquet" / "steps").iterdir()
    whole = path.read_bytes()
    end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # the footer begins here
    path.write_bytes(whole[:4] + b"\xff" * (end - 4) + whole[end:] if damage is None else damage)

    assert restore(Store(root), ids[:1], lambda _: None).restored == ids[:1]

    assert held(root) == before
    assert os.listdir(target / "segments") == [ids[1].hex()]
    assert os.listdir(path.parent) == [f"{path.name}.damaged"]


def test_an_archive_that_answers_with_an_error_is_away(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    moved(root, target, ids[:1])
    shutil.rmtree(target)
    target.symlink_to(target)  # asking for it fails, as with a mount whose server is gone

    assert [known.is_there for known in archives(root)] == [False]
    with pytest.raises(ArchiveAway):
        Store(root).source(ids[0])


@pytest.mark.parametrize("name", ["it's [a] *{b}* 100%; \n x?", "[]", "[!a]", "ж"])
def test_an_archive_may_be_called_anything(tmp_path: Path, name: str) -> None:
    root, target = tmp_path / "store", tmp_path / name
    ids = stored(root)
    before, told = held(root), of_runs(root)

    moved(root, target, ids[:2])
    with opened(Store(root)) as session:
        where = session.connection.execute("SELECT DISTINCT archive FROM runs WHERE archive IS NOT NULL").fetchall()
    assert where == [(str(target),)]
    restore(Store(root), ids[:1], lambda _: None)

    assert [path.suffix for path in (target / "parquet" / "steps").iterdir()] == [".parquet"]
    assert (held(root), of_runs(root)) == (before, told)


def test_an_archive_whose_path_is_no_text_is_refused(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / os.fsdecode(b"caf\xe9")
    ids = stored(root)

    with pytest.raises(StoreError) as refused:
        moved(root, target, ids)

    assert refused.value.slug == "archive"
    assert not target.exists()
    assert Store(root).archived() == {}


MOVER = """
import pathlib, sys
from agentrace.retention import archive, restore
from agentrace.store import Store
root, target = map(pathlib.Path, sys.argv[1:])
print("ready", flush=True)
while True:
    ids = [entry.run_id for entry in Store(root).entries]
    archive(Store(root), target, [[run_id] for run_id in ids], lambda _: None)
    restore(Store(root), ids, lambda _: None)
"""


def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root, runs=8)
    before = held(root)
    for number in range(KILLS):
        command = [sys.executable, "-c", MOVER, str(root), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as mover:
            assert mover.stdout is not None
            assert mover.stdout.readline() == b"ready\n"
            time.sleep(0.2 + 0.37 * number % 1.0)  # the moment of the kill is what is tried out
            os.kill(mover.pid, signal.SIGKILL)

        assert held(root) == before
    moved(root, target, ids)
    assert held(root) == before
    assert os.listdir(root / "segments") == []
