"""What is told of a run whose record is damaged: in lists, where it is shown, in SQL, in Python and by `doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace.cli import execute
from agentrace.journal import list_runs
from agentrace.journal.sealed import open_segment
from agentrace.journal.segment import EVENTS, PAYLOADS
from tests.unit.recorded_runs import Process


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three runs, of which the second has a large payload that nothing but `show --io` and `verify` has to read."""
    process = Process(tmp_path / "store")
    for number in range(3):
        run = process.run(f"agent-{number}", after_ms=number)
        for at in range(1, 20):
            value = os.urandom(200_000).hex() if at == 7 else at
            run.done(run.step("tool", "fetch", at, {"n": value}), at + 1, at)
        run.end(300)
    process.close()
    return tmp_path / "store"


def segment(store: Path) -> Path:
    """The file of the second run."""
    return store / "segments" / list_runs(store)[1].run_id.hex() / "000001.seg"


def flip(file: Path, at: int) -> None:
    """Change one bit, as a disk does that forgets; no size and no directory changes."""
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))


def in_events(file: Path) -> None:
    flip(file, next(chunk for chunk in open_segment(file, "x").footer.chunks if chunk.kind == EVENTS).offset + 100)


def in_payloads(file: Path) -> None:
    flip(file, next(chunk for chunk in open_segment(file, "x").footer.chunks if chunk.kind == PAYLOADS).offset + 100)


def in_header(file: Path) -> None:
    flip(file, 3)


def in_footer(file: Path) -> None:
    flip(file, file.stat().st_size - 70)


def at_the_end(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def empty(file: Path) -> None:
    os.truncate(file, 0)


DAMAGE = [in_events, in_header, in_footer, at_the_end, empty]


def printed(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = execute([*arguments, "--home", str(store)])
    out, err = capsys.readouterr()
    return code, out + err


def listed(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str) -> list[list[str]]:
    _, text = printed(capsys, store, "ls", "--json", *arguments)
    return [json.loads(line)["health"] for line in text.splitlines()]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("first", ["unknown", "listed before"])
def test_a_damaged_run_says_so(
    store: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], first: str
) -> None:
    """Also where what was told of it before is kept, and the file has kept its size."""
    if first != "unknown":
        assert listed(capsys, store) == [[], [], []]
    file = segment(store)
    damage(file)
    run = file.parent.name[:12]

    assert listed(capsys, store) == [[], ["damaged"], []]
    _, text = printed(capsys, store, "ls")
    assert [line.split()[0] for line in text.splitlines() if line.endswith("damaged")] == [run]
    assert f"1 damaged record: `agentrace verify {run}` tells what is missing" in text
    code, text = printed(capsys, store, "show", run)
    assert code == 0
    assert "the record is damaged\n" in text
    assert "000001.seg" in text
    assert f"`agentrace verify {run}`" in text
    told: dict[str, Any] = json.loads(printed(capsys, store, "show", run, "--json")[1])
    assert told["health"] == ["damaged"]
    assert any("000001.seg" in spot for spot in told["damage"])
    _, text = printed(capsys, store, "doctor")
    assert f"of the last 3 runs the records of 1 are damaged: {run}" in text
    assert printed(capsys, store, "verify", run)[0] == 1


def test_whole_runs_say_nothing_of_damage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["ls"], ["show", "agent-1"], ["doctor"]):
        assert "damaged" not in printed(capsys, store, *command)[1]
    assert json.loads(printed(capsys, store, "show", "agent-1", "--json")[1])["damage"] == []


def test_events_that_are_missing_are_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_events(segment(store))

    told = json.loads(printed(capsys, store, "show", segment(store).parent.name, "--json")[1])

    assert told["damage"][-1] == "events 1 to 40 are missing"


def test_a_run_is_found_by_the_name_that_it_had(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = segment(store)
    listed(capsys, store)
    in_events(file)

    code, text = printed(capsys, store, "show", "agent-1")

    assert code == 0
    assert "the record is damaged" in text


def test_a_name_that_cannot_be_read_is_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_events(segment(store))

    code, text = printed(capsys, store, "show", "agent-1")

    assert code == 2
    assert "the name of 1 run cannot be read" in text
    assert f"`agentrace verify {segment(store).parent.name[:12]}`" in text


def test_only_verify_finds_what_no_list_reads(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list reads no payload that it does not need: this is what it does not know, and what the pages say of it."""
    in_payloads(segment(store))

    assert listed(capsys, store) == [[], [], []]
    code, text = printed(capsys, store, "verify", "--all")
    assert code == 1
    assert "3 runs, 2 whole, 1 with problems" in text


def test_sql_and_python_tell_the_same(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_footer(segment(store))

    query = "select run_id from runs where list_contains(health, 'damaged')"
    (row,) = [json.loads(line) for line in printed(capsys, store, "sql", query, "--json")[1].splitlines()]
    with agentrace.open(store) as recordings:
        assert [run.run_id for run in recordings.runs() if "damaged" in run.health] == [row["run_id"]]
    assert row["run_id"].replace("-", "") == segment(store).parent.name


def test_filtered_lists_say_it_too(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_header(segment(store))

    _, text = printed(capsys, store, "ls", "--name", "agent-*")

    assert "1 damaged record" in text
    assert listed(capsys, store, "--name", "agent-*") == [[], ["damaged"], []]
