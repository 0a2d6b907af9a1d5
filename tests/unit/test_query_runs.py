"""Listing runs, and what is kept so that the next listing is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import agentrace
from agentrace import events
from agentrace.index import opened
from agentrace.index.filters import Filter
from agentrace.index.finding import Order, find
from agentrace.query import InferredRow, ProcessRow, Runs, StepRow, Totals, Tree, Usage
from agentrace.store import Store
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.travel_run import travel


def listed(root: Path) -> list[tuple[str, str, int]]:
    """Name, status and child processes of each run in the list."""
    return [(one.summary.name, one.summary.status, one.processes) for one in Runs(root).listed()]


def test_runs_are_listed_newest_first_with_the_processes_they_started(tmp_path: Path) -> None:
    process = Process(tmp_path)
    root = process.run("root")
    child = process.run("child", after_ms=10, parent=root.parent(0))
    process.run("grandchild", after_ms=20, parent=child.parent(0)).end(1)
    process.run("orphan", after_ms=30, parent=events.Parent(bytes(16), 3)).end(1)
    child.end(1)
    root.end(50)
    process.close()

    assert listed(tmp_path) == [("orphan", "completed", 0), ("root", "completed", 2)]
    assert [one.summary.name for one in Runs(tmp_path).all()] == ["orphan", "grandchild", "child", "root"]


def test_within_a_millisecond_runs_stand_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    """Their ids tell no order there."""
    process = Process(tmp_path)
    process.run("before").end(1)
    numbers = {"first": 30, "second": 10, "third": 40, "fourth": 20}
    for place, (name, number) in enumerate(numbers.items()):
        process.run(name, after_ms=5, after_ns=place * 1_000, number=number).end(1)
    process.run("after", after_ms=6, number=1).end(1)
    process.close()
    order = ["after", "fourth", "third", "second", "first", "before"]

    runs = Runs(tmp_path)
    assert [one.summary.name for one in runs.listed()] == order
    assert [one.summary.name for one in runs.all()] == order
    assert [runs.record(runs.find(f"@last~{back}")).trace.run.name for back in range(6)] == order
    with agentrace.open(tmp_path) as recordings:
        assert [run.name for run in recordings.runs()] == order
        assert [run.name for run in recordings.runs(status="completed")] == order
        assert [row["name"] for row in recordings.runs().to_dicts()] == order
    with opened(Store(tmp_path)) as session:
        found = find(session, Filter(statuses=("completed",)), Order("started", False, 10), roots=False)
    assert [runs.record(one.run_id).trace.run.name for one in found.runs] == order


def test_a_run_that_was_started_within_the_millisecond_is_below_the_one_that_did(tmp_path: Path) -> None:
    process = Process(tmp_path)
    root = process.run("root", number=40)
    child = process.run("child", after_ns=1_000, number=10, parent=root.parent(0))
    process.run("grandchild", after_ns=2_000, number=20, parent=child.parent(0)).end(1)
    child.end(1)
    root.end(1)
    process.close()

    assert listed(tmp_path) == [("root", "completed", 2)]
    assert [type(row) for row in Runs(tmp_path).tree(root.id).rows] == [ProcessRow, ProcessRow]


def test_a_living_run_is_running_and_a_dead_one_interrupted(tmp_path: Path) -> None:
    dead = Process(tmp_path)
    dead.run("dead").step("tool", "lookup", 1)
    dead.die()
    living = Process(tmp_path)
    living.run("living", after_ms=10, number=5).step("tool", "lookup", 1)
    living.run("over", after_ms=20, number=6).end(1)

    assert listed(tmp_path) == [("over", "completed", 0), ("living", "running", 0), ("dead", "interrupted", 0)]
    living.close()


def test_a_summary_adds_up_what_the_run_did(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = travel(process)
    process.close()

    summary = Runs(tmp_path).summary(run.id)

    kinds = {"agent": 1, "model": 2, "retriever": 1, "task": 1, "tool": 4, "validator": 1}
    usage = Usage(input_fresh=2490, cache_read=1024, output_visible=508)
    assert summary.totals == Totals(steps=kinds, failed=2, retries=1, usage=usage)
    assert (summary.name, summary.status, summary.duration_ns, summary.inferred) == (
        "travel",
        "completed",
        3_130_000_000,
        1,
    )


def test_a_failed_run_says_what_ended_it(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.end_badly(10, "shop:OutOfStock", "no kettles\nare left", 1)
    process.close()

    summary = Runs(tmp_path).summary(run.id)

    assert (summary.status, summary.exit_code, summary.error) == ("failed", 1, "OutOfStock: no kettles are left")


def test_what_is_kept_of_a_run_is_what_is_read_from_it(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = travel(process)
    process.close()
    made = Runs(tmp_path).summary(run.id)

    kept = Runs(tmp_path)

    assert (tmp_path / "derived" / run.id.hex()).exists()
    assert kept.summary(run.id) == made
    assert run.id not in kept._records, "the record was opened although a summary was kept"


def test_a_tree_is_drawn_from_what_is_kept(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = travel(process)
    process.close()
    made = Runs(tmp_path).tree(run.id)

    kept = Runs(tmp_path)

    assert (tmp_path / "derived" / f"{run.id.hex()}.meaning").exists()
    assert outline(kept.tree(run.id)) == outline(made)
    assert kept.record(run.id)._facts == {}, "responses were read although what they mean was kept"


def outline(tree: Tree) -> object:
    """What a tree says, without the events that its states hold."""
    rows = [(row.depth, row.model, row.usage, row.finish_reason) for row in tree.rows if isinstance(row, StepRow)]
    calls = [row.call for row in tree.rows if isinstance(row, InferredRow)]
    return rows, calls, tree.totals, tree.replayable, tree.duration_ns


def test_a_summary_of_other_integrations_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    model = run.step("model", "openai.chat.completions", 1, {}, **MODEL)
    run.exchange(model, 2, 3, 200, completion("hello", usage=(7, 3)))
    run.answered(model, 4)
    run.end(5)
    process.close()
    assert Runs(tmp_path).summary(run.id).totals.usage.input_tokens == 7
    file = tmp_path / "derived" / run.id.hex()

    file.write_bytes(file.read_bytes().replace(b"\xa6openai\xa12", b"\xa6openai\xa10").replace(b"\x07", b"\x63"))

    assert Runs(tmp_path).summary(run.id).totals.usage.input_tokens == 7


def test_a_living_run_is_read_anew_each_time(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    before = Runs(tmp_path).summary(run.id).totals.count
    run.step("tool", "lookup", 1)

    assert (before, Runs(tmp_path).summary(run.id).totals.count) == (0, 1)
    process.close()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x92\xa1x\xc0", b"\xdd\xff\xff\xff\xff"])
def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, content: bytes) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.end(1)
    process.close()
    made = Runs(tmp_path).summary(run.id)
    for name in (run.id.hex(), f"{run.id.hex()}.meaning", "heads"):
        (tmp_path / "derived" / name).write_bytes(content)

    assert Runs(tmp_path).summary(run.id) == made
    assert [head.name for head in Runs(tmp_path).heads()] == ["agent"]


def test_the_names_of_many_runs_are_kept_together(tmp_path: Path) -> None:
    process = Process(tmp_path)
    for number in range(40):
        process.run(f"agent-{number}", after_ms=number).end(1)
    process.close()
    names = [head.name for head in Runs(tmp_path).heads()]

    assert (tmp_path / "derived" / "heads").exists()
    assert [head.name for head in Runs(tmp_path).heads()] == names == [f"agent-{n}" for n in range(39, -1, -1)]


def test_a_record_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    process = Process(tmp_path)
    bad = process.run("bad")
    bad.writer.event(msgspec.msgpack.encode([3, 2, 1, 0, "a kind", {"a": "name"}]))
    bad.seq += 1
    bad.end(1)
    process.run("good", after_ms=10).end(1)
    process.close()

    assert [status for _, status, _ in listed(tmp_path)] == ["completed", "unreadable"]


def test_runs_that_name_each_other_as_parents_are_listed(tmp_path: Path) -> None:
    process = Process(tmp_path)
    one: dict[str, Any] = {"parent": events.Parent(b"\xff" * 16, 1)}
    first = process.run("first", **one)
    second = process.run("second", after_ms=5, parent=first.parent(0))
    first.end(1)
    second.end(1)
    process.close()
    runs = Runs(tmp_path)

    assert listed(tmp_path) == [("first", "completed", 1)]
    assert runs.tree(first.id).processes == 1
