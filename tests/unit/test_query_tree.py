"""The tree of a run: what stands below what, in which order, and what is known of each row."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace import events
from agentrace.events import Parent
from agentrace.ids import uuid7
from agentrace.query import InferredRow, ProcessRow, Row, Runs, StepRow, Tree
from tests.unit.recorded_runs import MODEL, MS, START_MS, Process
from tests.unit.travel_run import travel


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    run = travel(process)
    process.close()
    return Runs(root).tree(run.id)


def outline(tree: Tree) -> list[str]:
    """The names of the rows, indented as deep as they stand."""
    return [f"{'  ' * row.depth}{_name(row)}" for row in tree.rows]


def _name(row: Row) -> str:
    if isinstance(row, StepRow):
        return row.state.name
    return f"({row.call.name})" if isinstance(row, InferredRow) else f"[{row.run.name}]"


def test_steps_processes_and_inferred_calls_stand_where_they_belong(trip: Tree) -> None:
    assert outline(trip) == [
        "plan_trip",
        "  openai.chat.completions",
        "  (luggage_policy)",
        "  get_weather",
        "  search_hotels",
        "  find_notes",
        "  check_visa",
        "    visa_office",
        "  train_times",
        "  render_map",
        "    [render]",
        "      draw",
        "  openai.chat.completions",
    ]


def step(tree: Tree, number: int) -> StepRow:
    """A step of the tree's own run."""
    own = [row for row in tree.rows if isinstance(row, StepRow) and row.run_id == tree.run.id]
    return next(row for row in own if row.state.id == number)


def test_a_row_says_when_it_ran_and_what_it_took(trip: Tree) -> None:
    first, hotels, last = step(trip, 2), step(trip, 4), step(trip, 10)

    assert (first.start_ns, first.duration_ns, first.model, first.retries) == (5 * MS, 807 * MS, "gpt-5-mini", 1)
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens, first.streamed) == (1204, 96, False)
    assert (hotels.start_ns, hotels.duration_ns, hotels.usage, hotels.model) == (816 * MS, 633 * MS, None, "")
    assert (last.streamed, last.state.chunks, last.state.first_chunk_ns) == (True, 10, 573 * MS)


def test_steps_that_were_open_at_the_same_time_are_parallel(trip: Tree) -> None:
    rows = [row for row in trip.rows if isinstance(row, StepRow)]

    assert [row.state.name for row in rows if row.parallel] == ["get_weather", "search_hotels", "find_notes"]


def test_a_tree_adds_up_all_of_its_processes(trip: Tree) -> None:
    assert (trip.processes, trip.inferred, trip.totals.count, trip.totals.failed) == (1, 1, 11, 2)
    assert (trip.duration_ns, trip.status) == (3130 * MS, "completed")


def test_a_process_stands_below_the_step_that_started_it_with_its_own_times(trip: Tree) -> None:
    process = next(row for row in trip.rows if isinstance(row, ProcessRow))

    assert (process.start_ns, process.duration_ns, process.status) == (1500 * MS, 430 * MS, "completed")
    assert (process.run.parent.run_id, process.run.parent.step_id) == (trip.run.id, 9)


def test_what_a_process_lacks_is_told_of_the_whole(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("root")
    child = process.run("child", after_ms=5, parent=run.parent(0))
    child.lose(2)
    child.end(1)
    run.end(10)
    process.close()

    because = Runs(tmp_path).tree(run.id).replayable.because

    assert because == [f"process {child.id.hex()[:12]}: 2 events of it are lost"]


def test_a_step_that_never_ended_lasts_as_long_as_the_record(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("agent", "plan", 10)
    run.step("tool", "hang", 20, parent=1)
    run.event(events.Logged, 2, 95, "still waiting")
    process.die()

    rows = Runs(tmp_path).tree(run.id).rows

    assert [(row.status, row.duration_ns) for row in rows if isinstance(row, StepRow)] == [
        ("interrupted", 85 * MS),
        ("interrupted", 75 * MS),
    ]


def test_a_call_that_none_answered_tells_the_model_that_was_asked_for(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    model = run.step("model", "openai.chat.completions", 1, {"model": "gpt-9", "messages": []}, **MODEL)
    run.unanswered(model, 2, 3, "httpx2:ConnectError")
    run.failed(model, 4, "openai:APIConnectionError", "Connection error.")
    run.end(5)
    process.close()

    row = Runs(tmp_path).tree(run.id).rows[0]

    assert isinstance(row, StepRow)
    assert (row.model, row.status, row.usage, row.retries) == ("gpt-9", "failed", None, 0)


def test_a_false_record_makes_no_circle(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("task", "first", 1, parent=2)
    run.step("task", "second", 2, parent=1)
    run.step("task", "third", 3, parent=3)
    run.step("task", "fourth", 4, parent=99)
    run.end(5)
    process.close()

    assert outline(Runs(tmp_path).tree(run.id)) == ["first", "  second", "third", "fourth"]


def test_runs_that_say_they_started_each_other_make_no_circle(tmp_path: Path) -> None:
    first, second = (uuid7(START_MS + at, at.to_bytes(10, "big")) for at in (1, 2))
    process = Process(tmp_path)
    for at, above in ((1, second), (2, first)):
        run = process.run(f"agent-{at}", after_ms=at, number=at, parent=Parent(above, 0, "process:0"))
        run.step("task", "work", 1)
        run.end(2)
    process.close()

    tree = Runs(tmp_path).tree(first)

    assert (len(tree.rows), tree.processes) == (3, 1)


def test_a_step_inside_of_one_that_is_lost_is_shown_all_the_same(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("task", "outer", 1)
    run.lose(1)
    run.steps += 1
    run.step("task", "inner", 2, parent=2)
    run.end(5)
    process.close()

    assert outline(Runs(tmp_path).tree(run.id)) == ["outer", "inner"]


def test_a_run_may_be_nested_as_deep_as_it_likes(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    for depth in range(5000):
        run.step("task", "inner", depth, parent=depth)
    run.end(5000)
    process.close()

    tree = Runs(tmp_path).tree(run.id)

    assert [row.depth for row in tree.rows] == list(range(5000))
