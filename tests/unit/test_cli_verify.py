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


def test_a_store_that_is_not_there_cannot_be_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tmp_path / "nowhere"

    for chosen in (["--all"], ["--name", "x"], ["--all", "--json"]):
        code, lines, err = verified(capsys, nowhere, *chosen)
        assert (code, lines, f"there is no store at {nowhere}" in err) == (2, [], True)

    assert execute(["ls", "--home", str(nowhere)]) == 0  # nothing was recorded yet
    assert not nowhere.exists()


def test_filters_say_which_runs_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest, *_ = stored(tmp_path, 4)
    assert verified(capsys, tmp_path, "--name", "agent-3", "--quiet") == (0, [], "")
    damage(tmp_path, newest)

    assert verified(capsys, tmp_path, "--name", "agent-3", "--quiet")[0] == 1
    code, lines, _ = verified(capsys, tmp_path, "--name", "agent-[012]")
    assert (code, lines[-1]) == (0, "3 runs, 3 whole")
    assert verified(capsys, tmp_path, "--name", "agent-1", "--all")[0] == 2
    assert verified(capsys, tmp_path, "agent-1", "--name", "agent-1")[0] == 2


def test_a_run_whose_archive_is_away_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, cold, elsewhere = tmp_path / "store", tmp_path / "cold", tmp_path / "elsewhere"
    newest, second, third, _ = stored(root, 4)
    for name in ("agent-1", "agent-2"):
        assert execute(["archive", name, "--to", str(cold), "--home", str(root)]) == 0
    cold.rename(elsewhere)
    capsys.readouterr()

    code, lines, _ = verified(capsys, root, "--all")
    assert code == 3
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["ok", "away", "away", "ok", "4"]
    assert lines[-1] == "4 runs, 2 whole, 2 away"
    assert sum(f"is archived in {cold}, which is not there" in line for line in lines) == 2
    told = {
        one["run_id"].replace("-", ""): one for one in map(json.loads, verified(capsys, root, "--all", "--json")[1])
    }
    assert [(told[one.hex()]["ok"], bool(told[one.hex()]["away"])) for one in (newest, second, third)] == [
        (True, False),
        (None, True),
        (None, True),
    ]

    file = tmp_path / "rest.agentrace"
    assert execute(["export", "--all", "-o", str(file), "--home", str(root)]) == 3
    assert "left out: 2 runs whose archive is away" in capsys.readouterr().err
    assert verified(capsys, file, "--all")[1][-1] == "2 runs, 2 whole"
    assert execute(["export", "agent-1", "-o", str(file), "--home", str(root)]) == 2  # it was asked for by name
    capsys.readouterr()

    damage(root, newest)
    code, lines, _ = verified(capsys, root, "--all", "--quiet")
    assert (code, [line.split()[0] for line in lines if not line.startswith(" ")]) == (1, ["problem", "away", "away"])

    elsewhere.rename(cold)
    assert verified(capsys, root, "--name", "agent-[012]", "--quiet") == (0, [], "")
