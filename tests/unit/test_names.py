"""A thing has one name: in Python, in SQL, in JSON, in the tables that commands print; and a name means one thing."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

import agentrace
from agentrace.cli import execute
from agentrace.index.describing import described
from agentrace.reading import Error, Event, Exchange, Match, Message, Note, Recordings, Run, Score, Step, Usage
from tests.unit.asked_runs import fill

THINGS: Final[dict[str, str]] = {
    # which
    "run_id": "a run, as a UUID",
    "run_name": "what the run is called, where something else has the name",
    "step_id": "a step by its ordinal; 0 for the run itself",
    "parent_run_id": "the run that started a process or sent a job",
    "parent_step_id": "the step that encloses a step; of a run the step that started it",
    "parent": "the same step as an object, in Python",
    "source_run_id": "of a replay or fork: the run whose record was used",
    "run_key": "a run by its number in the index",
    "first_seq last_seq seq": "positions of events in their run",
    "position": "of a message among those of its request",
    "number": "of an exchange in its step",
    "name": "of a run, step, score or person",
    "kind kinds": "of steps",
    "type": "of an event, a row, a note, an exception",
    "mode": "live, replay, fork",
    "is_job": "whether a run is a job and not a process",
    "operation path call_site integration scope_quality thread task tick": "what a step was and where",
    "depth": "how deep something is in a tree",
    "wire method url headers body data": "of an exchange",
    "part": "where a text is in a step",
    # when
    "started started_ts": "when it began",
    "duration duration_s duration_ns": "how long it took",
    "offset_ns": "from the start of the tree's run to its own",
    "first_chunk first_chunk_s first_chunk_ns": "until the first piece of a streamed answer",
    "mean_ns p50_ns p95_ns max_ns": "of the durations of a group",
    "answered_ns ended_ns": "from the start of a step to an answer, and to its end",
    "time ts": "when an event or a note happened",
    "day": "a day, UTC",
    "first_started last_started last_failed": "when the first and the last of several began, and the last that failed",
    # how it went
    "status": "how a run, a step or a response is",
    "health damage": "what is the matter with a record; what of it is not as it was written",
    "outcome": "how a step or exchange ended",
    "error last_error": "an exception in one line",
    "exception": "an exception with its traceback, notes and causes",
    "message traceback causes notes": "of an exception; notes also what was logged in a step or run",
    "exit_code": "of the program",
    "verdict": "of a replay",
    "replayable because caveats": "whether a run can be replayed, why not, and what a replay will have to say",
    "answered": "whether the result of a tool call was seen",
    "failed": "whether a message tells that a tool failed",
    "failure_rate": "failed steps by steps",
    "sample_rate": "the share of root runs like it that were written",
    "input_fidelity output_fidelity": "how well a value is kept",
    "streamed parallel": "whether a step was a stream, and ran beside another",
    # how much
    "steps failed_steps retries inferred processes jobs events runs": "counts; in Python `steps` and `events` are what "
    "is counted",
    "step_count": "`steps` in Python, where that name is taken by the steps themselves",
    "steps_by_kind": "steps of each kind",
    "children replays replayable_runs": "counts of such runs; `children` in Python are they themselves",
    "chunks exchanges bytes": "of streams and exchanges",
    "bytes_by_part": "of a store",
    "by_status by_kind by_model by_day failures": "sums in `stats`",
    "input_tokens output_tokens": "sums of the buckets",
    "input_fresh cache_read cache_write output_visible": "tokens in disjoint buckets",
    "reasoning": "the bucket of reasoning; of a message the reasoning itself",
    "usage": "all of these, in Python",
    "uncounted": "calls that do not tell their tokens",
    "cost_nano_usd": "as noted",
    # what is in it
    "input output": "what went into a step and came out",
    "input_python output_python": "the same as the program had it",
    "model models": "that served a call, or calls",
    "finish_reason": "why the model stopped",
    "messages message": "of conversations, and the text of a note",
    "text role direction refusal tool_call_id tool_calls served citations media": "of a message",
    "asked_by call_id": "of a tool call that was read in messages",
    "level fields logger": "of a note",
    "value comment source scores": "of scores",
    "excerpt before match after": "of what was found",
    "matches matched found": "rows that were asked for: how many, whether a row is one, and why",
    # where from
    "workflow agent session_id tenant workspace project operator tags": "what runs are grouped by",
    "argv cwd pid python platform timezone sdk format redaction durability git_commit git_dirty libraries": "of a process",
    "left_out recorded_by_name": "what was not recorded, and what was recorded by name",
    "archive": "where a run is that was archived",
    "away": "why it cannot be reached there",
    "rows folded_rows tree step": "what is in a run, and below it; how many rows are left out by `--depth`",
    "ok problems": "what `verify` found",
}
"""Every name of a thing, in any of the places. Look here before you add one: what it is may have a name."""
NAMES: Final = {name: what for names, what in THINGS.items() for name in names.split()}
OF_OTHER_DOCUMENTS: Final = frozenset({"executions"})
"""Views that are there for the names that other documents use."""
THEIR_OWN: Final = frozenset(
    {"input", "output", "fields", "value", "libraries", "left_out", "steps_by_kind", "by_status", "bytes_by_part"}
)
"""Keys below which names are those of the program, of its libraries, or values."""
EVENT: Final = ("type", "seq", "step_id", "ts", "time")
"""Of an event; its other names are those of the trace specification."""
COUNTED: Final = frozenset({"steps", "events", "exchanges", "notes"})
"""What is a number in SQL and a list in Python."""
COMMANDS: Final = (
    ("ls", "--all"),
    ("ls", "--failed"),
    ("show", "checkout"),
    ("show", "refund", "--io"),
    ("show", "checkout", "--depth", "1"),
    ("show", "refund:3"),
    ("show", "checkout", "--find", "Rome"),
    ("search", "Rome"),
    *(("top", ranking, "--by", by) for ranking in ("slowest", "tokens", "failing") for by in ("name", "run", "step")),
    ("stats",),
    ("verify", "checkout"),
    ("sql", "from runs"),
    ("sql", "from steps"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("names") / "store"
    fill(root)
    return root


@pytest.fixture
def recordings(shop: Path) -> Iterator[Recordings]:
    with agentrace.open(shop) as opened:
        yield opened


def objects(capsys: pytest.CaptureFixture[str], shop: Path, *arguments: str) -> list[dict[str, Any]]:
    """The objects that a command prints."""
    capsys.readouterr()
    assert execute([*arguments, "--home", str(shop), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def keys(told: Any) -> Iterator[str]:
    if isinstance(told, list):
        for one in told:
            yield from keys(one)
    elif isinstance(told, dict):
        for key, value in told.items():
            yield key
            if key not in THEIR_OWN:
                yield from keys(value)


def attributes(kind: type[Any]) -> list[str]:
    """The public ones."""
    if issubclass(kind, msgspec.Struct):
        properties = [name for name, _ in inspect.getmembers(kind, lambda found: isinstance(found, property))]
        return [*kind.__struct_fields__, *properties]
    return [name for name in vars(kind) if not name.startswith("_")]


def test_every_name_in_sql_is_in_the_table() -> None:
    found = {
        column.name: view.name
        for view in described()
        if not view.of_event and view.name not in OF_OTHER_DOCUMENTS
        for column in view.columns
    }

    assert {name: view for name, view in found.items() if name not in NAMES} == {}


def test_every_key_of_json_is_in_the_table(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {key: command for command in COMMANDS for key in keys(objects(capsys, shop, *command))}
    found |= {key: ("events",) for one in objects(capsys, shop, "show", "--events") for key in list(one)[: len(EVENT)]}

    assert {key: command for key, command in found.items() if key not in NAMES} == {}


def test_every_attribute_in_python_and_every_column_of_its_tables_is_in_the_table(recordings: Recordings) -> None:
    kinds = (Run, Step, Event, Message, Match, Note, Score, Exchange, Error, Usage)
    found = {name: kind.__name__ for kind in kinds for name in attributes(kind)}
    listings = (recordings.runs(), recordings.steps(), recordings.events(), recordings.messages())
    found |= {name: "a table" for listing in (*listings, recordings.search("Rome")) for name in listing.columns}

    assert {name: kind for name, kind in found.items() if name not in NAMES} == {}


def test_the_table_has_no_name_that_is_nowhere(
    shop: Path, recordings: Recordings, capsys: pytest.CaptureFixture[str]
) -> None:
    used = {key for command in COMMANDS for key in keys(objects(capsys, shop, *command))}
    used |= {column.name for view in described() for column in view.columns}
    used |= {
        name
        for kind in (Run, Step, Event, Message, Match, Note, Score, Exchange, Error, Usage)
        for name in attributes(kind)
    }
    used |= {name for listing in (recordings.runs(), recordings.steps()) for name in listing.columns}

    # These are told where the runs of this store have nothing to tell.
    assert NAMES.keys() - used <= {"answered", "asked_by", "call_id"}


def test_a_number_says_its_unit(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What takes time is a number of nanoseconds or seconds, or a duration of its own type."""
    columns = {(column.name, column.type) for view in described() for column in view.columns}

    assert {kind for name, kind in columns if name in ("duration", "first_chunk")} == set()
    assert {kind for name, kind in columns if name.endswith("_s")} == {"DOUBLE"}
    for one in [told for command in COMMANDS for told in objects(capsys, shop, *command)]:
        assert not {"duration", "first_chunk", "duration_s"} & set(one) or command_is_sql(one)


def command_is_sql(told: dict[str, Any]) -> bool:
    return "run_key" in told


# --- the same name, the same thing --------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as it can be compared; what says nothing is told as None, an empty text or list."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, (list, tuple)):
        return list(value) or None
    return value if value not in ("", 0) else None


def differing(one: dict[str, Any], other: dict[str, Any], leaving: frozenset[str]) -> dict[str, Any]:
    common = (one.keys() & other.keys()) - leaving
    assert len(common) > 8
    return {name: (one[name], other[name]) for name in common if plain(one[name]) != plain(other[name])}


def values(thing: Any) -> dict[str, Any]:
    """What the attributes of an object are, and of the tokens that it used."""
    found = {name: getattr(thing, name) for name in attributes(type(thing))}
    told = {name: value for name, value in found.items() if not callable(value)}
    return told | {name: getattr(thing.usage, name, None) for name in attributes(Usage)}


def test_a_run_is_the_same_under_the_same_names(
    shop: Path, recordings: Recordings, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {row["run_id"]: row for row in recordings.sql("FROM runs").to_dicts()}
    listed = objects(capsys, shop, "ls", "--all")

    assert len(listed) == len(rows) == 6
    for told in listed:
        run = recordings.run(told["run_id"])
        assert differing(told, rows[run.run_id], frozenset()) == {}
        assert differing(told, values(run), COUNTED) == {}
        assert differing(rows[run.run_id], values(run), COUNTED) == {}
        shown = objects(capsys, shop, "show", run.run_id)[0]
        # What is below it is summed up with it where it is shown.
        sums = frozenset({"steps", "steps_by_kind", "failed_steps", "retries", "processes", "jobs"})
        assert differing(told, shown, sums | frozenset(attributes(Usage))) == {}


def test_a_step_is_the_same_under_the_same_names(
    shop: Path, recordings: Recordings, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {(row["run_id"], row["step_id"]): row for row in recordings.sql("FROM steps").to_dicts()}
    shortened = COUNTED | {"input", "output"}

    for step in recordings.steps():
        row = rows[step.run_id, step.step_id]
        told = objects(capsys, shop, "show", f"{step.run_id}:{step.step_id}")[0]
        assert differing(told, row, shortened) == {}
        assert differing(told, values(step), COUNTED | {"exception"}) == {}
        assert differing(row, values(step), shortened) == {}
        assert (row["exchanges"] or 0) == len(told["exchanges"]) == len(step.exchanges)


def test_a_run_id_of_json_is_what_sql_compares_with(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = objects(capsys, shop, "ls", "--all")

    for one in listed:
        (found,) = objects(capsys, shop, "sql", f"select run_id, name from runs where run_id = '{one['run_id']}'")
        assert found == {"run_id": one["run_id"], "name": one["name"]}
        short = one["run_id"].replace("-", "")[:12]
        query = f"select name from runs where replace(run_id::varchar, '-', '') like '{short}%'"
        assert [row["name"] for row in objects(capsys, shop, "sql", query)] == [one["name"]]


def test_a_beginning_of_an_id_is_refused_with_what_to_do(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["sql", "from runs where run_id = '01a1f910'", "--home", str(shop)]) == 2

    told = capsys.readouterr().err
    assert "agentrace ls --json" in told
    assert "like '01a1f910%'" in told
