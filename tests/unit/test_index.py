"""The index says what the records say, whenever it was brought up to date, and whatever became of its file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agentrace import events
from agentrace.errors import StoreError
from agentrace.index import Watching, database, opened, rebuild
from agentrace.index.workers import _started
from agentrace.query import Runs
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store, one, said
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.travel_run import travel


def stored(root: Path) -> Path:
    """A store with a run of every kind of step, a failed run and one whose process died."""
    process = Process(root)
    travel(process)
    failed = process.run("failed", after_ms=100, number=7, tags=["nightly"])
    failed.failed(failed.step("tool", "lookup", 1, {"city": "Łódź"}), 3, "builtins:ValueError", "no such city")
    failed.end_badly(5, "builtins:ValueError", "no such city")
    process.close()
    dead = Process(root)
    dead.run("dead", after_ms=200, number=8).step("tool", "lookup", 1, {"text": "x" * 5_000})
    dead.die()
    return root


def test_the_index_says_what_the_records_say(tmp_path: Path) -> None:
    runs = Runs(stored(tmp_path))

    with opened(runs.store) as session:
        told = session.connection.execute(
            "SELECT run_id, name, status, steps, failed_steps, retries, input_tokens, output_tokens, replayable, events,"
            " started_ts, duration_ns FROM runs ORDER BY run_id"
        ).fetchall()
        steps = session.connection.execute("SELECT run_id, step_id, path, status, model FROM steps").fetchall()

    expected = []
    for run_id in reversed(runs.ids):
        run, totals = runs.summary(run_id), runs.summary(run_id).totals
        usage = (totals.usage.input_tokens, totals.usage.output_tokens)
        count = len(runs.record(run_id).events)
        expected.append((run.name, run.status, totals.count, totals.failed, totals.retries, *usage))
        assert told[len(expected) - 1][8:] == (run.replayable.yes, count, run.started_ts, run.duration_ns)
    assert [row[1:8] for row in told] == expected
    states = [(run_id, step) for run_id in runs.ids for step in runs.record(run_id).trace.steps.values()]
    assert {(run.bytes, step, path) for run, step, path, *_ in steps} == {
        (run_id, step.id, step.path) for run_id, step in states
    }
    assert {(step, model) for run, step, _, _, model in steps if model} == {(2, "gpt-5-mini"), (10, "gpt-5-mini")}
    assert "interrupted" in {row[3] for row in steps}
    assert made_anew(tmp_path) == of_store(tmp_path)


def test_a_run_that_goes_on_is_told_further(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    outer = run.step("agent", "plan", 1)
    of_store(tmp_path)
    history: list[Any] = [{"role": "user", "content": "What is it? " * 40}]
    asked = {"model": "gpt-5", "messages": history}
    inner = run.step("model", "openai.chat.completions", 2, asked, parent=outer, **MODEL)
    run.exchange(inner, 3, 5, body=completion("the answer"))
    of_store(tmp_path)
    run.event(events.Logged, outer, 6, "half-way")
    run.answered(inner, 7)
    between = of_store(tmp_path)
    history += [{"role": "assistant", "content": "the answer"}, {"role": "user", "content": "And then?"}]
    again = run.step("model", "openai.chat.completions", 8, asked, parent=outer, **MODEL)
    run.exchange(again, 9, 10, body=completion("no more"))
    run.answered(again, 10)
    run.event(events.Scored, outer, 11, "quality", 0.5)

    with opened(Store(tmp_path)) as session:
        assert session.indexed is not None
        assert session.indexed.events == 7
        assert one(session, "SELECT path FROM steps WHERE step_id = 3") == "/plan#0/openai.chat.completions#0"
        told = session.connection.execute("SELECT step_id, role, text FROM messages ORDER BY ALL").fetchall()
        assert one(session, "SELECT count(*) FROM texts WHERE text LIKE '%What is it%'") == 1
    going_on = of_store(tmp_path)
    assert going_on == made_anew(tmp_path)
    run.done(outer, 12, "done")
    run.end(13)
    process.close()

    question = history[0]["content"]
    assert told == [
        (2, "assistant", "the answer"),
        (2, "user", question),
        (3, "assistant", "no more"),
        (3, "user", "And then?"),
    ]
    assert between != going_on != of_store(tmp_path) == made_anew(tmp_path)


def test_nothing_is_done_where_nothing_is_new(tmp_path: Path) -> None:
    stored(tmp_path)
    of_store(tmp_path)
    before = (tmp_path / database.FILE).stat()

    with opened(Store(tmp_path)) as session:
        assert session.indexed is None
        assert session.stale is None

    after = (tmp_path / database.FILE).stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert before.st_mode & 0o777 == 0o600


def test_a_run_that_is_removed_goes_from_the_index(tmp_path: Path) -> None:
    runs = Runs(stored(tmp_path))
    of_store(tmp_path)

    shutil.rmtree(tmp_path / "segments" / runs.find("failed").hex())

    with opened(Store(tmp_path)) as session:
        assert session.indexed is not None
        assert session.indexed.removed == 1
        assert one(session, "SELECT count(*) FROM runs WHERE name = 'failed'") == 0
    assert of_store(tmp_path) == made_anew(tmp_path)


def _garbage(root: Path) -> None:
    (root / database.FILE).write_bytes(os.urandom(50_000))


def _cut(root: Path) -> None:
    os.truncate(root / database.FILE, 20_000)


def _flipped(root: Path) -> None:
    data = bytearray((root / database.FILE).read_bytes())
    at = data.index(b"no such city")
    data[at] ^= 0x01
    (root / database.FILE).write_bytes(data)


def _gone(root: Path) -> None:
    (root / database.FILE).unlink()


def _of_another_version(root: Path) -> None:
    with duckdb.connect(str(root / database.FILE)) as connection:
        connection.execute("UPDATE meta SET value = 'index 0' WHERE key = 'stamp'")


def _of_somebody_else(root: Path) -> None:
    (root / database.FILE).unlink()
    with duckdb.connect(str(root / database.FILE)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS one")


@pytest.mark.parametrize("spoil", [_garbage, _cut, _flipped, _gone, _of_another_version, _of_somebody_else])
@pytest.mark.parametrize("new", [False, True], ids=["nothing-new", "something-new"])
def test_a_spoilt_index_is_made_again(spoil: Any, new: bool, tmp_path: Path) -> None:
    of_store(stored(tmp_path))

    spoil(tmp_path)
    if new:
        process = Process(tmp_path)
        process.run("later", after_ms=300, number=9).end(1)
        process.close()

    assert of_store(tmp_path) == made_anew(tmp_path)


def test_a_log_that_is_cut_off_costs_nothing_but_time(tmp_path: Path) -> None:
    stored(tmp_path)
    left = subprocess.run([sys.executable, "-c", LEAVES_A_LOG, str(tmp_path)], check=False)
    log = tmp_path / database.WAL
    assert left.returncode == -9
    assert log.stat().st_size > 2_000

    os.truncate(log, log.stat().st_size - 1_000)

    assert of_store(tmp_path) == made_anew(tmp_path)


LEAVES_A_LOG = """
import os, pathlib, sys
from agentrace.index import database
from agentrace.index.indexing import Indexer
from agentrace.index.opening import unseen
from agentrace.store import Store
root = pathlib.Path(sys.argv[1])
connection = database.writable(root)
Indexer(connection, Store(root), {}, unseen).work()
os.kill(os.getpid(), 9)
"""

HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
connection.execute("SELECT 1").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("manner", ["rw", "ro"])
def test_a_stranger_who_holds_the_index_makes_it_stale_and_no_error(manner: str, tmp_path: Path) -> None:
    stored(tmp_path)
    before = of_store(tmp_path)
    written = time.time_ns()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / database.FILE), manner]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"
        process = Process(tmp_path)
        process.run("later", after_ms=300, number=9).end(1)
        process.close()

        with opened(Store(tmp_path)) as session:
            stale = session.stale
            assert one(session, "SELECT count(*) FROM runs") == len(before["runs"])
        with pytest.raises(StoreError) as refused:
            rebuild(Store(tmp_path))
        stranger.stdin.close()

    assert stale is not None
    assert f"(process {stranger.pid})" in stale.because
    assert 0 < stale.as_of_ns <= written
    assert refused.value.slug == "index-held"
    with opened(Store(tmp_path)) as session:
        assert session.stale is None
        assert one(session, "SELECT count(*) FROM runs") == len(before["runs"]) + 1


def test_what_the_integrations_tell_is_told_anew_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec.structs import replace

    from agentrace.integrations import catalogue
    from agentrace.query import Facts

    stored(tmp_path)
    of_store(tmp_path)
    known = catalogue.integration("openai")
    assert known is not None
    changed = replace(known, facts_version="next", facts=lambda *_: Facts(model="another"))

    monkeypatch.setattr("agentrace.store.record.integration", lambda name: changed if name == "openai" else None)

    with opened(Store(tmp_path)) as session:
        assert session.indexed is not None
        assert session.indexed.runs == 1
        assert one(session, "SELECT DISTINCT model FROM steps WHERE model IS NOT NULL") == "another"


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    with opened(Store(stored(tmp_path)), Watching(progress=lambda done, of: told.append((done, of)))):
        pass

    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("killed", [False, True])
def test_other_processes_help_and_may_die(killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(stored(tmp_path))
    for number in range(20, 40):
        run = process.run("more", after_ms=number, number=number)
        run.done(run.step("tool", "lookup", 1, {"number": number}), 2, number)
        run.end(3)
    process.close()
    started: list[subprocess.Popen[bytes]] = []

    def start(root: Path) -> subprocess.Popen[bytes]:
        started.append(_started(root))
        if killed:
            started[-1].kill()
        return started[-1]

    monkeypatch.setattr("agentrace.index.indexing.ALONE_SECONDS", 0.0)
    monkeypatch.setattr("agentrace.index.workers._started", start)
    with opened(Store(tmp_path), Watching(processes=2)) as session:
        told = said(session.connection)

    assert told == made_anew(tmp_path)
    assert [helper.returncode for helper in started] == [-9, -9]


def test_nothing_is_ever_downloaded(tmp_path: Path) -> None:
    with opened(Store(stored(tmp_path))) as session:
        settings = dict(
            session.connection.execute(
                "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known%' OR name LIKE '%community%'"
            ).fetchall()
        )

    assert settings == {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
    }


def test_texts_of_all_kinds_come_through(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("texts \x00 'quoted'; DROP TABLE run_rows")
    given = {"text": "nul \x00, half \ud83d, quote ' \" \\ and \U0001f600", "nan": float("nan"), "raw": b"\xff\x00"}
    run.done(run.step("tool", "say", 1, given), 2, given)
    run.end(3)
    process.close()

    with opened(Store(tmp_path)) as session:
        text = one(session, "SELECT text FROM texts WHERE part = 'input'")
        assert one(session, "SELECT count(*) FROM runs") == 1

    assert "\\u0000" in text
    assert "\U0001f600" in text
    assert '{"$float":"nan"}' in text


def test_a_record_that_cannot_be_read_is_a_row_that_says_so(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.run("newer", format="9.0").end(1)
    process.close()

    with opened(Store(tmp_path)) as session:
        status, error = session.connection.execute("SELECT status, error FROM runs").fetchone() or ("", "")

    assert status == "unreadable"
    assert "version 9.0" in error
    assert of_store(tmp_path) == made_anew(tmp_path)
