"""Arrays, frames and images in replays: answers are fresh and equal, arguments are compared by what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import agentrace
from agentrace.query import inferred, replayable
from agentrace.replay.calls import alike
from tests.unit.library_values import same, values
from tests.unit.replays import record_of, replayed

ALL = values()


@agentrace.tool
def fetch(name: str) -> Any:
    return ALL[name]


@agentrace.tool
def add_up(given: Any) -> float:
    return 1.0


@pytest.mark.parametrize("library", ["numpy", "pandas", "pyarrow", "polars", "PIL", "io"])
def test_answers_are_what_the_tools_gave(library: str) -> None:
    names = [name for name in ALL if name.startswith(library)]

    def program() -> Any:
        found = [fetch(name) for name in names]
        return [*found, add_up({"all": found})]

    seen, record = record_of(program)
    assert replayable(record, inferred(record)).because == []
    again = replayed(record, program)

    assert (again.verdict, again.caveats) == ("exact", [])
    assert all(same(one, other) for one, other in zip(seen, again.seen, strict=True))
    mutable = [at for at, value in enumerate(seen) if isinstance(value, (np.ndarray, pd.DataFrame, Image.Image))]
    assert all(again.seen[at] is not seen[at] for at in mutable)


@pytest.mark.parametrize(
    ("recorded", "live"),
    [
        (np.arange(3), np.arange(3) + 1),
        (np.arange(3), np.arange(3.0)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array(["a"]), np.array(["b"])),
        (np.float32(1), np.float32(2)),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})),
        (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"b": ["x"]})),
        (pl.DataFrame({"a": ["x"]}), pl.DataFrame({"a": ["y"]})),
        (pa.table({"a": [1]}), pa.table({"a": [2]})),
        (Image.new("L", (2, 2)), Image.new("L", (2, 2), 1)),
    ],
)
def test_another_argument_is_noticed(recorded: Any, live: Any) -> None:
    _, record = record_of(lambda: add_up(recorded))

    assert replayed(record, lambda: add_up(recorded)).verdict == "exact"
    assert replayed(record, lambda: add_up(live)).code == "CALL_CHANGED"


def test_a_secret_in_an_answer_is_served_as_a_mark_and_said_before() -> None:
    key = "sk-proj-Abc123Def456Ghi789Jkl012Mno345Pqr678Stu901"
    ALL["secret"] = pd.DataFrame({"note": [f"use {key}"], "n": [1]})
    try:
        _, record = record_of(lambda: fetch("secret"))
    finally:
        del ALL["secret"]

    told = replayable(record, inferred(record))
    again = replayed(record, lambda: fetch("secret"))

    assert any("held a secret" in caveat for caveat in told.caveats)
    assert again.verdict == "exact_with_caveats"
    assert "⟨redacted:" in again.seen["note"][0]
    assert again.seen["n"][0] == 1


def test_what_cannot_come_back_is_said_at_record_time_and_stops_a_replay() -> None:
    ALL["opaque"] = pd.Series(pd.arrays.SparseArray([0, 1]))
    try:
        _, record = record_of(lambda: fetch("opaque"))
    finally:
        del ALL["opaque"]

    (reason,) = replayable(record, inferred(record)).because
    assert "the record only describes what step 1 (tool fetch) returned" in reason
    assert "nothing is known of pandas arrays of the type SparseArray" in reason
    assert replayed(record, lambda: fetch("opaque")).code == "OUTPUT_UNDECODABLE"


@pytest.mark.parametrize(
    ("before", "now", "are_alike"),
    [
        ({"$opaque": "<numpy:ndarray>", "type": "numpy:ndarray", "reason": "no codec for this type"}, "array", True),
        ({"$opaque": "<numpy:matrix>", "type": "numpy:matrix", "reason": "no codec for this type"}, "array", False),
        ([{"$opaque": "<numpy:ndarray>", "type": "numpy:ndarray", "reason": ""}, 1], ["array", 1], True),
        ([{"$opaque": "<numpy:ndarray>", "type": "numpy:ndarray", "reason": ""}, 1], ["array", 2], False),
    ],
)
def test_records_of_before_arrays_were_told_are_followed(before: Any, now: Any, are_alike: bool) -> None:
    array = {"$type": "numpy:ndarray", "$summary": "ndarray int64 [3]", "shape": [3]}
    live = [array, now[1]] if isinstance(now, list) else array

    assert alike({"given": before}, {"given": live}) is are_alike
