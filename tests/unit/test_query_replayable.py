"""Whether a run can be replayed is told with the reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrace import events
from agentrace.query import Replayable, Runs
from agentrace.query.obstacles import REDACTED
from agentrace.redact.spans import mark
from tests.unit.recorded_runs import MODEL, Process, Writing, completion, result


def verdict(root: Path, act: Callable[[Writing], None], **started: Any) -> Replayable:
    """The verdict on a run of which ``act`` is the middle."""
    process = Process(root)
    run = process.run("agent", **started)
    act(run)
    run.end(1000)
    process.close()
    return Runs(root).summary(run.id).replayable


def nothing(_: Writing) -> None:
    """A run without steps."""


def test_a_run_that_lacks_nothing_can_be_replayed(tmp_path: Path) -> None:
    def act(run: Writing) -> None:
        model = run.step("model", "openai.chat.completions", 1, {"model": "m", "messages": []}, **MODEL)
        run.exchange(model, 2, 3, 200, completion("hello"))
        run.answered(model, 4)
        run.done(run.step("tool", "lookup", 5), 6, {"a": 1})

    assert verdict(tmp_path, act) == Replayable([], [])


def test_a_tool_that_was_not_recorded_stands_in_the_way(tmp_path: Path) -> None:
    def act(run: Writing) -> None:
        for turn, told in enumerate(([], [result("c0", "a")], [result("c1", "b")])):
            model = run.step("model", "openai.chat.completions", turn, {"messages": told}, **MODEL)
            calls = [(f"c{turn}", "lookup", {})] if turn < 2 else []
            run.exchange(model, turn, turn + 0.1, 200, completion("", calls))
            run.answered(model, turn + 0.2)

    assert verdict(tmp_path, act).because == [
        "the tool lookup ran twice without being recorded: record with --tools lookup"
    ]


def opaque(run: Writing) -> None:
    tool = run.step("tool", "connect", 1)
    run.event(events.StepCompleted, tool, 2, fidelity="opaque")


def unrecorded_wire(run: Writing) -> None:
    model = run.step("model", "ask", 1)
    run.event(events.StepCompleted, model, 2, fidelity="exchange")


def left_open(run: Writing) -> None:
    run.step("tool", "wait", 1)


def unsupported(run: Writing) -> None:
    run.event(events.WorkflowDescribed, 0, 1, unsupported=["websocket connections are not recorded"])


@pytest.mark.parametrize(
    ("act", "because"),
    [
        (opaque, "the record only describes what step 1 (tool connect) returned"),
        (unrecorded_wire, "what step 1 (model ask) received came over a wire that is not recorded"),
        (left_open, "step 1 (tool wait) had not ended when the run did"),
        (unsupported, "websocket connections are not recorded"),
    ],
)
def test_what_the_record_lacks_stands_in_the_way(tmp_path: Path, act: Callable[[Writing], None], because: str) -> None:
    assert verdict(tmp_path, act).because == [because]


def test_what_happened_inside_of_an_answered_step_does_not(tmp_path: Path) -> None:
    def act(run: Writing) -> None:
        outer = run.step("tool", "outer", 1)
        inner = run.step("tool", "connect", 2, parent=outer)
        run.event(events.StepCompleted, inner, 3, fidelity="opaque")
        run.done(outer, 4, "fine")

    assert verdict(tmp_path, act).yes


def test_lost_events_stand_in_the_way(tmp_path: Path) -> None:
    def act(run: Writing) -> None:
        step = run.step("tool", "lookup", 1)
        run.lose(3)
        run.done(step, 2, "x")

    assert verdict(tmp_path, act).because == ["3 events of it are lost"]


def test_a_process_that_died_stands_in_the_way(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("tool", "lookup", 1)
    process.die()

    summary = Runs(tmp_path).summary(run.id)

    assert summary.status == "interrupted"
    assert summary.replayable.because == ["the process died: a replay follows the program up to there"]


def test_a_run_that_goes_on_is_not_replayable_yet(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("tool", "lookup", 1)

    summary = Runs(tmp_path).summary(run.id)
    process.close()

    assert summary.status == "running"
    assert summary.replayable.because == ["the run is still going on"]


def shared(run: Writing) -> None:
    run.done(run.step("tool", "lookup", 1, shared=True), 2, "x")


def plainer(run: Writing) -> None:
    run.done(run.step("tool", "lookup", 1), 2, fidelity="structural")


def described_argument(run: Writing) -> None:
    run.done(run.step("tool", "lookup", 1, given={"client": object()}), 2, "x")


def secret(run: Writing) -> None:
    run.done(run.step("tool", "lookup", 1), 2, {"token": "SECRET"})


def long_secret(run: Writing) -> None:
    run.done(run.step("tool", "lookup", 1), 2, {"page": ["SECRET " + "word " * 2000]})


def secret_in_a_body(run: Writing) -> None:
    model = run.step("model", "openai.chat.completions", 1, {"messages": []}, **MODEL)
    run.exchange(model, 2, 3, 200, completion("the key is SECRET"))
    run.answered(model, 4)


@pytest.mark.parametrize(
    ("act", "caveat"),
    [
        (shared, "the order of step 1 (tool lookup) was a matter of timing"),
        (plainer, "what step 1 (tool lookup) returned comes back with the same content in a plainer type"),
        (described_argument, "an argument of step 1 (tool lookup) is only described"),
        (secret, "what step 1 (tool lookup) received held a secret"),
        (long_secret, "what step 1 (tool lookup) received held a secret"),
        (secret_in_a_body, "what step 1 (model openai.chat.completions) received held a secret"),
    ],
)
def test_what_a_replay_will_have_to_say_is_a_caveat(
    tmp_path: Path, act: Callable[[Writing], None], caveat: str
) -> None:
    found = verdict(tmp_path, act)

    assert found.yes
    assert [text.startswith(caveat) for text in found.caveats] == [True], found.caveats


def test_a_hash_seed_that_nobody_knows_is_a_caveat(tmp_path: Path) -> None:
    found = verdict(tmp_path, nothing, hash_seed="")

    assert found.yes
    assert found.caveats == ["the hash seed is unknown, so sets may iterate otherwise: record with `agentrace run`"]


def test_the_mark_of_a_secret_is_known_as_redaction_writes_it() -> None:
    for body in (mark("api-key").encode(), mark("api-key").encode("unicode_escape")):
        assert REDACTED.search(b'{"text": "' + body + b'"}')
