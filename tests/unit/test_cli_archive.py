"""``agentrace archive`` and ``restore``: what they print, what they refuse, and that lists go on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.store import Store
from tests.unit.test_retention import held, stored

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command; its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = execute([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_runs_are_archived_and_brought_back(tmp_path: Path, said: Said) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    before = held(root)

    code, out, _ = said("archive", "agent-1", "agent-2", "--to", target, "--home", root)
    assert code == 0
    assert out.splitlines()[-1].startswith("2 runs archived, ")
    code, out, _ = said("archive", "--name", "agent-3", "--home", root, "--json")
    assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["archived"]
    code, out, _ = said("archive", "--list", "--home", root, "--json")
    assert [(one["path"], one["runs"], one["there"]) for one in map(json.loads, out.splitlines())] == [
        (str(target), 3, True)
    ]
    code, out, _ = said("ls", "--home", root, "--json")
    assert len(out.splitlines()) == 4
    code, out, _ = said("show", "agent-1", "--home", root)
    assert code == 0
    assert "lookup" in out

    code, out, _ = said("restore", "agent-2", "--home", root)
    assert (code, out) == (0, "1 run brought back\n")
    code, out, _ = said("restore", "--all", "--dry-run", "--home", root)
    assert (code, out) == (0, "2 runs would be brought back\n")
    code, out, _ = said("restore", "--all", "--home", root, "--json")
    assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["restored", "restored"]
    assert held(root) == before
    assert Store(root).archived() == {}
    assert len(ids) == 4


def test_a_dry_run_moves_nothing(tmp_path: Path, said: Said) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    stored(root)

    code, out, _ = said("archive", "--older-than", "1s", "--to", target, "--dry-run", "--home", root)

    assert code == 0
    assert out.splitlines()[-1].startswith("4 runs, ")
    assert not target.exists()


def test_removing_an_archived_run_removes_it_from_the_archive(tmp_path: Path, said: Said) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    said("archive", "agent-1", "agent-2", "--to", target, "--home", root)

    code, out, _ = said("rm", "agent-1", "agent-3", "--yes", "--home", root)

    assert code == 0
    assert "2 runs removed" in out
    assert [entry.run_id for entry in Store(root).entries] == [ids[1], ids[3]]
    assert not (target / "segments" / ids[0].hex()).exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["archive"], "Name runs, or say which"),
        (["archive", "agent-1", "--list"], "Name runs, or say which"),
        (["archive", "agent-1"], "--to DIR"),
        (["archive", "agent-1:2", "--to", "there"], "names a step"),
        (["restore"], "Name runs, or say which"),
        (["restore", "agent-1", "--all"], "Name runs, or say which"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], hint: str, tmp_path: Path, said: Said) -> None:
    stored(tmp_path / "store", runs=1)

    code, _, err = said(*arguments, "--home", tmp_path / "store")

    assert code == 2
    assert hint in err


def test_a_run_in_both_places_is_removed_from_both(tmp_path: Path, said: Said) -> None:
    root, target, aside = tmp_path / "store", tmp_path / "archive", tmp_path / "aside"
    ids = stored(root)
    shutil.copytree(root / "segments" / ids[0].hex(), aside)
    assert said("archive", "agent-1", "--to", target, "--home", root)[0] == 0
    shutil.copytree(aside, root / "segments" / ids[0].hex())  # as a move leaves it that was killed

    code, _, err = said("rm", "agent-1", "--yes", "--home", root, "--json")

    assert code == 0
    assert "1 run removed" in err
    assert ids[0] not in held(root)
    assert ids[0].hex() not in [*os.listdir(root / "segments"), *os.listdir(target / "segments")]


def test_removing_tells_that_an_archive_keeps_its_copy(tmp_path: Path, said: Said) -> None:
    root, other, target = tmp_path / "store", tmp_path / "other", tmp_path / "archive"
    stored(root)
    assert said("archive", "agent-1", "--to", target, "--home", root)[0] == 0
    other.mkdir()
    assert said("archive", "--attach", target, "--home", other)[0] == 0

    code, _, err = said("rm", "agent-1", "--yes", "--home", other)

    assert code == 0
    assert f"{target} keeps its copy" in err
    assert said("show", "agent-1", "--home", root)[0] == 0


def test_an_archive_that_keeps_what_is_brought_back_is_told(tmp_path: Path, said: Said) -> None:
    first, second, target = tmp_path / "first", tmp_path / "second", tmp_path / "archive"
    stored(first)
    shutil.copytree(first, second)
    for root in (first, second):
        assert said("archive", "agent-1", "agent-2", "--to", target, "--home", root)[0] == 0

    code, out, err = said("restore", "agent-1", "--home", first)
    assert (code, out) == (0, "1 run brought back\n")
    assert err == f"warning: {target} keeps its copy: another store put it there, or relies on it\n"

    code, out, err = said("restore", "agent-1", "--home", second)
    assert (code, out, err) == (0, "1 run brought back\n", "")
