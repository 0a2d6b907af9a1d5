"""`agentrace.open()` reads the same of a store and of a trace file with its runs: objects, rows and data frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow
import pytest

import agentrace
from agentrace import Recordings, events
from agentrace.archive import export
from agentrace.errors import AgentraceError, ConfigError, RunNotFound
from agentrace.query import Runs, input_of, output_of
from agentrace.reading import Error, InferredCall, Run, Step
from tests.unit.recorded_runs import MODEL, START_MS, Process, completion
from tests.unit.travel_run import travel

START = datetime.fromtimestamp(START_MS / 1000, UTC)
QUOTED = 'she said "Łódź"\n\N{SNOWMAN}'


def written(root: Path) -> Path:
    """A store with a run of every kind of step, a failed run with notes and scores, and one whose process died."""
    process = Process(root)
    travel(process)
    failed = process.run("failed", after_ms=100, number=7, tags=["nightly", "eu"], workflow="refunds")
    lookup = failed.step("tool", "lookup", 1, {"city": QUOTED, "pages": list(range(3))})
    fields, _ = failed.encoder.encode({"page": 4})
    failed.event(events.Logged, lookup, 2, "looked it up", "warning", fields, "shop")
    failed.event(events.Scored, lookup, 2, "grounded", 0.5, "page 4", "judge")
    failed.event(events.Scored, 0, 2, "helpful", 1.0)
    failed.failed(lookup, 3, "builtins:ValueError", "no such city")
    failed.end_badly(5, "builtins:ValueError", "no such city")
    asked = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello?"}]}
    again = process.run("travel", after_ms=150, number=9)
    model = again.step("model", "openai.chat.completions", 1, asked, **MODEL)
    again.exchange(model, 2, 3, 200, completion("Hello!", usage=(7, 5)))
    again.answered(model, 4)
    again.end(6)
    process.close()
    dead = Process(root)
    dead.run("dead", after_ms=200, number=8).step("tool", "lookup", 1, {"text": "x" * 5_000})
    dead.die()
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reading")
    store = written(root / "store")
    runs = Runs(store)
    export(runs, runs.ids, root / "all.agentrace")
    return {"store": store, "trace file": root / "all.agentrace"}


@pytest.fixture(params=["store", "trace file"])
def recordings(request: pytest.FixtureRequest, places: dict[str, Path]) -> Iterator[Recordings]:
    with agentrace.open(places[request.param]) as opened:
        yield opened


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
        run_id = runs.find(run.id)
        summary, record = runs.summary(run_id), runs.record(run_id)
        usage = summary.totals.usage
        assert (run.name, run.status, run.error, run.tokens) == (summary.name, summary.status, summary.error, usage)
        assert [step.id for step in run.steps()] == list(record.trace.steps)
        for step, state in zip(run.steps(), record.trace.steps.values(), strict=True):
            assert (step.name, step.path, step.input) == (state.name, state.path, input_of(record, state))
            assert step.output == output_of(record, state)
            assert (None if step.parent is None else step.parent.id) == (state.dispatched.parent or None)
            assert all(child.parent == step for child in step.children)


def test_objects_tell_what_tables_tell(recordings: Recordings) -> None:
    """What is read from records, and what is read from the index."""
    for run in recordings:
        for of_run, of_all in ((run.messages(), recordings.messages()), (run.events(), recordings.events())):
            assert [one for one in of_all if one.run_id == run.id] == list(of_run)
            assert [row["run_id"] for row in of_run.to_dicts()] == [run.id] * len(of_run)
        assert [step for step in recordings.steps() if step.run_id == run.id] == list(run.steps())
        for step, row in zip(run.steps(), run.steps().to_dicts(), strict=True):
            assert (row["step_id"], row["name"], row["path"]) == (step.id, step.name, step.path)
            assert (row["status"], row["started"], row["duration"]) == (step.status, step.started, step.duration)
            assert (row["model"] or "", row["finish_reason"] or "") == (step.model, step.finish_reason)
            assert (row["first_chunk"], row["retries"] or 0) == (step.first_chunk, step.retries)
            assert row["input_tokens"] == (None if step.tokens is None else step.tokens.input)
    for run, row in zip(recordings.runs(), recordings.runs().to_dicts(), strict=True):
        assert (row["run_id"], row["name"], row["status"]) == (run.id, run.name, run.status)
        assert (row["started"], row["duration"], row["exit_code"]) == (run.started, run.duration, run.exit_code)
        assert (row["steps"], row["failed_steps"], row["retries"]) == (run.step_count, run.failed_steps, run.retries)
        assert (tuple(row["tags"] or ()), tuple(row["models"] or ())) == (run.tags, run.models)
        assert (row["replayable"], row["parent_run_id"]) == (run.replayable.yes, run.parent)
        assert (row["workflow"] or "", row["output_tokens"]) == (run.workflow, run.tokens.output)


# --- runs ---------------------------------------------------------------------------------------------------


def test_a_run_tells_what_it_was(recordings: Recordings) -> None:
    run = recordings.run("failed")

    assert (run.status, run.exit_code, run.error) == ("failed", 1, "ValueError: no such city")
    assert run.started == START + timedelta(milliseconds=100)
    assert run.started is not None
    assert run.started.utcoffset() == timedelta(0)
    assert run.duration == timedelta(milliseconds=5)
    assert (run.tags, run.workflow, run.mode, run.source) == (("nightly", "eu"), "refunds", "live", None)
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
    error = step.error
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
    assert step.tokens is not None
    assert (step.tokens.input, step.tokens.output) == (7, 5)
    assert [(one.direction, one.role, one.text) for one in step.messages] == [
        ("input", "user", "Hello?"),
        ("output", "assistant", "Hello!"),
    ]
    (exchange,) = step.exchanges
    assert (exchange.method, exchange.status, exchange.error) == ("POST", 200, None)
    assert exchange.data == json.loads(exchange.body) == completion("Hello!", usage=(7, 5))
    assert dict(exchange.headers)["content-type"] == "application/json"


def test_messages_hold_calls_and_results(recordings: Recordings) -> None:
    told = recordings.run("@last~3").messages()

    assert [one.role for one in told] == ["system", "user", "assistant", "tool", "tool", "tool", "assistant"]
    assert [(call.name, call.arguments) for call in told[2].tool_calls][0] == ("get_weather", {"city": "Rome"})
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
    of_run, of_all = run.steps(**wanted), [step for step in recordings.steps(**wanted) if step.run_id == run.id]

    assert [step.name for step in of_run] == [step.name for step in of_all] == names
    assert [row["name"] for row in of_run.to_dicts()] == names


def test_events_are_filtered(recordings: Recordings) -> None:
    run = recordings.run("failed")

    assert [one.type for one in run.events(type=["Scored", "Logged"])] == ["Logged", "Scored", "Scored"]
    assert [one.seq for one in recordings.events(type="Scored", run="failed")] == [4, 5]
    assert run.events()[0].body["name"] == "failed"


# --- tables -------------------------------------------------------------------------------------------------


def test_sql_gives_rows_and_frames(recordings: Recordings) -> None:
    table = recordings.sql(
        "SELECT name, count(*) AS steps, sum(input_tokens) AS tokens, list(kind ORDER BY kind) AS kinds, "
        "min(started) AS since, INTERVAL 2 SECOND AS wait FROM steps WHERE kind = $kind GROUP BY name ORDER BY name; -- x",
        kind="model",
    )

    assert list(table) == table.to_dicts()
    assert table[0] == {
        "name": "openai.chat.completions",
        "steps": 3,
        "tokens": 3521,
        "kinds": ["model"] * 3,
        "since": START + timedelta(milliseconds=5),
        "wait": timedelta(seconds=2),
    }
    assert list(table.columns) == list(table[0])
    assert table.to_polars().to_dicts() == table.to_arrow().to_pylist() == table.to_dicts()


@pytest.mark.parametrize(
    ("query", "given", "slug"),
    [
        ("SELECT * FROM nowhere", {}, "sql"),
        ("SELEC 1", {}, "sql"),
        ("", {}, "sql"),
        ("SELECT 1; SELECT 2", {}, "sql"),
        ("SELECT $a", {}, "sql"),
        ("SELECT 1", {"a": 1}, "sql"),
        ("DELETE FROM run_rows", {}, "sql-read-only"),
        ("COPY runs TO 'x.csv'", {}, "sql-read-only"),
        ("ATTACH 'x.duckdb'", {}, "sql-read-only"),
        ("SET enable_external_access = true", {}, "sql-read-only"),
        ("SELECT * FROM read_csv('/etc/passwd')", {}, "sql"),
        ("FROM '/etc/passwd'", {}, "sql"),
        ("FROM rows", {}, "sql"),
    ],
)
def test_a_query_that_is_refused_says_why(recordings: Recordings, query: str, given: Any, slug: str) -> None:
    rows = pandas.DataFrame({"a": [1]})
    with pytest.raises(ConfigError) as refused:
        recordings.sql(query, **given)

    assert refused.value.slug == slug
    assert len(recordings) == 5, rows


def test_an_error_among_the_rows_is_ours(recordings: Recordings) -> None:
    table = recordings.sql("SELECT CAST(name AS INTEGER) AS number FROM runs")

    for ask in (table.to_dicts, table.to_pandas, table.to_polars, table.to_arrow):
        with pytest.raises(ConfigError, match="Could not convert"):
            ask()


def test_integers_of_any_size_are_kept(recordings: Recordings) -> None:
    fits = recordings.sql("SELECT sum(x)::HUGEINT AS n, 7::UINTEGER AS u FROM (VALUES (2::BIGINT), (3)) t(x)")
    large = recordings.sql("SELECT (2::HUGEINT ** 100)::HUGEINT AS n")

    assert fits.to_dicts() == fits.to_polars().to_dicts() == [{"n": 5, "u": 7}]
    assert [str(kind) for kind in fits.to_pandas().dtypes] == ["Int64", "Int64"]
    assert large.to_dicts() == [{"n": 2**100}]
    assert float(large.to_pandas()["n"][0]) == float(large.to_polars()["n"][0]) == 2.0**100


KINDS_OF_COLUMNS = {
    "run_id": ("string", polars.String(), pyarrow.string()),
    "step_id": ("Int64", polars.Int64(), pyarrow.int64()),
    "started": ("datetime64[ns, UTC]", polars.Datetime("ns", "UTC"), pyarrow.timestamp("ns", "UTC")),
    "duration": ("timedelta64[ns]", polars.Duration("ns"), pyarrow.duration("ns")),
    "first_chunk": ("timedelta64[ns]", polars.Duration("ns"), pyarrow.duration("ns")),
    "duration_s": ("Float64", polars.Float64(), pyarrow.float64()),
    "input_tokens": ("Int64", polars.Int64(), pyarrow.int64()),
    "retries": ("Int64", polars.Int64(), pyarrow.int64()),
}


def test_frames_have_the_types_of_what_they_hold(recordings: Recordings) -> None:
    steps = recordings.steps()
    of_pandas, of_polars, of_arrow = steps.to_pandas(), steps.to_polars(), steps.to_arrow()

    assert list(of_pandas.columns) == of_polars.columns == of_arrow.column_names == list(steps.columns)
    for name, (in_pandas, in_polars, in_arrow) in KINDS_OF_COLUMNS.items():
        assert str(of_pandas[name].dtype) == in_pandas
        assert of_polars.schema[name] == in_polars
        assert of_arrow.schema.field(name).type == in_arrow
    runs = recordings.runs()
    assert str(runs.to_pandas()["replayable"].dtype) == "boolean"
    assert runs.to_polars().schema["tags"] == polars.List(polars.String())


@pytest.mark.parametrize("listing", ["runs", "steps", "messages", "events"])
def test_all_forms_hold_the_same(recordings: Recordings, listing: str) -> None:
    found = getattr(recordings, listing)()
    told = found.to_dicts()

    assert told
    assert found.to_polars().to_dicts() == _without_nanoseconds(found.to_arrow()).to_pylist() == told
    frame = found.to_pandas()
    as_python = [
        {name: _plain(value) for name, value in zip(frame.columns, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]
    assert as_python == told


def _without_nanoseconds(table: Any) -> Any:
    return pyarrow.table(
        [
            column.cast(pyarrow.duration("us"), safe=False)
            if pyarrow.types.is_duration(column.type)
            else column.cast(pyarrow.timestamp("us", "UTC"), safe=False)
            if pyarrow.types.is_timestamp(column.type)
            else column
            for column in table.columns
        ],
        names=table.column_names,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return value
    if pandas.isna(value):
        return None
    if isinstance(value, (pandas.Timestamp, pandas.Timedelta)):
        floor = value.floor("us")
        return floor.to_pydatetime() if isinstance(floor, pandas.Timestamp) else floor.to_pytimedelta()
    return value.item() if hasattr(value, "item") else value


def test_nothing_found_is_an_empty_frame_with_the_same_columns(recordings: Recordings) -> None:
    nothing = recordings.steps(name="no such step")

    assert list(nothing) == nothing.to_dicts() == []
    assert nothing.to_pandas().dtypes.to_dict() == recordings.steps().to_pandas().dtypes.to_dict()
    assert nothing.to_polars().schema == recordings.steps().to_polars().schema
    assert nothing.to_arrow().schema == recordings.steps().to_arrow().schema


# --- searching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no such city", [("failed", 0, "error"), ("failed", 1, "error")]),
        (QUOTED, [("failed", 1, "input")]),
        ("LOOKED it", [("failed", 1, "note")]),
        ("Albergo", [("travel", 4, "output"), ("travel", 10, "input")]),
        ("no such text", []),
    ],
)
def test_a_text_is_found_where_it_is(recordings: Recordings, text: str, found: list[tuple[str, int, str]]) -> None:
    matches = recordings.search(text)

    assert [(match.run_name, match.step_id, match.part) for match in matches] == found
    assert all(len(match.excerpt) <= 200 + len(text) for match in matches)
    assert len(matches.to_dicts()) == len(found)


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
