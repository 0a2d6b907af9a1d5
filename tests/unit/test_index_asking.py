"""Filters and searches of the index agree with what plain Python finds in the same runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrace.index import Session, opened
from agentrace.index.filters import Between, Filter
from agentrace.index.finding import Order, find
from agentrace.index.searching import Sought, search
from agentrace.query import Runs, Summary
from tests.unit.asked_runs import HOSTILE, fill

TEXTS = ("insufficient funds", "Rome", HOSTILE, "busy")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Sequence[Summary]]]:
    """The open index of a store, and its runs in short."""
    root: Path = tmp_path_factory.mktemp("asked")
    fill(root)
    runs = Runs(root)
    with opened(runs.store) as session:
        yield session, [runs.summary(run_id) for run_id in runs.ids]


def passes(run: Summary, wanted: Filter) -> bool:
    """What a filter means."""
    tokens = run.totals.usage.input_tokens + run.totals.usage.output_tokens
    name = None if wanted.name is None else wanted.name.casefold()
    return all(
        (
            wanted.since is None or run.started_ts >= wanted.since,
            wanted.until is None or run.started_ts < wanted.until,
            not wanted.statuses or run.status in wanted.statuses,
            name is None
            or (fnmatchcase(run.name.casefold(), name) if set(name) & set("*?[") else name in run.name.casefold()),
            not wanted.kinds or set(wanted.kinds) & run.totals.steps.keys(),
            within(tokens, wanted.tokens),
            within(run.duration_ns, wanted.duration),
            wanted.replayable is None or run.replayable.yes == wanted.replayable,
            wanted.replays is None or (run.mode != "live") == wanted.replays,
        )
    )


def within(value: int, bounds: Between) -> bool:
    """Whether a number is between two others."""
    return (bounds.least is None or value >= bounds.least) and (bounds.most is None or value <= bounds.most)


def bounds(*numbers: int) -> st.SearchStrategy[Between]:
    """Bounds at, and beside, numbers that are there."""
    near = st.none() | st.sampled_from([number + by for number in numbers for by in (-1, 0, 1)])
    return st.builds(Between, near, near)


START = 1_795_180_000_000_000_000
DAY = 86_400_000_000_000
moments = st.none() | st.sampled_from([START + days * DAY + by for days in range(4) for by in (-1, 0, 1)])
filters = st.builds(
    Filter,
    since=moments,
    until=moments,
    statuses=st.lists(st.sampled_from(["completed", "failed", "running", "aborted"]), unique=True, max_size=2),
    name=st.none() | st.sampled_from(["c", "CHECK*", "r?nder", "[cr]*", "odd*", "%", "_", "\\", "", "refund'--"]),
    kinds=st.lists(st.sampled_from(["tool", "model", "retriever", "planner"]), unique=True, max_size=2),
    tokens=bounds(0, 55, 1500),
    duration=bounds(20_000_000, 1_000_000_000, 5_000_000_000),
    replayable=st.none() | st.booleans(),
    replays=st.none() | st.booleans(),
)


@given(wanted=filters, sort=st.sampled_from(["started", "duration", "tokens", "steps"]), reverse=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_filter_lets_through_what_it_says(
    shop: tuple[Session, Sequence[Summary]], wanted: Filter, sort: str, reverse: bool
) -> None:
    session, runs = shop
    key = {
        "started": lambda run: 0,
        "duration": lambda run: run.duration_ns,
        "tokens": lambda run: run.totals.usage.input_tokens + run.totals.usage.output_tokens,
        "steps": lambda run: run.totals.count,
    }[sort]
    expected = sorted((run for run in runs if passes(run, wanted)), key=key, reverse=True)

    found = find(session, wanted, Order(sort, reverse, 100))  # type: ignore[arg-type]

    assert [one.run_id for one in found.runs] == [run.run_id for run in (expected[::-1] if reverse else expected)]
    assert (found.matching, found.among) == (len(expected), len(runs))


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_literal_search_agrees_with_in(shop: tuple[Session, Sequence[Summary]], data: st.DataObject) -> None:
    session, _ = shop
    text = data.draw(st.sampled_from(TEXTS))
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))]
    sought = data.draw(st.sampled_from([part, part + "%", part.upper(), part.replace("_", "x"), ".*", "\\"]))
    cased = data.draw(st.booleans())
    kept = session.connection.execute("SELECT run_key, step_id, part, text FROM text_rows").fetchall()
    spelt = {sought, json.dumps(sought, ensure_ascii=False)[1:-1]}

    def told(value: str) -> str:
        return value if cased else value.lower()

    expected = [row for row in kept if any(told(form) in told(row[3]) for form in spelt)]
    found = search(session, Sought(sought, cased=cased), Filter(), 1000)

    in_texts = [hit for hit in found.hits if told(hit.match) in {told(form) for form in spelt}]
    assert len(in_texts) == len(found.hits) == found.matching
    of_steps = [row for row in expected if row[1]]
    assert {(hit.step_id, hit.part) for hit in found.hits if hit.step_id} == {(row[1], row[2]) for row in of_steps}
    assert found.matching >= len(of_steps)


def test_all_hits_are_counted_and_the_newest_told(shop: tuple[Session, Sequence[Summary]]) -> None:
    session, _ = shop

    found = search(session, Sought("[a-z]", is_pattern=True), Filter(), 3)

    assert len(found.hits) == 3
    assert found.matching > 10
    assert [hit.ts for hit in found.hits] == sorted((hit.ts for hit in found.hits), reverse=True)
    assert found.hits[0].run_name.startswith("odd")
