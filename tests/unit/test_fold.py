"""Events fold into the states of runs, steps and exchanges."""

from __future__ import annotations

import pytest

from agentrace import events
from agentrace.fold import Trace, boundaries, fold, retries
from tests.unit.recorded_runs import failure

RUN = bytes(range(16))


def folded(*happened: events.AnyEvent | events.UnknownEvent) -> Trace:
    """What is so after these events."""
    return fold(RUN, happened)


def started(seq: int = 1, **fields: object) -> events.WorkflowStarted:
    return events.WorkflowStarted(seq, 0, 1_000, **fields)  # type: ignore[arg-type]


def dispatched(seq: int, step: int, name: str = "work", kind: str = "task", **fields: object) -> events.StepDispatched:
    return events.StepDispatched(seq, step, 1_000 * seq, kind, name, **fields)  # type: ignore[arg-type]


# --- runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "status", "exit_code"),
    [
        ((), "running", None),
        ((events.WorkflowCompleted(2, 0, 9_000, duration_ns=7_000),), "completed", 0),
        ((events.WorkflowFailed(2, 0, 9_000, exit_code=3),), "failed", 3),
        (
            (
                events.ExecutionAborted(2, 0, 8_000, "signal", "SIGTERM"),
                events.WorkflowFailed(3, 0, 9_000, exit_code=143),
            ),
            "aborted",
            143,
        ),
    ],
)
def test_a_run_is_what_its_last_event_says(
    last: tuple[events.AnyEvent, ...], status: str, exit_code: int | None
) -> None:
    run = folded(started(name="checkout"), *last).run

    assert (run.name, run.status, run.exit_code) == ("checkout", status, exit_code)


def test_a_run_without_events_is_pending() -> None:
    run = folded().run

    assert (run.status, run.name, run.duration_ns, run.exit_code) == ("pending", "", 0, None)


def test_a_run_without_an_end_lasts_until_its_last_event() -> None:
    run = folded(started(), dispatched(2, 1), events.Logged(3, 1, 61_000, "still here")).run

    assert (run.duration_ns, run.last_seq, run.last_ts) == (60_000, 3, 61_000)


def test_lost_events_make_a_run_incomplete() -> None:
    told = folded(started(), events.EventsLost(2, 0, 0, 4, "crash"), events.WorkflowCompleted(5, 0, 0)).run
    counted = folded(started(), events.WorkflowCompleted(2, 0, 0, lost=7, health=["privacy_risk"])).run

    assert (told.lost, told.health) == (3, {"incomplete"})
    assert (counted.lost, counted.health) == (7, {"incomplete", "privacy_risk"})


def test_steps_are_counted_as_they_come_and_go() -> None:
    run = folded(
        started(),
        dispatched(2, 1),
        dispatched(3, 2),
        dispatched(4, 3),
        events.StepFailed(5, 1, 0, "error", failure("builtins:ValueError")),
        events.StepFailed(6, 2, 0, "cancelled", failure("asyncio.exceptions:CancelledError")),
    ).run

    assert (run.steps, run.open_steps, run.failed_steps) == (3, 1, 1)


def test_the_first_divergence_is_the_one_that_counts() -> None:
    origin = events.Origin("replay", RUN)
    run = folded(
        started(origin=origin),
        events.ReplayDiverged(2, 1, 0, "CALL_CHANGED"),
        events.ReplayDiverged(3, 1, 0, "CALL_EXTRA"),
    ).run

    assert run.diverged is not None
    assert (run.origin.mode, run.diverged.code, run.replay) == ("replay", "CALL_CHANGED", "diverged")


def test_what_a_newer_version_wrote_is_counted() -> None:
    run = folded(started(), events.UnknownEvent(99, 2, 0, 0, b"")).run

    assert run.unknown == 1


# --- steps --------------------------------------------------------------------------------------------------


def test_a_path_is_made_of_the_steps_and_flows_that_lead_there() -> None:
    steps = folded(
        started(),
        dispatched(2, 1, "plan"),
        dispatched(3, 2, "search", parent=1, flow="task:1/thread:0", ordinal=2),
        dispatched(4, 3, "fetch", parent=2),
    ).steps

    assert steps[3].path == "/plan#0/task:1/thread:0/search#2/fetch#0"
    assert steps[3].outer_path == "/plan#0/task:1/thread:0/search#2"
    assert steps[1].outer_path == ""


def test_a_step_that_ended_says_how() -> None:
    ended = events.StepCompleted(3, 1, 9_000, chunks=2, duration_ns=40, first_chunk_ns=10, tick=5, exchanges=1)
    step = folded(started(), dispatched(2, 1, "ask", "model"), ended).steps[1]

    assert (step.status, step.duration_ns, step.chunks, step.first_chunk_ns) == ("ok", 40, 2, 10)
    assert (step.tick, step.exchanges, step.failure, step.name, step.kind) == (5, 1, None, "ask", "model")


def test_a_step_that_runs_is_known_by_what_came_so_far() -> None:
    piece = events.Chunk(25, "bytes", events.Raw(b"\xc4\x01a"))
    step = folded(
        started(),
        dispatched(2, 1),
        events.ExchangeStarted(3, 1, 0, 1, "httpx", "GET", "u"),
        events.StreamChunks(4, 1, 0, 1, 0, [piece, piece]),
    ).steps[1]

    assert (step.status, step.duration_ns, step.chunks, step.first_chunk_ns, step.exchanges) == (
        "running",
        None,
        2,
        25,
        1,
    )


def test_a_step_whose_beginning_is_lost_is_known_by_its_end() -> None:
    steps = folded(
        started(), events.StepCompleted(7, 3, 9_000, duration_ns=5), dispatched(8, 4, "inner", parent=2)
    ).steps

    assert (steps[3].status, steps[3].name, steps[3].path) == ("ok", "?", "/?#3")
    assert steps[4].path == "/?#2/inner#0"


def test_a_cost_that_is_taken_back_does_not_count() -> None:
    step = folded(
        started(),
        dispatched(2, 1),
        events.CostRecalculated(3, 1, 0, 500),
        events.CostRecalculated(4, 1, 0, -500, reverses=3),
        events.CostRecalculated(5, 1, 0, 120),
    ).steps[1]

    assert step.cost_nano_usd == 120


def test_what_happens_inside_of_an_answered_step_is_no_boundary() -> None:
    steps = folded(
        started(),
        dispatched(2, 1, "plan", "agent"),
        dispatched(3, 2, "search", "tool", parent=1),
        dispatched(4, 3, "ask", "model", parent=2),
        dispatched(5, 4, "note", "task", parent=3),
        dispatched(6, 5, "deep", "tool", parent=4),
        dispatched(7, 6, "ask", "model", parent=1),
        dispatched(8, 7, "again", "tool", parent=1, replay="reexecute"),
        dispatched(9, 8, "ask", "model", parent=7),
    ).steps

    assert [step.id for step in boundaries(steps)] == [2, 6, 8]


# --- exchanges ----------------------------------------------------------------------------------------------


def exchange(seq: int, number: int, status: int = 0, url: str = "u") -> list[events.AnyEvent]:
    """A request of step 1; without a status it fails on the wire."""
    sent = events.ExchangeStarted(seq, 1, 0, number, "httpx", "POST", url)
    if not status:
        return [sent, events.ExchangeEnded(seq + 1, 1, 0, number, "error", failure("httpx:ConnectError"))]
    answered = events.ExchangeAnswered(seq + 1, 1, 0, number, status)
    return [sent, answered, events.ExchangeEnded(seq + 2, 1, 0, number, "exhausted")]


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        ([(200, "u")], 0),
        ([(429, "u"), (200, "u")], 1),
        ([(0, "u"), (503, "u"), (200, "u")], 2),
        ([(200, "u"), (200, "u")], 0),
        ([(404, "u"), (200, "u")], 0),
        ([(429, "u"), (200, "v"), (200, "u")], 1),
    ],
)
def test_a_retry_is_a_request_that_had_failed_before(sent: list[tuple[int, str]], count: int) -> None:
    happened = [e for n, (status, url) in enumerate(sent, 1) for e in exchange(10 * n, n, status, url)]
    trace = folded(started(), dispatched(2, 1), *happened)

    assert retries(trace.exchanges[1].values()) == count
