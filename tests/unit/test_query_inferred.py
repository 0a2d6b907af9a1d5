"""Tool calls that nothing intercepted are read in the messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentrace.query import Inferred, Runs, inferred
from tests.unit.recorded_runs import MODEL, Process, Writing, completion, result

Call = tuple[str, str, dict[str, Any]]


def asked(run: Writing, at: float, calls: Sequence[Call] = (), told: Sequence[dict[str, Any]] = ()) -> int:
    """A model call that is told results and asks for tools."""
    step = run.step("model", "openai.chat.completions", at, {"model": "m", "messages": list(told)}, **MODEL)
    run.exchange(step, at, at + 1, 200, completion("", calls))
    run.answered(step, at + 2)
    return step


def found(root: Path, process: Process, run: Writing) -> list[Inferred]:
    """What is inferred when the run is over."""
    run.end(1000)
    process.close()
    return inferred(Runs(root).record(run.id))


def test_a_call_that_no_step_matches_is_told_with_its_arguments_and_result(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    asked(run, 1, [("c1", "lookup", {"order": 7})])
    asked(run, 10, told=[result("c1", "delivered")])

    assert found(tmp_path, process, run) == [Inferred(1, "c1", "lookup", {"order": 7}, True, "delivered")]


def test_calls_that_were_recorded_are_not_told_twice(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    asked(run, 1, [("c1", "lookup", {"order": 7}), ("c2", "search", {"text": "kettle"})])
    for kind, name in (("tool", "Shop.lookup"), ("retriever", "search")):
        run.done(run.step(kind, name, 5), 6, "x")
    asked(run, 10, told=[result("c1", "x"), result("c2", "y")])

    assert found(tmp_path, process, run) == []


def test_a_recorded_step_answers_for_one_call_only(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    asked(run, 1, [("c1", "lookup", {"n": 1}), ("c2", "lookup", {"n": 2})])
    run.done(run.step("tool", "lookup", 5), 6, "x")
    asked(run, 10, told=[result("c1", "one"), result("c2", "two")])

    assert [(call.call_id, call.result) for call in found(tmp_path, process, run)] == [("c2", "two")]


def test_a_step_from_before_the_model_asked_answers_for_nothing(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.done(run.step("tool", "lookup", 0), 1, "x")
    asked(run, 2, [("c1", "lookup", {})])
    asked(run, 10, told=[result("c1", "one")])

    assert [call.call_id for call in found(tmp_path, process, run)] == ["c1"]


def test_a_call_whose_result_no_request_tells_may_not_have_run(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    asked(run, 1, [("c1", "submit_answer", {"answer": 42})])

    assert [(call.name, call.answered) for call in found(tmp_path, process, run)] == [("submit_answer", False)]


def test_results_are_found_in_a_history_that_is_sent_again_and_again(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    history: list[dict[str, Any]] = [{"role": "user", "content": "hello " * 300}]
    for turn in range(6):
        asked(run, 10 * turn, [(f"c{turn}", "lookup", {"n": turn})], history)
        history = [*history, {"role": "assistant", "content": None}, result(f"c{turn}", f"result {turn}")]
    asked(run, 90, told=history)

    told = found(tmp_path, process, run)

    assert [(call.asked_by, call.result) for call in told] == [(n + 1, f"result {n}") for n in range(6)]
