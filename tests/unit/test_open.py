"""`agentrace.open()`: what it opens, from which threads and programs, and how what it gives shows itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

import agentrace
from agentrace.archive import export
from agentrace.errors import AgentraceError, AgentraceWarning, ConfigError, CorruptRecord, RunNotFound, TraceFileError
from agentrace.index.database import FILE
from agentrace.query import Runs
from tests.unit.recorded_runs import Process
from tests.unit.travel_run import travel


def store(root: Path, runs: int = 1) -> Path:
    """A store with some runs of one step each."""
    process = Process(root)
    for number in range(runs):
        run = process.run(f"run-{number}", after_ms=number)
        run.done(run.step("tool", "lookup", 1, {"number": number}), 2, number)
        run.end(3)
    process.close()
    return root


# --- what is opened -----------------------------------------------------------------------------------------


def test_the_store_in_force_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, near = store(tmp_path / "named", 1), store(tmp_path / "project" / ".agentrace", 2)
    monkeypatch.delenv("AGENTRACE_HOME", raising=False)
    monkeypatch.chdir(near.parent)

    assert (agentrace.open().path, len(agentrace.open())) == (near, 2)
    assert agentrace.open(home=named).path == agentrace.open(home=str(named)).path == named
    monkeypatch.setenv("AGENTRACE_HOME", str(named))
    assert agentrace.open().path == named
    assert agentrace.open(near).path == near


def test_a_store_in_force_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    with agentrace.open(home=tmp_path / "later") as recordings:
        assert list(recordings) == recordings.steps().to_dicts() == list(recordings.search("x")) == []
        assert not (tmp_path / "later").exists()
        with pytest.raises(AgentraceError, match="holds no runs"):
            recordings.run()
        store(tmp_path / "later")
        assert [run.name for run in recordings] == ["run-0"]


def test_what_is_neither_a_store_nor_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "project" / ".agentrace").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("no trace")
    (tmp_path / "empty").mkdir()

    for place, says in (("typo", "there is no store and no trace file"), ("project", "is a directory, and no store")):
        with pytest.raises(AgentraceError, match=says) as refused:
            agentrace.open(tmp_path / place)
        assert refused.value.slug == "open-not-found"
    assert ".agentrace" in refused.value.do
    with pytest.raises(TraceFileError):
        agentrace.open(tmp_path / "notes.txt")
    with pytest.raises(ConfigError, match="is a file"):
        agentrace.open(home=tmp_path / "notes.txt")
    with pytest.raises(ConfigError, match="both where and home"):
        agentrace.open(tmp_path / "empty", home=tmp_path)
    assert list(agentrace.open(tmp_path / "empty")) == []


def test_a_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    runs = Runs(store(tmp_path / "store", 2))
    export(runs, runs.ids, tmp_path / "whole.agentrace")
    data = (tmp_path / "whole.agentrace").read_bytes()
    (tmp_path / "cut.agentrace").write_bytes(data[: len(data) * 9 // 10])

    with agentrace.open(tmp_path / "cut.agentrace") as recordings:
        assert "cut off" in recordings.notices[0]
        assert [run.name for run in recordings][-1] == "run-0"
    assert agentrace.open(tmp_path / "whole.agentrace").notices == []


def test_what_was_finished_before_a_question_is_in_its_answer(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path, 1))
    before = recordings.steps()
    assert (len(before), len(before.to_dicts())) == (1, 1)

    process = Process(tmp_path)
    run = process.run("live", after_ms=50, number=90)
    run.done(run.step("tool", "lookup", 1), 2)

    assert (len(before), len(before.to_dicts())) == (1, 2)
    assert recordings.run("live").status == "running"
    assert [step.name for step in recordings.run("live").steps()] == ["lookup"]
    run.end(3)
    process.close()
    assert recordings["live"].status == "completed"


def test_a_run_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    process = Process(store(tmp_path, 2))
    newer = process.run("newer", after_ms=60, number=60, format="9.0")
    newer.done(newer.step("tool", "lookup", 1), 2)
    newer.end(3)
    process.close()
    recordings = agentrace.open(tmp_path)

    assert [(run.status, run.step_count) for run in recordings] == [("unreadable", 0), *[("completed", 1)] * 2]
    assert [step.output for step in recordings.steps()] == [1, 0]
    assert "version 9.0" in recordings.run().error
    with pytest.raises(CorruptRecord, match=r"version 9\.0"):
        len(recordings.run().steps())
    assert "version 9.0" in repr(recordings.run().steps())


def test_a_run_that_is_removed_meanwhile_is_passed_over(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path, 3))
    runs, steps = recordings.runs(), recordings.steps()
    assert (len(runs), len(steps)) == (3, 3)

    removed = runs[1]
    shutil.rmtree(tmp_path / "segments" / removed.run_id.replace("-", ""))

    assert [run.name for run in runs] == ["run-2", "run-0"]
    assert [step.output for step in steps] == [2, 0]
    with pytest.raises(RunNotFound):
        runs[1]
    assert (removed.name, removed.status) == ("run-1", "completed")


def test_nothing_holds_the_index_between_questions(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path))
    steps = recordings.steps()
    assert len(steps) == 1

    with duckdb.connect(str(tmp_path / FILE)) as other:  # for writing, which nobody else may have open
        assert other.execute("SELECT count(*) FROM steps").fetchall() == [(1,)]
    with pytest.raises(ConfigError):
        recordings.sql("SELECT nothing")
    with duckdb.connect(str(tmp_path / FILE)):
        pass
    assert len(steps.to_dicts()) == 1


def test_an_index_that_another_program_holds_is_said_to_be_stale(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path))
    assert len(recordings.steps().to_dicts()) == 1
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; c = duckdb.connect({str(tmp_path / FILE)!r}); print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline()
    store_more = Process(tmp_path)
    store_more.run("more", after_ms=70, number=70).end(1)
    store_more.close()

    with pytest.warns(AgentraceWarning, match="holds the index open"):
        assert len(recordings.runs().to_dicts()) == 1
    assert len(recordings.runs()) == 2
    holder.communicate(b"\n")
    assert len(recordings.runs().to_dicts()) == 2


# --- threads and programs that are recorded -----------------------------------------------------------------


def test_threads_may_share_recordings(tmp_path: Path) -> None:
    runs = Runs(store(tmp_path / "store", 12))
    export(runs, runs.ids, tmp_path / "all.agentrace")
    places = [tmp_path / "store", tmp_path / "all.agentrace"]
    shared = [agentrace.open(place) for place in places]

    def work(number: int) -> list[Any]:
        mine = agentrace.open(places[number % 2]) if number % 3 == 0 else shared[number % 2]
        run = mine.run(f"run-{number % 12}")
        listing = shared[number % 2].steps()
        return [
            run.step(1).output,
            [step.output for step in listing],
            mine.sql("SELECT count(*) AS n FROM steps WHERE name = $name", name="lookup").to_dicts(),
            len(mine.steps().to_pandas()),
            len(mine.messages()),
        ]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(18)))

    outputs = list(range(12))[::-1]
    assert found == [[number % 12, outputs, [{"n": 12}], 12, 0] for number in range(18)]


def test_threads_walk_one_listing(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path, 6))
    listing, seen = recordings.runs(), list[list[str]]()
    go = threading.Barrier(6)

    def walk() -> None:
        go.wait()
        seen.append([run.name + str(run.step(1).output) for run in listing])

    threads = [threading.Thread(target=walk) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [[f"run-{n}{n}" for n in range(5, -1, -1)]] * 6


RECORDED = """
import json, sys, threading
import agentrace
agentrace.init(home=sys.argv[1], logs="debug", output="both")

@agentrace.tool
def lookup(number):
    return number + 1

@agentrace.agent
def look_back(number):
    lookup(number)
    agentrace.flush()
    with agentrace.open() as recordings:
        run = recordings.run()
        found = [step.output for step in run.steps(kind="tool")]
        frame = recordings.steps(kind="tool").to_pandas()
        found.append(len(frame))
        found.append(len(recordings.search("lookup")))
    found.append(run.status)
    lookup(number)
    return found

seen = [look_back(1), look_back(2)]
thread = threading.Thread(target=lambda: seen.append(look_back(3)))
thread.start()
thread.join()
seen.append(agentrace.status().faults)
seen.append(agentrace.status().lost)
sys.stderr.write(json.dumps(seen))
"""


def test_a_program_that_is_recorded_reads_its_own_record(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(RECORDED)
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "store")], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stderr) == [
        [2, 1, 0, "running"],
        [2, 2, 3, 3, 0, "running"],
        [2, 2, 3, 3, 4, 5, 0, "running"],
        0,
        0,
    ]
    with agentrace.open(tmp_path / "store") as recordings:
        (run,) = recordings
        assert (run.status, run.health) == ("completed", ())
        assert [step.name for step in run.steps()] == ["look_back", "lookup", "lookup"] * 3
        assert [note for step in run.steps() for note in step.notes] == []


def test_reading_starts_no_recording_and_needs_no_library(tmp_path: Path) -> None:
    store(tmp_path)
    program = (
        "import sys, agentrace\n"
        "sys.modules.update(dict.fromkeys(['pandas', 'polars', 'pyarrow', 'numpy']))\n"
        f"recordings = agentrace.open({str(tmp_path)!r})\n"
        "assert [step.output for step in recordings.steps()] == [0] and recordings.steps().to_dicts()\n"
        "assert '1 run' in repr(recordings.runs()) and '1 run' in recordings.runs()._repr_html_()\n"
        "print(agentrace.status().recording)"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AGENTRACE_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ)

    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
def test_a_library_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    steps = agentrace.open(store(tmp_path)).steps()
    method = {"pandas": steps.to_pandas, "polars": steps.to_polars, "pyarrow": steps.to_arrow}[name]

    with pytest.raises(ConfigError) as refused:
        method()

    assert refused.value.slug == "open-library"
    assert f"pip install {name}" in refused.value.do


@pytest.mark.parametrize("missing", ["pyarrow", "pandas"])
def test_frames_need_no_other_library_than_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    steps = agentrace.open(store(tmp_path)).steps()

    if missing == "pyarrow":
        assert len(steps.to_pandas()) == 1
    assert len(steps.to_polars()) == 1


# --- how it shows itself ------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\"'&amp;\n" + "x" * 5_000


class Tags(HTMLParser):
    """All tags of a document, and the whole of its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style"}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_of_records_are_only_ever_text(tmp_path: Path) -> None:
    process = Process(tmp_path)
    for number in range(30):
        run = process.run(HOSTILE, number=number + 1, tags=[HOSTILE])
        step = run.step("tool", HOSTILE, 1, {HOSTILE: HOSTILE})
        run.failed(step, 2, f"shop:{HOSTILE}", HOSTILE)
        run.end(3)
    process.close()
    recordings = agentrace.open(tmp_path)
    run = recordings.run()
    listings: list[Any] = [recordings.runs(), recordings.steps(), recordings.events(), recordings.search("alert")]
    listings += [run.steps(), recordings.sql('SELECT name AS "<b>&", error FROM steps')]
    single = [run, run.step(1), run.step(1).exception, run.events()[0], recordings.search("alert")[0], recordings]

    for thing in [*listings, *single]:
        text = repr(thing)
        assert len(text) < 3_000
        assert all(char.isprintable() or char == "\n" for char in text)
    for listing in listings:
        html = listing._repr_html_()
        parser = Tags()
        parser.feed(html)
        assert parser.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
        assert all(char.isprintable() for char in parser.text)
        assert len(html) < 60_000


def test_a_notebook_shows_a_bounded_table(tmp_path: Path) -> None:
    recordings = agentrace.open(store(tmp_path, 25))
    parser = Tags()
    parser.feed(recordings.runs()._repr_html_())

    assert "the first 20 runs; 36 more columns" in parser.text
    assert recordings.runs(limit=1)._repr_html_().count("<tr>") == 2
    assert repr(recordings.runs()).splitlines()[0] == "<25 runs>"
    assert repr(recordings.runs()).splitlines()[-1] == "  and 15 more"


def test_values_come_as_the_program_had_them(tmp_path: Path) -> None:
    process = Process(tmp_path)
    travel(process)
    process.close()
    run = agentrace.open(tmp_path).run("render")

    assert run.step(1).output_python() == b"\x89PNG"
    assert run.step(1).input_python() == {"size": [640, 480]}
