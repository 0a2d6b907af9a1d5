"""Choosing runs by filters: never by what was so at an earlier moment, and whatever can be told of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.events import Parent
from agentrace.ids import format_run_id
from agentrace.index import database
from agentrace.query import Runs
from tests.unit.indexes import of_store
from tests.unit.recorded_runs import Process
from tests.unit.test_index import HOLDER


def said(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, and what a command says of this store."""
    code = execute([*arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    return code, out, err


def outcomes(out: str) -> dict[str, str]:
    return {told["run_id"]: told["outcome"] for told in map(json.loads, out.splitlines())}


@contextmanager
def held(root: Path) -> Generator[None]:
    """A program that is not agentrace holds the index meanwhile."""
    command = [sys.executable, "-c", HOLDER, str(root / database.FILE), "rw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"
        yield
        stranger.stdin.close()


@pytest.mark.parametrize("command", [["rm", "--yes"], ["archive", "--to", "{}/archive"], ["restore"]])
def test_nothing_is_chosen_by_an_index_that_somebody_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    root = tmp_path / "store"
    process = Process(root)
    run = process.run("nightly")
    of_store(root)  # there the run goes on
    command = [part.format(tmp_path) for part in command]

    with held(root):
        run.end(1)
        process.close()
        code, out, err = said(capsys, root, *command, "--status", "running")
        assert (code, out) == (2, "")
        assert "holds the index open" in err
        assert "docs/errors.md#index-held" in err
        assert said(capsys, root, "ls", "--status", "running")[1].startswith("run")  # as of then, which it says
        assert Runs(root).ids == [run.id]
        if command[0] == "rm":
            assert said(capsys, root, *command, "nightly")[0] == 0  # a name needs no index
            assert Runs(root).ids == []

    assert said(capsys, root, *command, "--status", "running")[0] == 0


def test_a_run_that_cannot_be_read_began_when_its_id_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    run = process.run("nightly")
    run.end(1)
    process.close()
    (tmp_path / "segments" / run.id.hex() / "000001.seg").write_bytes(b"no segment at all" * 100)

    assert (
        outcomes(said(capsys, tmp_path, "rm", "--until", "2026-11-20T13:06:40+00:00", "--dry-run", "--json")[1]) == {}
    )
    told = said(capsys, tmp_path, "rm", "--failed", "--until", "2026-11-20T13:06:41+00:00", "--yes", "--json")
    assert outcomes(told[1]) == {format_run_id(run.id): "removed"}


@pytest.mark.parametrize(("command", "would"), [("rm", "would be removed"), ("archive", "would be archived")])
def test_a_dry_run_says_what_would_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, would: str
) -> None:
    root = tmp_path / "store"
    over, process = Process(root), Process(root)
    over.run("over").end(1)
    over.close()
    living = process.run("living", after_ms=5, number=7)
    asked = [command, "--name", "*", "--dry-run", "--json", *(["--to", str(tmp_path)] if command == "archive" else [])]
    newest, oldest = (format_run_id(run_id) for run_id in Runs(root).ids)

    code, out, _ = said(capsys, root, *asked)
    assert (code, outcomes(out)) == (0, {oldest: would, newest: "its process still runs"})

    living.end(9)
    process.close()
    assert outcomes(said(capsys, root, *asked)[1]) == {oldest: would, newest: would}


def test_archived_runs_are_chosen_as_they_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "store"
    process = Process(root)
    for number, name in enumerate(("nightly", "nightly", "other")):
        process.run(name, after_ms=number).end(1)
    process.close()
    newest, second, first = (format_run_id(run_id) for run_id in Runs(root).ids)
    assert said(capsys, root, "archive", "--name", "night", "--to", str(tmp_path / "archive"))[0] == 0

    dry = outcomes(said(capsys, root, "restore", "--status", "completed", "--dry-run", "--json")[1])
    done = outcomes(said(capsys, root, "restore", "--name", "NIGHT*", "--json")[1])

    assert dry == {first: "would be restored", second: "would be restored"}
    assert done == {first: "restored", second: "restored"}
    assert newest not in done


def test_an_export_takes_the_same_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, file = tmp_path / "store", tmp_path / "some.agentrace"
    process = Process(root)
    shop = process.run("shop")
    process.run("render", after_ms=1, parent=Parent(shop.id, 0)).end(1)
    process.run("other", after_ms=2).end_badly(1, "ValueError", "no")
    shop.end(5)
    process.close()

    assert said(capsys, root, "export", "--name", "SHO", "-o", str(file))[0] == 0
    assert {Runs(root).head(one).name for one in Runs(root).ids} == {"shop", "render", "other"}
    names = [json.loads(line)["name"] for line in said(capsys, file, "ls", "-a", "--json")[1].splitlines()]
    assert names == ["render", "shop"]

    code, _, err = said(capsys, root, "export", "--name", "nobody", "-o", str(file))
    assert (code, "There are no such runs to export." in err) == (2, True)
    code, _, err = said(capsys, root, "export", "--all", "--failed", "-o", str(file))
    assert (code, "one of these" in err) == (2, True)


@pytest.mark.parametrize("arguments", [["--status", "completed", "--failed"], ["--failed", "--status", "failed"]])
@pytest.mark.parametrize("command", [["ls"], ["rm", "--yes"], ["top"], ["search", "x"], ["stats"]])
def test_two_ways_to_say_how_runs_went_are_one_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], arguments: list[str]
) -> None:
    code, out, err = said(capsys, tmp_path, *command, *arguments)

    assert (code, out) == (2, "")
    assert "--failed is --status failed,aborted,interrupted,unreadable: say one of them." in " ".join(err.split())


def test_a_run_goes_with_what_started_it_whatever_their_ids_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Process(tmp_path)
    shop = process.run("shop", number=9)
    child = process.run("render", number=2, parent=Parent(shop.id, 0))  # of the same millisecond, with a lower id
    child.end(1)
    shop.end(2)
    process.close()

    told = [
        json.loads(line)["run_id"]
        for line in said(capsys, tmp_path, "rm", "--name", "*", "--dry-run", "--json")[1].splitlines()
    ]

    assert sorted(told) == sorted(map(format_run_id, (shop.id, child.id)))  # each once
