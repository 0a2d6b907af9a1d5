"""The index beside odd things: strangers who hold its file, names and numbers that nobody expects, late events."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from agentrace import events
from agentrace.index import Watching, database, opened
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.test_index import HOLDER, stored


def test_a_path_leads_through_all_that_is_new(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    outer = run.step("agent", "outer", 1)
    of_store(tmp_path)
    middle = run.step("agent", "middle", 2, parent=outer)
    run.step("tool", "inner", 3, parent=middle)

    with opened(Store(tmp_path)) as session:
        assert one(session, "SELECT path FROM steps WHERE step_id = 3") == "/outer#0/middle#0/inner#0"
    assert of_store(tmp_path) == made_anew(tmp_path)
    process.close()


def test_what_comes_after_the_end_of_a_run_is_told(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.end(3)
    of_store(tmp_path)

    run.event(events.Scored, 0, 11, "quality", 0.5)

    assert of_store(tmp_path) == made_anew(tmp_path)
    process.close()


@pytest.mark.parametrize("tokens", [2**53, 2**63, 10**30, -1])
def test_a_number_that_no_column_takes_costs_no_other_run(tokens: int, tmp_path: Path) -> None:
    process = Process(stored(tmp_path))
    run = process.run("odd", after_ms=400, number=30)
    for at in range(3):
        model = run.step("model", "openai.chat.completions", at, {"model": "gpt-5", "n": -1}, thread=-1, **MODEL)
        run.exchange(model, at, at + 0.5, body=completion("x", usage=(tokens, 1)))
        run.answered(model, at + 0.5)
    run.end_badly(9, exit_code=2**31 + 5)
    process.close()

    with opened(Store(tmp_path)) as session:
        assert one(session, "SELECT count(*) FROM runs") == 5
        assert one(session, "SELECT count(*) FROM steps WHERE run_name = 'odd'") == 3
        assert session.connection.execute("SELECT * FROM daily").fetchall()
    with opened(Store(tmp_path)) as session:
        assert session.indexed is None


@pytest.mark.parametrize("name", ["wh?t/s", b"caf\xe9".decode("utf-8", "surrogateescape"), "it's [a] *{b}* 100%; \n x"])
def test_a_store_may_be_called_anything(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    root.mkdir(parents=True)

    assert of_store(stored(root)) == made_anew(root)
    assert of_store(root) == made_anew(root)


@pytest.mark.parametrize("manner", ["rw", "ro"])
def test_a_stranger_may_hold_what_is_no_index(manner: str, tmp_path: Path) -> None:
    stored(tmp_path)
    with duckdb.connect(str(tmp_path / database.FILE)) as made:
        made.execute("CREATE TABLE mine AS SELECT 1 AS one")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / database.FILE), manner]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"

        with opened(Store(tmp_path)) as session:
            assert one(session, "SELECT count(*) FROM runs") == 4
        stranger.stdin.close()


def test_what_this_program_holds_itself_is_left_as_it_is(tmp_path: Path) -> None:
    of_store(stored(tmp_path))
    process = Process(tmp_path)
    process.run("later", after_ms=300, number=9).end(1)
    process.close()
    before = (tmp_path / database.FILE).stat().st_ino

    with duckdb.connect(str(tmp_path / database.FILE), read_only=True), opened(Store(tmp_path)) as session:
        assert session.stale is not None
        assert one(session, "SELECT count(*) FROM runs") == 4

    assert (tmp_path / database.FILE).stat().st_ino == before
    assert of_store(tmp_path) == made_anew(tmp_path)


def test_an_interrupted_pass_lets_go_of_the_file(tmp_path: Path) -> None:
    stored(tmp_path)

    def interrupted(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept, opened(Store(tmp_path), Watching(progress=interrupted)):
        pass

    assert kept.value is not None  # as a notebook keeps it
    assert of_store(tmp_path) == made_anew(tmp_path)


@pytest.mark.parametrize("kind", events.EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_type_of_event_has_a_view(kind: type[events.Event], index_of_travel: Path) -> None:
    view = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()

    with opened(Store(index_of_travel)) as session:
        found = session.connection.execute(f"SELECT * FROM {view}")
        columns = [column[0] for column in found.description]
        rows = len(found.fetchall())
        there = one(session, f"SELECT count(*) FROM events WHERE type = '{kind.__name__}'")

    fields = [field for field in kind.__struct_fields__ if field not in ("seq", "step_id", "ts")]
    assert columns == ["run_id", "seq", "step_id", "time", *fields]
    assert rows == there


@pytest.fixture(scope="module")
def index_of_travel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of every kind of step, indexed."""
    root = tmp_path_factory.mktemp("travel")
    of_store(stored(root))
    return root


def test_what_came_since_a_store_was_listed_is_told(tmp_path: Path) -> None:
    store = Store(stored(tmp_path))
    assert len(store.entries) == 4
    process = Process(tmp_path)
    process.run("later", after_ms=300, number=9).end(1)
    process.close()

    with opened(store) as session:
        assert one(session, "SELECT count(*) FROM runs WHERE name = 'later'") == 1
