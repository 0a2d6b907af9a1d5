"""Stores as older versions wrote them, kept as they were: today's commands list, show, check, replay and export them.

Each holds a run that ended, the run of its child process, and in a lane, not sealed, one that was killed. A version that
writes stores otherwise gets one of its own beside these, made by its own code::

    agentrace run --name travel python agent.py; agentrace run --name killed python agent.py --killed
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from agentrace.archive import TraceFile
from agentrace.events import is_readable
from agentrace.query import Runs, output_of
from tests.e2e.place import AGENTRACE, Place, names_of, status
from tests.unit.golden import GOLDEN
from tests.unit.indexes import made_anew, of_store

STORES = sorted((GOLDEN / "stores").glob("*.tar.gz"))
STEPS = ["search", "weather", "search", "weather", "book"]


@pytest.fixture(params=STORES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store as it was left, and the program that its runs are of."""
    with tarfile.open(request.param) as kept:
        kept.extractall(tmp_path / "store", filter="data")
    shutil.copy(GOLDEN / "stores" / "agent.py", tmp_path)
    return Place(tmp_path)


def test_there_is_a_store_of_each_version() -> None:
    assert [path.name for path in STORES] == ["0.1.tar.gz", "1.0.tar.gz", "1.1-says-its-format.tar.gz", "1.1.tar.gz"]


def test_it_is_read_and_checked(place: Place) -> None:
    assert list((place.store / "journal").glob("*/*.lane"))

    ended, child, killed = place.runs()

    assert (status(ended), status(child), status(killed)) == ("completed", "completed", "interrupted")
    assert names_of(ended) == names_of(child) == STEPS
    assert names_of(killed) == [*STEPS[:4], "weather"]
    assert child.trace.run.parent.run_id == ended.run_id
    assert is_readable(ended.trace.run.started.format if ended.trace.run.started else "")
    pages = output_of(ended, ended.trace.steps[1])
    assert pages[0].startswith("Oslo lies at the head of a fjord.")
    checked = place.do(AGENTRACE, "verify", "--all", "--json")
    assert (checked.code, checked.err) == (0, "")
    assert [json.loads(line)["ok"] for line in checked.out.splitlines()] == [True] * 3
    assert not list((place.store / "journal").iterdir())


def test_the_commands_show_it(place: Place) -> None:
    listed = place.do(AGENTRACE, "ls")
    shown = place.do(AGENTRACE, "show", "killed")

    assert (listed.code, listed.err, shown.code, shown.err) == (0, "", 0, "")
    assert [line.split()[1:3] for line in listed.out.splitlines()[1:3]] == [
        ["killed", "interrupted"],
        ["travel", "completed"],
    ]
    assert "the process died without an end" in shown.out


def test_it_is_indexed_as_a_store_of_today_is(place: Place) -> None:
    kept = of_store(place.store)
    assert [row[2] for row in kept["runs"]] == ["completed", "completed", "interrupted"]
    assert kept == made_anew(place.store)

    counted = place.do(AGENTRACE, "sql", "SELECT name, steps FROM runs ORDER BY started", "--csv")
    found = place.do(AGENTRACE, "search", "head of a fjord", "--json")

    assert (counted.code, counted.err, counted.out.split()) == (
        0,
        "",
        ["name,steps", "travel,5", "travel,5", "killed,5"],
    )
    assert (found.code, found.err) == (0, "")
    assert {hit["name"] for hit in map(json.loads, found.out.splitlines())} == {"search"}


def test_its_runs_are_replayed(place: Place) -> None:
    done = place.replay("@last~1", "--", "python", "agent.py")

    assert (done.code, done.out.count("no room in Rome")) == (0, 2)
    assert "agentrace: replay exact: 5 calls answered from the record" in done.err


def test_its_runs_are_exported_as_they_are(place: Place) -> None:
    done = place.do(AGENTRACE, "export", "--all", "-o", "all.agentrace")

    assert (done.code, done.err) == (0, "")
    file, kept = Runs(TraceFile(place.root / "all.agentrace")), Runs(place.store)
    assert file.ids == kept.ids
    assert [file.record(one).chain for one in file.ids] == [kept.record(one).chain for one in file.ids]


def test_it_is_recorded_into(place: Place) -> None:
    done = place.run("--name", "today", "python", "agent.py")

    assert (done.code, done.own_words) == (0, [])
    assert [record.trace.run.name for record in place.runs()].count("today") == 2
    assert (place.store / "format").read_text() == "1\n"
