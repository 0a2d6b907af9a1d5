"""`agentrace.open()` reads the same of a store and of a trace file with its runs: objects, rows and data frames."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace import Recordings
from agentrace.errors import AgentraceError, ConfigError, RunNotFound
from agentrace.query import Runs, input_of, output_of
from agentrace.reading import Error, InferredCall, Run, Step
from tests.contract.read_places import QUOTED, START, places, recordings
from tests.unit.recorded_runs import completion

__all__ = ["places", "recordings"]

# --- both say the same --------------------------------------------------------------------------------------


def all_of(found: Any) -> dict[str, Any]:
    """Every attribute of a run or step that can be read, with what stands in a place of another kind taken out."""
    kind = type(found)
    names = [name for name in dir(kind) if not name.startswith("_") and isinstance(getattr(kind, name), property)]
    return {name: getattr(found, name) for name in names}


def test_a_trace_file_tells_what_its_store_tells(places: dict[str, Path]) -> None:
    store, file = (agentrace.open(place) for place in places.values())

    assert list(store.runs()) == list(file.runs()) != []
    for one, other in zip(store.runs(), file.runs(), strict=True):
        assert all_of(one) == all_of(other)
        assert [all_of(step) for step in one.steps()] == [all_of(step) for step in other.steps()]
        assert list(one.messages()) == list(other.messages())
        assert list(one.events()) == list(other.events())
    for listing in ("runs", "steps", "messages", "events"):
        assert getattr(store, listing)().to_dicts() == getattr(file, listing)().to_dicts() != []
    assert list(store.search("łódź")) == list(file.search("łódź")) != []


def test_objects_tell_what_records_tell(recordings: Recordings, places: dict[str, Path]) -> None:
    runs = Runs(places["store"])

    for run in recordings:
        run_id = runs.find(run.run_id)
        summary, record = runs.summary(run_id), runs.record(run_id)
        usage = summary.totals.usage
        assert (run.name, run.status, run.error, run.usage) == (summary.name, summary.status, summary.error, usage)
        assert [step.step_id for step in run.steps()] == list(record.trace.steps)
        for step, state in zip(run.steps(), record.trace.steps.values(), strict=True):
            assert (step.name, step.path, step.input) == (state.name, state.path, input_of(record, state))
            assert step.output == output_of(record, state)
            assert (None if step.parent is None else step.parent.step_id) == (state.dispatched.parent or None)
            assert all(child.parent == step for child in step.children)


def test_objects_tell_what_tables_tell(recordings: Recordings) -> None:
    """What is read from records, and what is read from the index."""
    for run in recordings:
        for of_run, of_all in ((run.messages(), recordings.messages()), (run.events(), recordings.events())):
            assert [one for one in of_all if one.run_id == run.run_id] == list(of_run)
            assert [row["run_id"] for row in of_run.to_dicts()] == [run.run_id] * len(of_run)
        assert [step for step in recordings.steps() if step.run_id == run.run_id] == list(run.steps())
        for step, row in zip(run.steps(), run.steps().to_dicts(), strict=True):
            assert (row["step_id"], row["name"], row["path"]) == (step.step_id, step.name, step.path)
            assert (row["status"], row["started"], row["duration"]) == (step.status, step.started, step.duration)
            assert (row["model"] or "", row["finish_reason"] or "") == (step.model, step.finish_reason)
            assert (row["first_chunk"], row["retries"] or 0) == (step.first_chunk, step.retries)
            assert row["input_tokens"] == (None if step.usage is None else step.usage.input_tokens)
    for listing, place in ((recordings.steps(), "step_id"), (recordings.messages(), "position")):
        rows = [(row["run_id"], row[place]) for row in listing.to_dicts()]
        assert rows == [(one.run_id, getattr(one, place)) for one in listing]
    for run, row in zip(recordings.runs(), recordings.runs().to_dicts(), strict=True):
        assert (row["run_id"], row["name"], row["status"]) == (run.run_id, run.name, run.status)
        assert (row["started"], row["duration"], row["exit_code"]) == (run.started, run.duration, run.exit_code)
        assert (row["steps"], row["failed_steps"], row["retries"]) == (run.step_count, run.failed_steps, run.retries)
        assert (tuple(row["tags"] or ()), tuple(row["models"] or ())) == (run.tags, run.models)
        assert (row["replayable"], row["parent_run_id"]) == (run.replayable, run.parent_run_id)
        assert (row["workflow"] or "", row["output_tokens"]) == (run.workflow, run.usage.output_tokens)


# --- runs ---------------------------------------------------------------------------------------------------


def test_a_run_tells_what_it_was(recordings: Recordings) -> None:
    run = recordings.run("failed")

    assert (run.status, run.exit_code, run.error) == ("failed", 1, "ValueError: no such city")
    assert run.started == START + timedelta(milliseconds=100)
    assert run.started is not None
    assert run.started.utcoffset() == timedelta(0)
    assert run.duration == timedelta(milliseconds=5)
    assert (run.tags, run.workflow, run.mode, run.source_run_id) == (("nightly", "eu"), "refunds", "live", None)
    assert [(score.name, score.value) for score in run.scores] == [("helpful", 1.0)]
    assert (run.step_count, run.failed_steps) == (1, 1)


@pytest.mark.parametrize(
    ("reference", "name"),
    [("@last", "dead"), ("@last~2", "failed"), ("travel", "travel"), ("01a1f910-f364-7000", "failed")],
)
def test_runs_are_found_as_on_the_command_line(recordings: Recordings, reference: str, name: str) -> None:
    assert recordings.run(reference).name == recordings[reference].name == name
    assert reference in recordings
    assert recordings.step(f"{reference}:1") == recordings[reference].step(1)


def test_what_is_not_there_is_said(recordings: Recordings) -> None:
    assert "nobody" not in recordings
    with pytest.raises(RunNotFound, match="nobody"):
        recordings.run("nobody")
    with pytest.raises(RunNotFound, match="its steps go from 1 to 10"):
        recordings.run("@last~3").step(11)
    with pytest.raises(RunNotFound, match="names no step"):
        recordings.step("@last")


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["render", "dead", "travel", "failed", "travel"]),
    ({"name": "TRAV"}, ["travel", "travel"]),
    ({"name": "f*d"}, ["failed"]),
    ({"name": "trave"}, ["travel", "travel"]),
    ({"status": "failed"}, ["failed"]),
    ({"status": ["failed", "interrupted"]}, ["dead", "failed"]),
    ({"since": START + timedelta(milliseconds=150)}, ["render", "dead", "travel"]),
    ({"until": START + timedelta(milliseconds=150)}, ["failed", "travel"]),
    ({"since": timedelta(days=20_000), "until": timedelta(days=19_999)}, []),
    ({"kind": "retriever"}, ["travel"]),
    ({"model": "GPT-5"}, ["travel", "travel"]),
    ({"tag": ["eu", "nightly"]}, ["failed"]),
    ({"tag": ["eu", "daily"]}, []),
    ({"replayable": True}, ["render", "travel", "failed"]),
    ({"mode": "replay"}, []),
    ({"text": "LUGGAGE"}, ["travel"]),
    ({"text": QUOTED}, ["failed"]),
    ({"text": "x" * 5_000}, ["dead"]),
    ({"limit": 2}, ["render", "dead"]),
    ({"name": "travel", "limit": 1}, ["travel"]),
    ({"limit": 0}, []),
]


@pytest.mark.parametrize(("wanted", "names"), FILTERS, ids=[str(wanted)[:40] for wanted, _ in FILTERS])
def test_runs_are_filtered(recordings: Recordings, wanted: dict[str, Any], names: list[str]) -> None:
    found = recordings.runs(**wanted)

    assert [run.name for run in found] == names
    assert [row["name"] for row in found.to_dicts()] == names


def test_a_listing_is_a_sequence(recordings: Recordings) -> None:
    runs = recordings.runs()

    assert len(runs) == len(recordings) == 5
    assert runs[-1] == recordings.run("@last~3")
    assert [run.name for run in runs[1:3]] == ["dead", "travel"]
    assert runs.index(runs[2]) == 2
    assert recordings.run("failed") in runs
    with pytest.raises(IndexError):
        runs[5]


# --- steps --------------------------------------------------------------------------------------------------


def test_a_step_tells_what_happened(recordings: Recordings) -> None:
    step = recordings.step("failed:1")

    assert (step.kind, step.name, step.status, step.call_site) == ("tool", "lookup", "failed", "agent.py:7 main")
    assert (step.input, step.output) == ({"city": QUOTED, "pages": [0, 1, 2]}, None)
    error = step.exception
    assert error == Error(
        "builtins.ValueError", "no such city", "Traceback (most recent call last):\nbuiltins.ValueError: no such city\n"
    )
    assert str(error) == "ValueError: no such city"
    (note,), (score,) = step.notes, step.scores
    assert (note.message, note.level, note.fields, note.logger) == ("looked it up", "warning", {"page": 4}, "shop")
    assert (score.name, score.value, score.comment, score.source) == ("grounded", 0.5, "page 4", "judge")
    assert note.time == score.time == START + timedelta(milliseconds=102)


def test_a_model_step_tells_what_it_meant(recordings: Recordings) -> None:
    step = recordings.step("travel:1")

    assert (step.model, step.finish_reason) == ("gpt-5-mini", "stop")
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (7, 5)
    assert [(one.direction, one.role, one.text) for one in step.messages] == [
        ("input", "user", "Hello?"),
        ("output", "assistant", "Hello!"),
    ]
    (exchange,) = step.exchanges
    assert (exchange.method, exchange.status, exchange.exception) == ("POST", 200, None)
    assert exchange.data == json.loads(exchange.body) == completion("Hello!", usage=(7, 5))
    assert dict(exchange.headers)["content-type"] == "application/json"


def test_messages_hold_calls_and_results(recordings: Recordings) -> None:
    told = recordings.run("@last~3").messages()

    assert [one.role for one in told] == ["system", "user", "assistant", "tool", "tool", "tool", "assistant"]
    assert (told[2].tool_calls[0].name, told[2].tool_calls[0].arguments) == ("get_weather", {"city": "Rome"})
    assert told[3].tool_call_id == told[2].tool_calls[0].id
    assert [one.text for one in recordings.messages(role="user", run="travel")] == [
        "Hello?",
        "Three days in Rome, what should I pack?",
    ]


def test_steps_enclose_each_other_and_runs(recordings: Recordings) -> None:
    run = recordings.run("@last~3")
    agent = run.step(1)

    assert [step.name for step in agent.children][:2] == ["openai.chat.completions", "get_weather"]
    assert [child.name for child in run.children] == ["render"]
    branches = run.tree()
    assert [(one.depth, type(one.item)) for one in branches][:3] == [(0, Step), (1, Step), (1, InferredCall)]
    assert [(one.depth, one.item.name) for one in branches if isinstance(one.item, Run)] == [(2, "render")]


STEP_FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"kind": "retriever"}, ["find_notes"]),
    ({"status": "cancelled"}, ["train_times"]),
    ({"status": ["failed", "cancelled"], "kind": "tool"}, ["visa_office", "train_times"]),
    ({"name": "get_*"}, ["get_weather"]),
    ({"model": "mini"}, ["openai.chat.completions"] * 2),
    ({"model": "none"}, []),
]


@pytest.mark.parametrize(("wanted", "names"), STEP_FILTERS)
def test_steps_are_filtered(recordings: Recordings, wanted: dict[str, Any], names: list[str]) -> None:
    run = recordings.run("@last~3")
    of_run, of_all = run.steps(**wanted), [step for step in recordings.steps(**wanted) if step.run_id == run.run_id]

    assert [step.name for step in of_run] == [step.name for step in of_all] == names
    assert [row["name"] for row in of_run.to_dicts()] == names


def test_events_are_filtered(recordings: Recordings) -> None:
    run = recordings.run("failed")

    assert [one.type for one in run.events(type=["Scored", "Logged"])] == ["Logged", "Scored", "Scored"]
    assert [one.seq for one in recordings.events(type="Scored", run="failed")] == [4, 5]
    assert run.events()[0].body["name"] == "failed"


# --- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"status": "compleeted"}, "did you mean completed?"),
        ({"kind": "toll"}, "did you mean tool?"),
        ({"since": "yesterday"}, "give a datetime"),
        ({"limit": -1}, "give a whole number"),
        ({"limit": "5"}, "give a whole number"),
        ({"tag": [5]}, "give a text"),
    ],
)
def test_a_filter_that_cannot_be_is_said_at_once(recordings: Recordings, wanted: Any, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        recordings.runs(**wanted)

    assert refused.value.slug == "open-filter"
    assert says in refused.value.do


def test_nothing_can_be_changed(recordings: Recordings) -> None:
    run, step = recordings.run("failed"), recordings.step("failed:1")

    for thing, name in ((run, "name"), (step, "output"), (step.notes[0], "message"), (run, "anything")):
        with pytest.raises(AttributeError):
            setattr(thing, name, "x")


def test_what_is_closed_says_so(recordings: Recordings) -> None:
    run, steps, frame = recordings.run("failed"), recordings.steps(), recordings.runs()
    names = [step.name for step in steps]
    recordings.close()
    recordings.close()

    assert (run.name, len(names)) == ("failed", 14)
    assert "closed" in repr(recordings)
    for ask in (recordings.run, recordings.runs().to_dicts, frame.to_pandas, lambda: len(recordings.steps())):
        with pytest.raises(AgentraceError) as refused:
            ask()  # type: ignore[operator]
        assert refused.value.slug == "open-closed"
    assert "closed" in repr(recordings.runs())
