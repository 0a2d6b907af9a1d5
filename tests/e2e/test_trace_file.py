"""One file is handed over: another machine looks at it and replays from it, and the file is only read."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Done, Place

AGENT = """
import os
import subprocess
import sys
import agentrace

@agentrace.tool
def poll(queue):
    return f"{queue} {os.urandom(200).hex()}"

if sys.argv[1:] == ["child"]:
    print("child", poll("child"), flush=True)
else:
    for _ in range(20):
        print(poll("main"), flush=True)
    subprocess.run([sys.executable, __file__, "child"], check=True)
    print("ready", flush=True)
    sys.stdin.readline()
    print(poll("last"), flush=True)
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """A place in which an agent was recorded and exported."""
    place = Place(tmp_path_factory.mktemp("recorded"))
    place.write("agent.py", AGENT)
    done = place.run(PYTHON, "agent.py", stdin=b"\n")
    assert done.code == 0, done.err
    exported = agentrace(place, "export", "@last", "-o", "x.agentrace")
    assert exported.out.startswith("x.agentrace: 2 runs, "), exported
    assert exported.out.endswith("removed: nothing\n")
    return place, done


@pytest.fixture
def elsewhere(recorded: tuple[Place, Done], tmp_path: Path) -> Place:
    """Another machine that has the program and the file."""
    place = Place(tmp_path)
    place.write("agent.py", AGENT)
    (tmp_path / "x.agentrace").write_bytes((recorded[0].root / "x.agentrace").read_bytes())
    return place


def agentrace(place: Place, *arguments: object, code: int = 0, **options: object) -> Done:
    done = place.do(AGENTRACE, *arguments, **options)
    assert done.code == code, done
    return done


def file_in(place: Place) -> bytes:
    return (place.root / "x.agentrace").read_bytes()


def test_it_is_read_where_it_lies(elsewhere: Place) -> None:
    before = file_in(elsewhere)

    listed = agentrace(elsewhere, "ls", "x.agentrace", "--json")
    shown = agentrace(elsewhere, "show", "x.agentrace")
    step = agentrace(elsewhere, "show", "x.agentrace@last:3")
    verified = agentrace(elsewhere, "verify", "x.agentrace")

    (run,) = map(json.loads, listed.out.splitlines())
    assert (run["name"], run["status"], run["processes"]) == ("agent", "completed", 1)
    assert "22 steps; 1 child process" in shown.out
    assert step.out.startswith("tool poll  ok")
    assert [line.split()[0] for line in verified.out.splitlines()[:-1]] == ["ok", "ok"]
    assert verified.out.splitlines()[-1] == "2 runs, 2 whole"
    assert file_in(elsewhere) == before
    assert not elsewhere.store.exists()


def test_it_is_replayed_where_it_lies(recorded: tuple[Place, Done], elsewhere: Place) -> None:
    before = file_in(elsewhere)

    done = elsewhere.replay("x.agentrace", "--", PYTHON, "agent.py", stdin=b"\n")

    assert (done.code, done.out) == (0, recorded[1].out), done.err
    assert "agentrace: replay exact: 21 calls answered" in done.err
    assert file_in(elsewhere) == before
    assert sorted(path.name for path in elsewhere.root.iterdir()) == ["agent.py", "store", "x.agentrace"]


def test_a_replay_that_is_killed_leaves_it_as_it_was(elsewhere: Place) -> None:
    before, when = file_in(elsewhere), (elsewhere.root / "x.agentrace").stat().st_mtime_ns

    with elsewhere.started(AGENTRACE, "replay", "x.agentrace", "--", PYTHON, "agent.py") as replay:
        assert replay.stdout is not None
        assert any(line == b"ready\n" for line in replay.stdout)
        os.killpg(replay.pid, signal.SIGKILL)
        replay.wait()

    assert (file_in(elsewhere), (elsewhere.root / "x.agentrace").stat().st_mtime_ns) == (before, when)


def test_a_cut_file_is_shown_and_replayed_as_far_as_it_goes(recorded: tuple[Place, Done], elsewhere: Place) -> None:
    cut = file_in(elsewhere)[: len(file_in(elsewhere)) * 3 // 5]
    (elsewhere.root / "x.agentrace").write_bytes(cut)

    shown = agentrace(elsewhere, "show", "x.agentrace")
    verified = agentrace(elsewhere, "verify", "x.agentrace", code=1)
    imported = agentrace(elsewhere, "import", "x.agentrace", code=2)
    replayed = elsewhere.replay("x.agentrace", "--", PYTHON, "agent.py", stdin=b"\n")

    for done in (shown, verified, replayed):
        assert f"warning: x.agentrace is cut off after {len(cut):,} of" in done.err
    assert "the record is cut off; this is what can be read of it" in shown.out
    assert "docs/errors.md#trace-file-damaged" in imported.err
    assert replayed.code == 3
    assert "RECORD_INCOMPLETE: the record ends before this call" in replayed.err
    assert replayed.out
    assert recorded[1].out.startswith(replayed.out)
    assert file_in(elsewhere) == cut


def test_it_is_imported_and_then_it_is_a_run_like_any_other(recorded: tuple[Place, Done], elsewhere: Place) -> None:
    first = agentrace(elsewhere, "import", "x.agentrace")
    second = agentrace(elsewhere, "import", "x.agentrace")
    done = elsewhere.replay("@last", "--", PYTHON, "agent.py", stdin=b"\n")

    assert first.out == f"2 runs imported into {elsewhere.store}\n"
    assert second.out == f"0 runs imported into {elsewhere.store}\n2 runs there already\n"
    assert done.out == recorded[1].out


def test_only_failed_takes_the_runs_that_failed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("good.py", "import agentrace\nagentrace.tool(lambda: 1)()\n")
    place.write("bad.py", "import agentrace\nagentrace.tool(lambda: 1)()\nraise ValueError(4)\n")
    assert [place.run(PYTHON, name).code for name in ("good.py", "bad.py")] == [0, 1]

    exported = agentrace(place, "export", "--all", "--only-failed", "-o", "f.agentrace")
    refused = agentrace(place, "export", "good", "--only-failed", "-o", "g.agentrace", code=2)

    assert "removed: 1 run that did not fail\n" in exported.out
    assert "bad" in agentrace(place, "ls", "f.agentrace").out
    assert "None of these runs failed." in refused.err
    assert not (tmp_path / "g.agentrace").exists()


def test_the_same_run_makes_the_same_file_and_a_redacted_one_says_what_it_lost(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("agent.py", "import agentrace\nagentrace.tool(lambda to: to)('joe.doe@example.com')\n")
    assert place.run(PYTHON, "agent.py").code == 0

    for name in ("a", "b"):
        agentrace(place, "export", "@last", "-o", f"{name}.agentrace")
    strict = agentrace(place, "export", "@last", "--redact", "strict", "-o", "s.agentrace")

    assert (tmp_path / "a.agentrace").read_bytes() == (tmp_path / "b.agentrace").read_bytes()
    assert "removed: 2 email (strict/" in strict.out
    assert "joe.doe" not in agentrace(place, "show", "s.agentrace", "--io").out
