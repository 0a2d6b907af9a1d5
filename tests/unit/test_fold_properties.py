"""What holds for the fold of any record: prefixes, holes, and the order of steps that are unrelated."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agentrace import events
from agentrace.events import AnyEvent
from agentrace.fold import Folder, Trace, fold
from tests.unit.recorded_runs import failure

RUN = bytes(range(16))

Life = list[AnyEvent]
"""The events of one step, in order; their seqs are given later."""


@st.composite
def lives(draw: st.DrawFn, step: int, parent: int) -> Life:
    """A step's life, cut off anywhere."""
    kind = draw(st.sampled_from(["model", "tool", "agent", "task"]))
    life: Life = [events.StepDispatched(0, step, step, kind, f"work{step % 3}", parent=parent, ordinal=step)]
    for number in range(1, draw(st.integers(0, 3)) + 1):
        life.append(events.ExchangeStarted(0, step, 0, number, "httpx", "POST", "u"))
        life.append(events.ExchangeAnswered(0, step, 0, number, draw(st.sampled_from([200, 404, 429, 503]))))
        piece = events.Chunk(draw(st.integers(1, 9)), "bytes", events.NO_VALUE)
        life.append(events.StreamChunks(0, step, 0, number, 0, [piece] * draw(st.integers(0, 2))))
        life.append(events.ExchangeEnded(0, step, 0, number, "exhausted"))
    life.append(
        draw(
            st.sampled_from(
                [
                    events.StepCompleted(0, step, 0, duration_ns=step),
                    events.StepFailed(0, step, 0, "error", failure("builtins:ValueError")),
                    events.StepFailed(0, step, 0, "cancelled", failure("asyncio:CancelledError")),
                ]
            )
        )
    )
    return life[: draw(st.integers(1, len(life)))]


@st.composite
def programs(draw: st.DrawFn) -> list[Life]:
    """The lives of up to eight steps, each inside an earlier one or inside none."""
    count = draw(st.integers(1, 8))
    return [draw(lives(step, draw(st.integers(0, step - 1)))) for step in range(1, count + 1)]


def numbered(happened: Sequence[AnyEvent]) -> list[AnyEvent]:
    """The events with the seqs of this order, behind the beginning of their run."""
    begin = events.WorkflowStarted(1, 0, 0, name="program")
    return [begin, *(replace(event, seq=seq) for seq, event in enumerate(happened, 2))]


@st.composite
def interleavings(draw: st.DrawFn, program: list[Life]) -> list[AnyEvent]:
    """One order in which all of it may have happened: each step's events in theirs, parents before children."""
    left = [list(life) for life in program]
    order: list[AnyEvent] = []
    begun: set[int] = {0}
    while any(left):
        able = [life for life in left if life and _may_go_on(life[0], begun)]
        life = draw(st.sampled_from(able))
        begun.add(life[0].step_id)
        order.append(life.pop(0))
    return order


def _may_go_on(event: AnyEvent, begun: set[int]) -> bool:
    return not isinstance(event, events.StepDispatched) or event.parent in begun


def without_order(trace: Trace) -> object:
    """A trace without the seqs, which are what the orders differ in."""
    steps = {
        step.id: (step.path, step.status, step.chunks, step.exchanges, step.first_chunk_ns, step.duration_ns)
        for step in trace.steps.values()
    }
    exchanges = {
        (one.step_id, one.number): (one.failed, one.ended is None)
        for known in trace.exchanges.values()
        for one in known.values()
    }
    run = trace.run
    return steps, exchanges, (run.steps, run.open_steps, run.failed_steps, run.last_seq, run.status)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_order_of_unrelated_steps_does_not_matter(data: st.DataObject) -> None:
    program = data.draw(programs())
    one, other = (numbered(data.draw(interleavings(program))) for _ in range(2))

    assert without_order(fold(RUN, one)) == without_order(fold(RUN, other))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_prefix_folds_and_leads_to_the_whole(data: st.DataObject) -> None:
    happened = numbered(data.draw(interleavings(data.draw(programs()))))
    folder = Folder(RUN)

    for count, event in enumerate(happened, 1):
        folder.add(event)
        assert folder.trace() == fold(RUN, happened[:count])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_record_with_holes_folds_too(data: st.DataObject) -> None:
    happened = numbered(data.draw(interleavings(data.draw(programs()))))
    kept = [event for event in happened if data.draw(st.booleans())]

    trace = fold(RUN, kept)

    assert set(trace.steps) == {event.step_id for event in kept if event.step_id and type(event) in _OF_STEPS}
    assert all(step.path for step in trace.steps.values())


_OF_STEPS = {
    events.StepDispatched,
    events.StepCompleted,
    events.StepFailed,
    events.StreamChunks,
    events.ExchangeStarted,
}
"""Events after which a step is known to have been."""
