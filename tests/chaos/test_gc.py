"""``agentrace gc`` beside programs that record and are killed: every byte of every run is there afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.journal import Snapshot, list_runs, recover
from agentrace.query import Runs
from agentrace.store.leftovers import KINDS, leftovers
from tests.unit.journal_samples import died, event, written
from tests.unit.recorded_runs import Process
from tests.unit.test_store_format import contents

REPOSITORY = Path(__file__).parents[2]
RECORDING = """
import os, sys
from itertools import count
from pathlib import Path
from tests.unit.journal_samples import died, digest, event, journal

for number in count():
    made = journal(Path(sys.argv[1]))
    run_id = os.urandom(16)
    writer = made.writer(run_id)
    for seq in range(1, 400):
        data = bytes([seq % 256]) * 3000
        writer.payload(digest(data), data)
        writer.event(event(seq))
    died(made) if number % 3 == 2 else made.close()
    print(run_id.hex(), flush=True)
"""
EVENTS = 399


def gc(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> list[dict[str, object]]:
    """What the command tells, as JSON."""
    code = execute(["gc", "--json", "--home", str(root), *arguments])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def make_old(root: Path) -> None:
    """As if nobody had written there for two hours."""
    long_ago = time.time() - 7200
    for path in [*root.rglob("*"), root]:
        try:
            os.utime(path, (long_ago, long_ago), follow_symlinks=False)
        except FileNotFoundError:
            continue


def littered(root: Path, age: bool = True) -> dict[str, set[str]]:
    """A store with a run and one leftover or more of each kind; their paths by kind."""
    process = Process(root)
    runs = [process.run(f"agent-{number}", after_ms=number) for number in range(40)]
    for run in runs:
        run.end(1)
    process.close()
    assert len(list(Runs(root).listed())) == 40
    one = runs[0].id.hex()
    files = {
        "temporary": [f"segments/{one}/.000002.seg-0a0b0c0d.tmp", ".format-12-0a.tmp", ".agentrace-probe-12-0a"],
        "derived": ["derived/" + "ab" * 16, "derived/" + "ab" * 16 + ".meaning", "derived/heads", f"derived/{one}"],
        "index": ["index.duckdb", "index.duckdb.wal"],
    }
    files["temporary"] += [
        f"derived/.{one}-77",
        "index.abcd.tmp",
        ".index.stamp-77",
        f"segments/{'cd' * 16}/.1.seg-0.tmp",
    ]
    directories = {
        "lane": ["journal/.new-12-0a-0b-0c"],
        "directory": ["segments/" + "cd" * 16, "segments/" + "ef" * 16],
    }
    for name in (name for names in directories.values() for name in names):
        (root / name).mkdir()
    for name in (name for names in files.values() for name in names):
        (root / name).write_bytes(b"half of what")
    if age:
        make_old(root)
    return {kind: set(names) for kind, names in {**files, **directories}.items()}


def runs_of(root: Path) -> dict[str, str]:
    """Every file of every run: the segments and, where one is not sealed yet, the lanes."""
    return {
        name: made for name, made in contents(root).items() if name.endswith((".seg", ".lane")) and "/." not in name
    }


def test_everything_that_is_left_over_is_found_and_removed_and_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = littered(tmp_path)
    runs, before = runs_of(tmp_path), contents(tmp_path)
    assert set(expected) == set(KINDS) - {"trash"}

    told = gc(capsys, tmp_path)
    by_kind = {
        kind: {os.path.relpath(str(one["path"]), tmp_path) for one in told if one["kind"] == kind} for kind in expected
    }
    assert by_kind == expected
    assert {one["removed"] for one in told} == {False}
    assert contents(tmp_path) == before

    done = gc(capsys, tmp_path, "--yes")
    assert {one["removed"] for one in done} == {True}
    assert [name for names in expected.values() for name in names if (tmp_path / name).exists()] == []
    assert runs_of(tmp_path) == runs
    assert gc(capsys, tmp_path, "--apply") == []
    assert len(list(Runs(tmp_path).listed())) == 40


def test_what_somebody_may_still_be_writing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = littered(tmp_path, age=False)

    gone = {os.path.relpath(str(one["path"]), tmp_path) for one in gc(capsys, tmp_path, "--yes")}

    assert gone == expected["derived"]


def test_an_index_that_is_one_or_that_somebody_holds_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fcntl import LOCK_SH, flock

    process = Process(tmp_path)
    process.run("agent").end(1)
    process.close()
    index = tmp_path / "index.duckdb"
    index.write_bytes(b"checksumDUCK" + bytes(100))
    make_old(tmp_path)
    assert gc(capsys, tmp_path, "--yes") == []

    index.write_bytes(b"no index")
    (tmp_path / "index.lock").write_bytes(b"")
    make_old(tmp_path)
    with (tmp_path / "index.lock").open() as held:
        flock(held, LOCK_SH)
        assert [one["removed"] for one in gc(capsys, tmp_path, "--yes")] == [False]
    assert [one["removed"] for one in gc(capsys, tmp_path, "--yes")] == [True]
    assert not index.exists()


def test_what_is_kept_of_runs_that_nobody_has_sealed_is_theirs(tmp_path: Path) -> None:
    died(written(tmp_path, [event(1)], run_id=b"a" * 16))
    going_on = written(tmp_path, [event(1)], run_id=b"b" * 16)
    make_old(tmp_path)

    assert list(leftovers(tmp_path)) == []
    assert [entry.state for entry in list_runs(tmp_path)] == ["sealed", "live"]
    going_on.close()


def test_a_person_is_told_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    littered(tmp_path)

    assert execute(["gc", "--home", str(tmp_path)]) == 0
    out, _ = capsys.readouterr()
    assert "half-written file: 7, " in out
    assert "    and 2 more" in out
    assert out.splitlines()[-1].endswith("; `agentrace gc --yes` removes it")
    assert execute(["gc", "--home", str(tmp_path), "--yes"]) == 0
    assert " removed, " in capsys.readouterr().out
    assert execute(["gc", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"nothing is left over in {tmp_path}\n"


def test_every_byte_of_every_run_survives_beside_recorders_that_are_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    littered(tmp_path)
    before = runs_of(tmp_path)
    acknowledged: list[str] = []
    with ExitStack() as stack:
        recorders = [stack.enter_context(recorder(tmp_path)) for _ in range(3)]
        for turn in range(6):
            for process in recorders:
                assert process.stdout is not None
                acknowledged.append(process.stdout.readline().strip())
            make_old(tmp_path)
            gc(capsys, tmp_path, "--yes")
            recorders[turn % 3].send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in recorders[turn % 3].stdout or () if len(line) == 33]
            recorders[turn % 3].wait()
            recorders[turn % 3] = stack.enter_context(recorder(tmp_path))
        for process in recorders:
            process.kill()
            acknowledged += [line.strip() for line in process.stdout or () if len(line) == 33]
    gc(capsys, tmp_path, "--yes")

    after = runs_of(tmp_path)
    assert {name: after.get(name) for name in before} == before
    recover(tmp_path, tombstone=lambda *_: pytest.fail("an event is missing"))
    snapshot = Snapshot(tmp_path)
    assert len(acknowledged) >= 18
    for run_id in acknowledged:
        record = snapshot.record(bytes.fromhex(run_id))
        assert list(record.events()) == [event(seq) for seq in range(1, EVENTS + 1)]
        assert [len(record.payload(one)) for one in record.digests()] == [3000] * 256


def recorder(root: Path) -> subprocess.Popen[str]:
    """A program that records run after run, and tells the id of each when it is written."""
    return subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(root)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
