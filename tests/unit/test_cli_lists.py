"""``agentrace ls``: what of a run failed, where a run belongs, how many there are, and all that in a narrow terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.cli.escaping import cells
from agentrace.events import Parent
from agentrace.ids import format_run_id
from agentrace.query import Runs
from tests.unit.recorded_runs import Process


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run that ends well though steps, a child process and a job of it failed; two others, one with an exit code."""
    root = tmp_path / "store"
    process = Process(root)
    shop = process.run("a shop with a name that is rather long")
    for at in range(3):
        shop.failed(shop.step("tool", "charge", at), at + 0.5, "Declined")
    shop.done(shop.step("tool", "fetch", 4), 5)
    process.run("render", after_ms=1, parent=Parent(shop.id, 1)).end(1)
    process.run("mail", after_ms=2, parent=Parent(shop.id, 2, "/send#0/job:0")).end_badly(1, "ValueError", "no")
    process.run("resize", after_ms=3, parent=Parent(shop.id, 2)).end_badly(1, exit_code=9)
    shop.end(9)
    process.run("plain", after_ms=4).end(1)
    process.run("left", after_ms=5).end_badly(1, exit_code=3)
    process.close()
    return root


def lines(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> list[str]:
    assert execute(["ls", *arguments, "--home", str(root)]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("arguments", [[], ["--until", "now"]])
def test_what_failed_of_a_run_stands_behind_it(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    told = {line.split()[1]: line for line in lines(capsys, root, *arguments)}

    assert told["a"].endswith("  4, 3 failed  yes         2 failed below, +2 processes +1 job")
    assert told["plain"].endswith("no steps")
    assert told["left"].endswith("exit code 3, no steps")


def test_a_long_name_gives_way_to_what_failed(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    (shop,) = (line for line in lines(capsys, root) if "a shop with" in line)

    assert "  4, 3 failed  " in shop
    assert "  2 fail" in shop


def test_each_run_of_all_says_where_it_belongs(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shop = Runs(root).ids[-1].hex()

    told = {line.split()[1]: line for line in lines(capsys, root, "-a")}

    digits = len(told["plain"].split()[0])
    assert f"  process of {shop[:digits]}" in told["render"]
    assert f"  job of {shop[:digits]}, ValueError: no, no steps" in told["mail"]
    assert " of " not in told["plain"]


def test_the_footer_counts_what_is_listed(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")

    assert lines(capsys, root, "-n", "2")[-1].startswith(f"2 of 3 runs in {root} (")
    assert lines(capsys, root, "-n", "2")[-1].endswith("; -n 3 shows all")
    assert lines(capsys, root, "-n", "3")[-1].startswith(f"3 runs and 2 child processes and 1 job in {root} (")
    assert lines(capsys, root, "-a", "-n", "2")[-1].endswith("; -n 6 shows all")
    assert lines(capsys, root, "-a")[-1].startswith(f"6 runs in {root} (")


@pytest.mark.parametrize("columns", [40, 50, 60, 72, 80, 100])
@pytest.mark.parametrize("arguments", [[], ["-a"], ["--sort", "steps"]])
def test_a_table_keeps_to_the_width_of_its_terminal(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, arguments: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ids = {format_run_id(run_id).replace("-", "")[:8] for run_id in Runs(root).ids}

    shown = lines(capsys, root, *arguments)

    # A path is never broken: somebody may want to copy it.
    assert max(cells(line) for line in shown if str(root) not in line) <= columns
    assert {line[:8] for line in shown[1:]} >= (ids if "-a" in arguments else set())
    assert shown[0].split()[:3] == ["run", "name", "status"]
    assert ("replayable" in shown[0]) == (columns > 60)
