"""What `agentrace.open()` tells as tables: rows, data frames and queries, the same of a store and of a trace file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas
import polars
import pyarrow
import pytest

from agentrace import Recordings
from agentrace.errors import ConfigError
from tests.contract.read_places import QUOTED, START, places, recordings

__all__ = ["places", "recordings"]

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


def test_what_is_not_told_is_null_of_every_type(recordings: Recordings) -> None:
    types = [
        "TIMESTAMP_NS",
        "TIMESTAMP",
        "INTERVAL",
        "BIGINT",
        "UINTEGER",
        "HUGEINT",
        "DOUBLE",
        "BOOLEAN",
        "VARCHAR",
        "UUID",
    ]
    types += ["VARCHAR[]", "DATE", "JSON"]
    shown = ", ".join(f"CASE WHEN n = 1 THEN NULL::{kind} END AS c{at}" for at, kind in enumerate(types))
    table = recordings.sql(f"SELECT n, {shown} FROM (VALUES (1), (1)) AS t(n)")

    nothing = dict.fromkeys(f"c{at}" for at in range(len(types)))
    assert table.to_dicts() == table.to_polars().to_dicts() == table.to_arrow().to_pylist() == [{"n": 1, **nothing}] * 2
    frame = table.to_pandas()
    assert frame.drop(columns="n").isna().all().all()
    assert [str(kind) for kind in frame.dtypes][1:4] == ["datetime64[ns, UTC]"] * 2 + ["timedelta64[ns]"]


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
