"""How people name runs, and what they are told when there is no such run."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.errors import RunNotFound
from agentrace.ids import format_run_id
from agentrace.query import Runs
from tests.unit.recorded_runs import Process


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs, an hour apart, of which the newest was started by the one before it."""
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    for hour, name in enumerate(["checkout", "search", "checkout", "refund"]):
        run = process.run(name, after_ms=hour * 3_600_000, number=hour)
        step = run.step("task", "work", 1)
        if name == "refund":
            child = process.run("worker", after_ms=hour * 3_600_000 + 5, number=9, parent=run.parent(step))
            child.end(3)
        run.done(step, 10)
        run.end(20)
    process.close()
    return root


@pytest.fixture
def runs(store: Path) -> Runs:
    return Runs(store)


def name_of(runs: Runs, reference: str) -> str:
    """The name and the hour of the run that is meant."""
    summary = runs.summary(runs.find(reference))
    return f"{summary.name} {(summary.started_ts // 10**9 - 1_795_180_000) // 3600}"


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("@last", "refund 3"),
        ("@last~0", "refund 3"),
        ("@last~2", "search 1"),
        ("@last~3", "checkout 0"),
        ("checkout", "checkout 2"),
        ("search", "search 1"),
        ("worker", "worker 3"),
    ],
)
def test_a_run_is_found_by_how_long_ago_it_was_and_by_its_name(runs: Runs, reference: str, meant: str) -> None:
    assert name_of(runs, reference) == meant


def test_a_run_is_found_by_its_id_and_by_the_beginning_of_it(runs: Runs) -> None:
    for run_id in runs.ids:
        whole = format_run_id(run_id)
        beginnings = [run_id.hex(), whole, whole.upper(), run_id.hex()[:12], whole[:14]]
        assert [runs.find(text) for text in beginnings] == [run_id] * 5


def test_a_step_is_named_behind_a_colon(runs: Runs) -> None:
    newest = runs.find("@last")

    assert runs.find_step("@last:7") == (newest, 7)
    assert runs.find_step(f"{newest.hex()}:12") == (newest, 12)
    assert runs.find_step("refund") == (newest, 0)


def refusal(runs: Runs, reference: str) -> RunNotFound:
    with pytest.raises(RunNotFound) as refused:
        runs.find(reference)
    assert refused.value.slug == "run-not-found"
    return refused.value


def test_a_beginning_of_several_ids_is_answered_with_the_candidates(runs: Runs) -> None:
    error = refusal(runs, "01a1")

    assert error.what.startswith("01a1 is the beginning of 5 run ids:")
    assert [line.split()[-1] for line in error.what.splitlines()[1:]] == [
        "worker",
        "refund",
        "checkout",
        "search",
        "checkout",
    ]
    assert error.do == "type more of the id"


@pytest.mark.parametrize(
    ("reference", "what", "do"),
    [
        ("chekout", "no run of the store is called 'chekout'", "did you mean checkout?"),
        ("zzz", "no run of the store is called 'zzz'", "`agentrace ls` shows what there is"),
        ("@last~9", "@last~9 is further back than the store goes: it holds 4 runs", "the oldest is @last~3"),
        ("ffff", "no run of the store is called 'ffff'", "`agentrace ls` shows what there is"),
        ("01a1f910-f300-7000-8000-0000000000ff", "no run of the store is called '01a1f910", "`agentrace ls`"),
    ],
)
def test_a_run_that_is_not_there_is_answered_with_what_is(runs: Runs, reference: str, what: str, do: str) -> None:
    error = refusal(runs, reference)

    assert error.what.startswith(what)
    assert error.do.startswith(do)


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    error = refusal(Runs(tmp_path / "nothing"), "@last")

    assert (error.what, error.do) == (
        "the store holds no runs",
        "record one: agentrace run python agent.py",
    )


def test_a_name_that_looks_like_an_id_is_found_all_the_same(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.run("cafe").end(1)
    process.run("01a1", after_ms=10).end(1)
    process.run("other", after_ms=20).end(1)
    process.close()
    runs = Runs(tmp_path)

    assert [runs.summary(runs.find(text)).name for text in ("cafe", "01a1")] == ["cafe", "01a1"]
