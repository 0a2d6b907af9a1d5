"""What ``rm`` removed is in no file any more: not in the store, its index, its archives, nor in what was set aside."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
import zstandard

from agentrace.errors import ArchiveAway
from agentrace.index import database, opened
from agentrace.query import Runs
from agentrace.retention import archive, remove_runs
from agentrace.store import Store
from agentrace.store.away import archives
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.journal_samples import OTHER, RUN, died, event, journal, written
from tests.unit.recorded_runs import Process
from tests.unit.test_index import HOLDER
from tests.unit.test_retention import held, moved

MARK = "vermilion-walrus-4711"
_ZSTD = b"\x28\xb5\x2f\xfd"


def stored(root: Path) -> tuple[bytes, bytes]:
    """A run with the mark in all of its parts, and one without it; their ids."""
    process = Process(root)
    marked = process.run(f"agent {MARK}", number=1, tags=[MARK])
    step = marked.step("tool", f"tool {MARK}", 1, {"text": f"{MARK} {os.urandom(20_000).hex()}"})
    marked.done(step, 2, [MARK])
    marked.failed(marked.step("tool", "lookup", 3, {}), 4, "builtins:ValueError", f"no {MARK}")
    marked.end_badly(5, "builtins:ValueError", MARK)
    other = process.run("other", after_ms=10, number=2)
    other.done(other.step("tool", "lookup", 1, {"text": "plain " * 500}), 2, "found")
    other.end(3)
    process.close()
    return marked.id, other.id


def marked_files(*roots: Path) -> set[str]:
    """Every file in which the mark is, as it stands, or in what is compressed in it; or the id of the run."""
    found: set[str] = set()
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and any(MARK.encode() in part for part in decoded(path)):
                found.add(path.relative_to(root.parent).as_posix())
    return found


def decoded(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they are the compressed form of."""
    data = path.read_bytes()
    yield data
    at = data.find(_ZSTD)
    while at >= 0:
        with suppress(zstandard.ZstdError):  # it only looked like one
            yield zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data[at:])).read()
        at = data.find(_ZSTD, at + 1)
    if path.suffix == ".parquet":
        with duckdb.connect() as reader:
            yield repr(reader.execute(f"SELECT * FROM '{path}'").fetchall()).encode()


def tops(files: set[str]) -> set[str]:
    """The places in a store where files are."""
    return {"/".join(name.split("/")[:2]) for name in files}


def test_nothing_is_left_of_a_run_that_was_removed(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    run, other = stored(root)
    before = held(root)
    list(Runs(root).listed())
    told = of_store(root)
    assert tops(marked_files(root)) == {"store/segments", "store/derived", f"store/{database.FILE}"}
    shutil.copytree(root / "segments" / run.hex(), tmp_path / "aside")
    moved(root, target, [run, other])
    of_store(target)  # somebody looks at the archive as at a store
    list(Runs(target).listed())
    shutil.copytree(tmp_path / "aside", target / "segments" / f".new-{run.hex()}-0123abcd")  # as of a killed copy
    shutil.copytree(tmp_path / "aside", target / "trash" / f"{run.hex()}-0123abcd")  # and of a killed removal
    shutil.copytree(tmp_path / "aside", root / "segments" / f".new-{run.hex()}-0123abcd")
    for name in (f".{run.hex()}-1", ".heads-1"):
        (root / "derived" / name).write_text(MARK)  # as of a killed writer
    (root / ".index.erased-1").write_text(MARK)
    steps = next((target / "parquet" / "steps").glob("*.parquet"))
    shutil.copyfile(steps, steps.with_name(".killed.parquet.tmp"))
    shutil.copyfile(steps, steps.with_name("old.parquet.damaged"))
    (target / "parquet" / "texts" / "cut.parquet").write_bytes(steps.read_bytes()[:-20])
    assert {"archive/segments", "archive/parquet", "archive/trash"} < tops(marked_files(root, target))

    done = remove_runs(Store(root), [[run]])

    assert (done.removed, done.archives, done.kept, done.index_held) == ([run], [], {}, "")
    assert marked_files(root, target) == set()
    assert held(root) == {other: before[other]}
    assert of_store(root)["steps"] == [row for row in told["steps"] if row[0].bytes == other]
    assert of_store(target) == made_anew(target)


def test_an_index_that_is_held_is_ended_by_the_next_command(tmp_path: Path) -> None:
    run, _ = stored(tmp_path)
    of_store(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / database.FILE), "rw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"

        done = remove_runs(Store(tmp_path), [[run]])
        stranger.stdin.close()

    assert done.removed == [run]
    assert f"(process {stranger.pid})" in done.index_held
    assert marked_files(tmp_path) == {f"{tmp_path.name}/{database.FILE}"}
    assert of_store(tmp_path) == made_anew(tmp_path)
    assert marked_files(tmp_path) == set()
    with opened(Store(tmp_path)) as session:
        assert session.indexed is None


KILLED = """
import os, pathlib, signal, sys
from agentrace.retention import remove_runs
from agentrace.store import Store
from agentrace.store.away import archives
def kill(_):
    os.kill(os.getpid(), signal.SIGKILL)
remove_runs(Store(pathlib.Path(sys.argv[1])), [[bytes.fromhex(sys.argv[2])]], kill)
"""


def test_a_removal_that_was_killed_is_ended_by_the_next_command(tmp_path: Path) -> None:
    run, other = stored(tmp_path)
    list(Runs(tmp_path).listed())
    of_store(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), run.hex()], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert tops(marked_files(tmp_path)) > {f"{tmp_path.name}/{database.FILE}"}

    with opened(Store(tmp_path)) as session:
        assert one(session, "SELECT count(*) FROM runs") == 1

    assert marked_files(tmp_path) == set()
    assert list(held(tmp_path)) == [other]


def test_what_is_left_of_a_damaged_lane_file_is_of_other_runs(tmp_path: Path) -> None:
    recorder = written(tmp_path, [event(n, f"{MARK} {n}") for n in range(1, 9)])
    recorder.writer(OTHER).event(event(1, "of the other"))
    recorder.writer(OTHER).event(event(2, "damaged of the other"))
    died(recorder)
    (lane,) = (tmp_path / "journal").glob("*/*.lane")
    data = bytearray(lane.read_bytes())
    data[data.index(f"{MARK} 3".encode()) - 1] ^= 1
    data[data.index(b"damaged of")] ^= 1
    lane.write_bytes(data)
    before = held(tmp_path)

    done = remove_runs(Store(tmp_path), [[RUN]])

    (kept,) = (tmp_path / "damaged").glob("*/*.lane")
    assert done.damaged == [kept]
    assert marked_files(tmp_path) == set()
    assert b"of the other" in kept.read_bytes()
    assert b"amaged of the other" in kept.read_bytes()
    assert held(tmp_path) == {OTHER: before[OTHER]}
    assert remove_runs(Store(tmp_path), [[OTHER]]).damaged == []
    assert list((tmp_path / "damaged").iterdir()) == []


def test_a_run_that_is_held_keeps_what_is_archived_of_it(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    run, other = stored(root)
    moved(root, target, [run])
    recorder = journal(root)
    recorder.writer(run).event(event(100))  # something of it comes late

    done = remove_runs(Store(root), [[run], [other]])

    assert (done.removed, done.kept) == ([other], {run: True})
    assert os.listdir(target / "segments") == [run.hex()]
    recorder.close(timeout=30)


def test_of_several_archives_none_is_touched_while_one_is_away(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run, other = stored(root)
    for one_run, name in ((run, "one"), (other, "two")):
        moved(root, tmp_path / name, [one_run])
    near, far = (Path(known.path) for known in archives(root))  # in the order in which they are gone through
    kept = os.listdir(near / "segments")
    far.rename(tmp_path / "away")

    with pytest.raises(ArchiveAway):
        remove_runs(Store(root), [[run], [other]])

    assert os.listdir(near / "segments") == kept
    (tmp_path / "away").rename(far)
    assert remove_runs(Store(root), [[run], [other]]).removed == [run, other]
    assert marked_files(root, near, far) == set()


def test_a_store_that_was_never_indexed_is_not_indexed_by_removing(tmp_path: Path) -> None:
    run, _ = stored(tmp_path)

    remove_runs(Store(tmp_path), [[run]])

    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("index.duckdb", "index.erase"))] == []


def test_a_run_is_not_archived_while_it_is_removed(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    run, other = stored(root)
    refused: list[BaseException] = []

    def archiving(_: float) -> None:
        try:
            archive(Store(root), target, [[run], [other]], lambda _: None)
        except Exception as error:
            refused.append(error)

    assert remove_runs(Store(root), [[run]], archiving).removed == [run]

    assert len(refused) == 2
    assert list(held(root)) == [other]
    assert marked_files(tmp_path) == set()
