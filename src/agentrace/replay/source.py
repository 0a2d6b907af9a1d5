"""A recorded run as a tape: its boundary steps in program order, and what keeps a replay of it from being exact."""

from __future__ import annotations

from collections.abc import Sequence

from agentrace import events
from agentrace.fold import StepState, boundaries
from agentrace.query import RunRecord
from agentrace.replay.tape import TapeStep


def tape_steps(source: RunRecord) -> list[TapeStep]:
    """The steps that a replay answers, in dispatch order. What happened inside of one is not asked for again."""
    steps = source.trace.steps
    return [_tape_step(source, step) for step in boundaries(steps)]


def _tape_step(source: RunRecord, step: StepState) -> TapeStep:
    dispatched, ended = step.dispatched, step.ended
    completed = ended if isinstance(ended, events.StepCompleted) else None
    chunks: Sequence[events.Chunk] = source.elements(step.id)
    return TapeStep(
        id=step.id,
        flow=f"{step.outer_path}|{dispatched.flow}",
        kind=dispatched.kind,
        name=dispatched.name,
        operation=dispatched.operation,
        input=source.values.json(dispatched.input),
        call_site=dispatched.call_site,
        ended="" if ended is None else ended.outcome,
        output=events.NO_VALUE if completed is None else completed.output,
        output_fidelity="" if completed is None else completed.fidelity,
        failure=step.failure,
        chunks=[(chunk.op, chunk.data) for chunk in chunks],
        exchanges=source.exchanges(step.id),
    )
