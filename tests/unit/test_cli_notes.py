"""What ``show`` makes of notes, scores and the values of libraries, compared with golden files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrace import events
from agentrace.cli import execute
from tests.unit.golden import expect
from tests.unit.library_values import values_run
from tests.unit.recorded_runs import Process, Writing


def printed(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str) -> str:
    assert execute([*arguments, "--home", str(store)]) == 0
    return capsys.readouterr().out


def talkative(process: Process) -> Writing:
    """A run that says much, and of several kinds."""
    run = process.run("talkative")
    agent = run.step("agent", "plan", 5)
    for at in range(6):
        run.event(events.Logged, agent, 6 + at, f"line {at}", "info", logger="<stdout>")
    run.event(
        events.Logged, agent, 14, "stock is low\nbelow ten", "warning", run.encoder.encode({"left": 9})[0], "shop"
    )
    run.event(events.Logged, agent, 15, "no \x1b[31mstock", "error", logger="shop.stock")
    run.event(events.Scored, agent, 16, "helpfulness", 0.8, "answered\nall", "user")
    run.done(agent, 20)
    run.event(events.Logged, 0, 21, "shutting down", "debug")
    run.event(events.Scored, 0, 22, "all in all", 1.0)
    run.end(30)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    process = Process(tmp_path)
    talkative(process)
    values_run(process)
    process.close()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("show-notes.txt", ["show", "talkative"]),
        ("show-notes-step.txt", ["show", "talkative:1"]),
        ("show-values.txt", ["show", "values", "--io"]),
        ("show-values-step.txt", ["show", "values:5"]),
    ],
)
def test_the_output_is_the_golden_file(
    store: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    expect(name, printed(capsys, store, *arguments))


def test_json_has_all_of_it(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = json.loads(printed(capsys, store, "show", "talkative", "--json"))
    step = json.loads(printed(capsys, store, "show", "values:5", "--json"))

    assert [note["message"] for note in run["rows"][0]["notes"] if note["type"] == "log"][-1] == "no \x1b[31mstock"
    assert run["rows"][0]["notes"][6]["fields"] == {"left": 9}
    assert run["rows"][0]["notes"][-1] == {
        "type": "score",
        "time": "2026-11-20T13:06:40.016000Z",
        "name": "helpfulness",
        "value": 0.8,
        "comment": "answered\nall",
        "source": "user",
    }
    assert [note["type"] for note in run["notes"]] == ["log", "score"]
    assert step["output"]["$summary"] == "DataFrame of 2 rows and 2 columns"
    assert step["output"]["values"][0]["cells"] == ["Rome", "Oslo"]
    assert step["output"]["values"][1]["npy"]["mime"] == "application/x-npy"
