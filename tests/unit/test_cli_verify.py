"""``agentrace verify`` over many runs: all of them whatever is wrong with some, a summary, and what else is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.journal import list_runs
from tests.unit.recorded_runs import Process


def stored(root: Path, count: int) -> list[bytes]:
    """That many runs, the newest first."""
    process = Process(root)
    for number in range(count):
        run = process.run(f"agent-{number}", after_ms=number)
        run.done(run.step("tool", "fetch", 1, {"n": number}), 2, "x" * 5000)
        run.end(3)
    process.close()
    return [entry.run_id for entry in reversed(list_runs(root))]


def verified(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines and what is said on stderr."""
    code = execute(["verify", *arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def damage(root: Path, run_id: bytes, at: int = 100) -> None:
    file = root / "segments" / run_id.hex() / "000001.seg"
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_whole_runs_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path, 1200)

    code, lines, err = verified(capsys, tmp_path, "--all")

    assert (code, len(lines), err) == (0, 1201, "")
    assert lines[-1] == "1,200 runs, 1,200 whole"
    assert verified(capsys, tmp_path, "--all", "--quiet") == (0, [], "")


def test_no_damage_keeps_the_others_from_being_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = stored(tmp_path, 9)
    segment = [tmp_path / "segments" / run_id.hex() / "000001.seg" for run_id in runs]
    damage(tmp_path, runs[0])
    segment[2].write_bytes(b"")
    segment[4].write_bytes(b"no segment at all" * 100)
    segment[5].unlink()  # an empty directory: what a removal by hand or a killed import leaves
    segment[6].unlink()
    segment[6].mkdir()
    segment[7].unlink()
    segment[7].parent.rmdir()
    segment[7].parent.symlink_to(segment[7].parent)  # which no system call gets through

    code, lines, _ = verified(capsys, tmp_path, "--all")
    quiet = verified(capsys, tmp_path, "--all", "--quiet")
    told = [json.loads(line) for line in verified(capsys, tmp_path, "--all", "--json")[1]]

    wrong = [line.split()[1] for line in lines if line.startswith("problem ")]
    assert code == quiet[0] == 1
    assert [name.replace("-", "") for name in wrong] == [runs[n].hex() for n in (0, 2, 4, 6, 7)]
    assert lines[-1] == "8 runs, 3 whole, 5 with problems"
    assert quiet[1] == [line for line in lines[:-1] if not line.startswith("ok ")]
    assert [one["ok"] for one in told] == [False, True, False, True, False, False, False, True]


def test_what_is_no_part_of_a_store_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = stored(tmp_path, 1)
    strays = [
        "notes.txt",
        "segments/readme",
        f"segments/{run.hex()}/000001.seg.bak",
        "journal/12-0a-0b",
        "journal/x",
    ]
    for stray in strays:
        (tmp_path / stray).write_text("")
    for part in ("config.toml", "index.duckdb", "index.duckdb.wal", "index.stamp", "index.x.tmp", "format"):
        (tmp_path / part).write_text("")
    (tmp_path / "trash").mkdir()

    code, lines, err = verified(capsys, tmp_path, "--all")

    assert (code, lines[-1]) == (0, "1 run, 1 whole")
    named = [line.removeprefix("warning: ").removesuffix(" is no part of a store") for line in err.splitlines()]
    assert sorted(named) == sorted(str(tmp_path / stray) for stray in strays)


def test_many_strays_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path, 1)
    for number in range(30):
        (tmp_path / f"stray-{number}").write_text("")

    _, _, err = verified(capsys, tmp_path, "--all", "--quiet")

    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "warning: nor are 10 others"


def test_one_run_has_no_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path, 2)

    assert len(verified(capsys, tmp_path)[1]) == 1
    assert verified(capsys, tmp_path, "agent-0", "agent-1")[1][-1] == "2 runs, 2 whole"
