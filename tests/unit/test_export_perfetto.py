"""``agentrace export --format perfetto``: what a viewer of traces makes of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrace import events
from agentrace.cli import execute
from agentrace.export.lanes import Slice, lanes
from agentrace.export.perfetto import PREVIEW
from tests.unit.golden import expect
from tests.unit.hostile_run import hostile
from tests.unit.recorded_runs import Process
from tests.unit.trace_events import events_of, problems, slices
from tests.unit.travel_run import travel

Event = dict[str, Any]


def exported(
    directory: Path, write: Callable[[Process], Any] | None, *arguments: str, name: str = "trace.json"
) -> list[Event]:
    """The events of the export of a store with what ``write`` writes."""
    if write is not None:
        process = Process(directory / "store")
        write(process)
        process.close()
    chosen = arguments if "--all" in arguments or not arguments or arguments[0][0] != "-" else ("@last", *arguments)
    file = directory / name
    options = ["--home", str(directory / "store"), "--format", "perfetto", "-o", str(file)]
    assert execute(["export", *(chosen or ("@last",)), *options]) == 0
    found = events_of(file.read_bytes())
    assert problems(found) == []
    return found


def named(found: list[Event], name: str) -> list[Event]:
    return [event for event in found if event["ph"] == "X" and event["name"] == name]


def thread(found: list[Event], event: Event) -> str:
    """Process and thread of an event, by their names."""
    told = {(e["name"], e["pid"], e["tid"]): e["args"]["name"] for e in found if e["ph"] == "M" and "name" in e["args"]}
    pid = event["pid"]
    return f"{told['process_name', pid, pid].partition(' ')[0]}: {told['thread_name', pid, event['tid']]}"


# --- a run with everything in it ----------------------------------------------------------------------------


def test_a_known_run_is_the_golden_file(tmp_path: Path) -> None:
    exported(tmp_path, travel)

    expect("travel.perfetto.json", (tmp_path / "trace.json").read_text())


def test_the_same_runs_make_the_same_bytes(tmp_path: Path) -> None:
    exported(tmp_path, travel, "travel")
    exported(tmp_path, None, "render", "travel", name="again.json")

    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "trace.json").read_bytes()


def test_threads_and_tasks_have_lines_of_their_own(tmp_path: Path) -> None:
    found = exported(tmp_path, travel)

    where = {name: thread(found, named(found, name)[0]) for name in ("plan_trip", "get_weather", "find_notes", "draw")}
    assert where == {
        "plan_trip": "travel: main",
        "get_weather": "travel: task 2",
        "find_notes": "travel: task 4",
        "draw": "render: main",
    }


def test_an_arrow_leads_from_the_step_to_the_process_it_started(tmp_path: Path) -> None:
    found = exported(tmp_path, travel)

    (leaves,), (arrives,) = ([event for event in found if event["ph"] == phase] for phase in "sf")
    assert (leaves["name"], thread(found, leaves), thread(found, arrives)) == (
        "process",
        "travel: main",
        "render: main",
    )
    step = named(found, "render_map")[0]
    assert step["ts"] <= leaves["ts"] <= step["ts"] + step["dur"]
    assert arrives["ts"] == named(found, "render")[0]["ts"]


def test_tokens_are_counted_as_they_come(tmp_path: Path) -> None:
    found = exported(tmp_path, travel)

    counted = [(event["ts"], event["args"]) for event in found if event["ph"] == "C"]
    assert counted == [
        (0, {"input": 0, "output": 0}),
        (812_000, {"input": 1204, "output": 96}),
        (3_112_000, {"input": 3514, "output": 508}),
    ]


def test_requests_are_inside_their_step(tmp_path: Path) -> None:
    found = exported(tmp_path, travel)

    model, again = named(found, "gpt-5-mini")[0], named(found, "POST 200")[0]
    assert [event["args"]["status"] for event in named(found, "POST 429")] == [429]
    assert (again["tid"], again["ts"] >= model["ts"]) == (model["tid"], True)
    assert again["ts"] + again["dur"] <= model["ts"] + model["dur"]


# --- what overlaps ------------------------------------------------------------------------------------------


def overlapping(process: Process) -> None:
    """Steps of one flow, as generators make them: beside one another, and outliving what they are in."""
    run = process.run("overlapping")
    outer = run.step("agent", "outer", 0)
    one = run.step("tool", "one", 10, parent=outer)
    two = run.step("tool", "two", 20, parent=outer)
    inside = run.step("task", "inside two", 22, parent=two)
    run.done(inside, 24)
    run.done(one, 30)
    within = run.step("tool", "while two is open", 31, parent=outer)
    run.done(within, 35)
    run.done(two, 40)
    late = run.step("tool", "outlives", 45, parent=outer)
    run.done(outer, 50)
    run.done(late, 60)
    run.end(70)


def test_siblings_that_overlap_are_not_drawn_inside_one_another(tmp_path: Path) -> None:
    found = exported(tmp_path, overlapping)

    line = {name: thread(found, named(found, name)[0]) for name in ("outer", "one", "two", "inside two", "outlives")}
    assert line == {
        "outer": "overlapping: main",
        "one": "overlapping: main",
        "two": "overlapping: main (2)",
        "inside two": "overlapping: main (2)",
        "outlives": "overlapping: main (2)",
    }
    assert thread(found, named(found, "while two is open")[0]) == "overlapping: main"


def tangled(seed: int) -> Callable[[Process], None]:
    def write(process: Process) -> None:
        chance = random.Random(seed)
        runs = [process.run(f"tangled {number}", after_ms=number * 7) for number in range(2)]
        for run in runs:
            for _ in range(60):
                began = list(run.began.items())
                parent, at = chance.choice(began) if began and chance.random() < 0.8 else (0, 0.0)
                flow = {"thread": chance.randrange(3), "task": chance.randrange(3), "loop": 1}
                at += chance.choice([0.0, 0.0004, chance.random() * 20])
                run.step(chance.choice(["tool", "task"]), "step", at, parent=parent, **flow)
            for step, at in run.began.items():
                if chance.random() < 0.9:
                    run.done(step, at + chance.choice([0.0, 0.0001, chance.random() * 40]))
            run.end(chance.random() * 60)

    return write


@pytest.mark.parametrize("seed", range(6))
def test_whatever_overlaps_the_file_is_sound(tmp_path: Path, seed: int) -> None:
    found = exported(tmp_path, tangled(seed), "--all")

    assert sum(map(len, slices(found).values())) == 2 * (1 + 60)
    steps = {(e["pid"], e["args"]["step"]): e["args"] for e in found if e["ph"] == "X" and "step" in e["args"]}
    for (pid, _), drawn in slices(found).items():
        around: list[Event] = []
        for event in drawn:
            while around and around[-1]["ts"] + around[-1]["dur"] <= event["ts"]:
                around.pop()
            if around and "step" in around[-1]["args"]:
                assert around[-1]["args"]["step"] in ancestors(pid, event, steps)
            around.append(event)


def ancestors(pid: int, event: Event, steps: dict[tuple[int, int], Any]) -> list[int]:
    found: list[int] = []
    step = event["args"].get("inside step", 0)
    while step:
        found.append(step)
        step = steps[pid, step].get("inside step", 0)
    return found


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 15), st.integers(-1, 100)), min_size=1, max_size=40))
def test_on_a_lane_slices_are_apart_or_one_happened_in_the_other(drawn: list[tuple[int, int, int]]) -> None:
    given_ = [
        Slice(key, parent % key if parent >= 0 and key else None, start, start + length)
        for key, (start, length, parent) in enumerate(drawn)
    ]
    chosen = lanes(given_)

    outer = {one.key: one.outer for one in given_}
    assert set(chosen) == {one.key for one in given_}
    assert set(chosen.values()) == set(range(max(chosen.values()) + 1))
    for one in given_:
        for other in given_:
            if one.key == other.key or chosen[one.key] != chosen[other.key]:
                continue
            apart = one.end <= other.start or other.end <= one.start
            assert apart or happened_in(one, other, outer) or happened_in(other, one, outer)


def happened_in(one: Slice, other: Slice, outer: dict[Any, Any]) -> bool:
    key = one.outer
    while key is not None and key != other.key:
        key = outer[key]
    return key is not None and other.start <= one.start and one.end <= other.end


# --- how much is told -----------------------------------------------------------------------------------------


def wordy(process: Process) -> None:
    run = process.run("wordy", argv=["python", "wordy.py"])
    step = run.step("tool", "say", 0, {"text": "word " * 1000})
    run.event(events.Logged, step, 1, "a note")
    run.done(step, 2, "the answer " * 1000)
    lost = run.step("tool", "fails", 3)
    run.failed(lost, 4, "builtins:ValueError", "the reason " * 100)
    run.end(5)


def test_values_are_told_by_how_they_begin_unless_all_is_asked_for(tmp_path: Path) -> None:
    def told(*options: str, write: Callable[[Process], Any] | None = None) -> tuple[Event, Event]:
        found = exported(tmp_path, write, *options)
        return named(found, "say")[0]["args"], named(found, "fails")[0]["args"]

    beginning, failed = told(write=wordy)
    assert beginning["output"] == ("the answer " * 1000)[:PREVIEW] + " ... and 10,600 more characters"
    assert beginning["input"].endswith(" more characters")
    assert failed["error message"].endswith(" ... and 700 more characters")

    whole, failed = told("--with-payloads")
    assert whole["output"] == "the answer " * 1000
    assert json.loads(whole["input"]) == {"text": "word " * 1000}
    assert failed["error message"] == "the reason " * 100

    told("--without-payloads")
    text = (tmp_path / "trace.json").read_text()
    assert [said for said in ("answer", "word ", "reason", "a note", "wordy.py") if said in text] == []
    assert "builtins:ValueError" in text


def test_a_hostile_run_makes_a_sound_file(tmp_path: Path) -> None:
    found = exported(tmp_path, hostile)

    assert (tmp_path / "trace.json").read_bytes().isascii()
    assert len(named(found, "</script><script>window.hacked=1</script>")) == 2  # a step, and the model of a call


# --- the command ----------------------------------------------------------------------------------------------


def export(store: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = execute(["export", *arguments, "--home", str(store)])
    return code, *capsys.readouterr()


def test_the_command_tells_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path / "store")
    travel(process)
    bad = process.run("bad", after_ms=9000)
    bad.end_badly(4, "builtins:ValueError", "no")
    process.close()
    file = tmp_path / "t.json"
    form = ["--format", "perfetto", "-o", str(file)]

    code, out, err = export(tmp_path / "store", capsys, "travel", *form)
    assert (code, err) == (0, "")
    assert out.startswith(f"{file}: 2 runs, 16 slices, ")
    assert out.endswith("open it at https://ui.perfetto.dev\n")

    code, out, _ = export(tmp_path / "store", capsys, "--all", "--only-failed", "--json", *form)
    assert json.loads(out) == {
        "path": str(file),
        "format": "perfetto",
        "size": file.stat().st_size,
        "runs": 1,
        "slices": 1,
        "left_out": 1,
    }
    assert named(events_of(file.read_bytes()), "bad")[0]["args"]["error"] == "builtins:ValueError"

    trace = tmp_path / "t.agentrace"
    code, out, _ = export(tmp_path / "store", capsys, "travel", "--json", "-o", str(trace))
    told = json.loads(out)
    assert (code, told["format"], told["runs"], told["size"]) == (0, "agentrace", 2, trace.stat().st_size)
    assert told["removed"] == {"payloads": False, "redaction": None, "events": 0, "secrets": {}}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--format", "perfetto", "--redact", "strict"], "--redact goes with trace files"),
        (["--format", "perfetto", "--with-payloads", "--without-payloads"], "say one of them"),
        (["--with-payloads"], "--with-payloads is of use with --format perfetto only"),
        (["--without-payloads", "--redact", "strict"], "leaves nothing to redact"),
        ([], "'t.json' is no name for a trace file: end it in .agentrace, or say --format perfetto."),
        ([], "'t' is no name for a trace file: end it in .agentrace."),
        (["--format", "perfetto"], "'t.agentrace' is no name for a time line: end it in .json."),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    file = tmp_path / (told.split("'")[1] if told.startswith("'") else "t")
    code, out, err = export(tmp_path / "store", capsys, "@last", *options, "-o", str(file))

    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert not file.exists()
