"""``agentrace rm``: asks, tells, removes what was meant with what it started, and never what is being written."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from agentrace.events import Parent
from agentrace.ids import format_run_id
from agentrace.query import Runs
from tests.e2e.place import AGENTRACE, PYTHON, Place
from tests.e2e.screens import Screen, shown
from tests.unit.recorded_runs import START_MS, Process
from tests.unit.test_store_format import contents

DAY = 86_400_000
WAITING = """
    import sys
    import agentrace

    @agentrace.tool
    def fetch(n):
        return n

    agentrace.init()
    with agentrace.run("waiting"):
        fetch(1)
        print("recording", flush=True)
        sys.stdin.read(1)
        fetch(2)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def store(place: Place) -> list[str]:
    """An old run that failed, a run with a process and a job below it, and a new one; the ids, the oldest first."""
    now_ms = time.time_ns() // 1_000_000
    process = Process(place.store)
    old = process.run("nightly", after_ms=now_ms - 60 * DAY - START_MS)
    old.end_badly(1, "ValueError", "no")
    parent = process.run("shop", after_ms=now_ms - 10 * DAY - START_MS)
    child = process.run("render", after_ms=now_ms - 10 * DAY + 1 - START_MS, parent=Parent(parent.id, 0))
    job = process.run("mail", after_ms=now_ms - 10 * DAY + 2 - START_MS, parent=Parent(child.id, 0, "job:1"))
    new = process.run("nightly", after_ms=now_ms - 1000 - START_MS)
    for run in (parent, child, job, new):
        run.end(1)
    process.close()
    return [format_run_id(run.id) for run in (old, parent, child, job, new)]


def there(place: Place) -> list[str]:
    return [format_run_id(run_id) for run_id in reversed(Runs(place.store).ids)]


def rm(place: Place, *arguments: str) -> tuple[int, dict[str, str]]:
    """Exit code, and what is said of each run."""
    done = place.do(AGENTRACE, "rm", "--json", *arguments)
    return done.code, {told["run_id"]: told["outcome"] for told in map(json.loads, done.out.splitlines())}


def test_a_run_goes_with_what_it_started(place: Place) -> None:
    old, parent, child, job, new = store(place)

    told = place.do(AGENTRACE, "rm", parent, "--dry-run")
    done = place.do(AGENTRACE, "rm", parent, "--yes")

    assert (told.code, told.err, done.code, done.err) == (0, "", 0, "")
    first, total = told.out.splitlines()
    assert first.split()[1:] == ["shop", "10", "d", "old", "+1", "process", "+1", "job,", *first.split()[-2:]]
    assert total.startswith("3 runs, ")
    assert done.out.splitlines()[:2] == [first, total]
    assert done.out.splitlines()[2].startswith("3 runs removed, ")
    assert there(place) == [old, new]
    assert [place.do(AGENTRACE, "show", one).code for one in (parent, child, job)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (["--older-than", "30d"], [0]),
        (["--older-than", "1w"], [0, 1, 2, 3]),
        (["--older-than", "9999w"], []),
        (["--status", "failed"], [0]),
        (["--status", "failed", "--status", "completed"], [0, 1, 2, 3, 4]),
        (["--name", "nightly"], [0, 4]),
        (["--name", "n*", "--older-than", "12h"], [0]),
        (["--name", "n*", "--status", "completed"], [4]),
        (["--name", "NIGHT"], [0, 4]),
        (["--name", "render"], [2, 3]),
        (["--name", "shop", "--status", "failed,completed"], [1, 2, 3]),
        (["--until", "30d"], [0]),
        (["--until", "2d", "--older-than", "30d"], [0]),
        (["--until", "30d", "--older-than", "2d"], [0]),
        (["--since", "30d", "--older-than", "1h"], [1, 2, 3]),
        (["--failed"], [0]),
        (["--model", "*"], []),
    ],
)
def test_filters_say_which(place: Place, arguments: list[str], gone: list[int]) -> None:
    ids = store(place)
    before = contents(place.store / "segments")

    code, told = rm(place, *arguments, "--dry-run")
    assert (code, sorted(told)) == (0, [ids[n] for n in gone])
    assert set(told.values()) <= {"would be removed"}
    assert contents(place.store / "segments") == before

    code, told = rm(place, *arguments, "--yes")
    assert (code, sorted(told)) == (0, [ids[n] for n in gone])
    assert set(told.values()) <= {"removed"}
    assert there(place) == [one for one in ids if one not in told]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name runs, or say which"),
        (["@last", "--name", "x"], "one of these"),
        (["--name", "", "--yes"], "it is empty, and that would mean every run"),
        (["--text", " ", "--yes"], "it is empty, and that would mean every run"),
        (["--status", "completed", "--failed", "--yes"], "say one of them"),
        (["--name", "nightly"], "There is nobody to ask here, so nothing is removed: say --yes, or --dry-run."),
        (["@last"], "There is nobody to ask here"),
        (["--older-than", "soon", "--yes"], "'soon' is no age: 90s, 15min, 12h, 30d or 8w is one."),
        (["@last:7", "--yes"], "names a step: name the run as a whole"),
        (["shop.agentrace", "--yes"], "names a trace file, and no run of the store"),
        (["nobody", "--yes"], "docs/errors.md#run-not-found"),
    ],
)
def test_what_cannot_be_meant_removes_nothing(place: Place, arguments: list[str], says: str) -> None:
    ids = store(place)
    place.write("shop.agentrace", "")

    done = place.do(AGENTRACE, "rm", *arguments)

    assert (done.code, done.out) == (2, "")
    assert says in " ".join(done.err.split())
    assert there(place) == ids


@pytest.mark.parametrize(("answer", "left"), [("n", 5), ("", 5), ("y", 2)])
def test_a_person_is_asked(place: Place, answer: str, left: int) -> None:
    store(place)
    with Screen([AGENTRACE, "rm", "shop"], place.environ, place.root) as screen:
        screen.until("Remove 3 runs? [y/N]: ")
        screen.type(f"{answer}\n")
        code = screen.ended()

    assert code == 0
    assert len(there(place)) == left
    assert shown(screen.raw)[1].startswith("3 runs, ")
    assert shown(screen.raw)[-2].startswith("3 runs removed" if left == 2 else "0 runs removed")


def test_an_interrupt_at_the_question_removes_nothing(place: Place) -> None:
    store(place)
    with Screen([AGENTRACE, "rm", "shop"], place.environ, place.root) as screen:
        screen.until("[y/N]: ")
        screen.interrupt()
        assert screen.ended() == 130

    assert len(there(place)) == 5


def test_a_run_that_is_being_written_is_left(place: Place) -> None:
    program = place.write("waiting.py", WAITING)
    with place.started(PYTHON, program) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"recording\n"
        (run,) = there(place)

        named = rm(place, run, "--yes")
        filtered = rm(place, "--name", "waiting", "--yes")
        told = place.do(AGENTRACE, "rm", "waiting", "--yes")

        assert named == (1, {run: "its process still runs"})
        assert filtered == (0, {run: "its process still runs"})
        assert told.out.splitlines()[0] == "no run is to be removed"
        left = told.out.splitlines()[1].split()
        assert (left[0], left[2], left[-4:]) == ("left", "waiting", ["its", "process", "still", "runs"])
        process.stdin.write(b"x")
        process.stdin.close()
        assert process.wait(60) == 0
    record = place.the_run()
    assert (record.trace.run.status, len(record.trace.steps)) == ("completed", 2)
    assert rm(place, run, "--yes") == (0, {run: "removed"})


def test_a_run_whose_process_was_killed_is_sealed_and_removed(place: Place) -> None:
    ids = store(place)
    program = place.write("waiting.py", WAITING)
    with place.started(PYTHON, program) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list((place.store / "journal").glob("*/*.lane"))

    code, told = rm(place, "waiting", "--yes")

    assert (code, list(told.values())) == (0, ["removed"])
    assert there(place) == ids
    assert list((place.store / "journal").iterdir()) == []


def test_a_store_that_may_not_be_written_is_an_error(place: Place) -> None:
    ids = store(place)
    (place.store / "trash").write_text("in the way")

    done = place.do(AGENTRACE, "rm", "shop", "--yes")

    assert done.code == 2
    assert "cannot be written" in done.err
    assert there(place) == ids
