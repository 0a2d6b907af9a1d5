"""What a program hands to its tools, and gets from them, is what `agentrace.open()` gives back, in store and file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agentrace
from agentrace.archive import export
from agentrace.query import Runs


def _plain_key(key: str) -> bool:
    """Whether it is no key under which something is told that JSON has no word for."""
    return not key.startswith("$")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(_plain_key), parts, max_size=4
        )
    ),
    max_leaves=12,
)
OTHERS = st.recursive(
    st.binary(max_size=30)
    | st.integers()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(allow_nan=False)
    | st.timedeltas(),
    lambda parts: st.tuples(parts, parts) | st.frozensets(st.integers(), max_size=4) | st.lists(parts, max_size=3),
    max_leaves=8,
)


@agentrace.tool
def echo(value: Any, *, aside: Any = None) -> Any:
    return value


@agentrace.tool
def each(values: list[Any]) -> Iterator[Any]:
    yield from values


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("round-trip") / "store"
    agentrace.init(home=root, redact="off")
    yield root
    agentrace.shutdown()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON, min_size=1, max_size=4), st.lists(OTHERS, min_size=1, max_size=4))
def test_values_come_back_equal(home: Path, told: list[Any], others: list[Any]) -> None:
    with agentrace.run("example") as example:
        for value, other in zip(told, others, strict=False):
            echo(value, aside=other)
        echo(others)
        list(each(told))
    agentrace.flush()

    run = agentrace.open(home).run(example.id)

    *echoed, others_step, each_step = run.steps()
    assert [step.output for step in echoed] == told[: len(echoed)]
    assert [step.input["value"] for step in echoed] == told[: len(echoed)]
    for step, value, other in zip(echoed, told, others, strict=False):
        assert same(step.output_python(), value)
        assert same(step.input_python(), {"value": value, "aside": other})
    assert same(others_step.output_python(), others)
    assert same(each_step.output_python(), told)


def same(found: Any, given: Any) -> bool:
    """Whether they are equal and of the same types throughout."""
    if type(found) is not type(given):
        return False
    if isinstance(given, dict):
        return list(found) == list(given) and all(same(found[key], value) for key, value in given.items())
    if isinstance(given, (list, tuple)):
        return len(found) == len(given) and all(map(same, found, given))
    return bool(found == given)


def test_a_file_gives_back_the_same(home: Path, tmp_path: Path) -> None:
    values = [
        (1, {2}),
        date(2026, 1, 2),
        datetime(2026, 1, 2, tzinfo=UTC),
        timedelta(1),
        Decimal("1.50"),
        b"x" * 10_000,
    ]
    with agentrace.run("kept") as kept:
        for value in values:
            echo(value)
    agentrace.flush()
    runs = Runs(home)
    export(runs, [runs.find(kept.id)], tmp_path / "kept.agentrace")

    with agentrace.open(tmp_path / "kept.agentrace") as file, agentrace.open(home) as store:
        for recordings in (file, store):
            assert [step.output_python() for step in recordings.run("kept").steps()] == values
