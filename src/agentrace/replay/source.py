"""A recorded run as a tape: its boundary steps in program order, and what keeps a replay of it from being exact."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice

from agentrace import events
from agentrace.fold import StepState, boundaries
from agentrace.query import RunRecord
from agentrace.replay.tape import TapeStep


def tape_steps(source: RunRecord) -> list[TapeStep]:
    """The steps that a replay answers, in dispatch order. What happened inside of one is not asked for again.

    Behind the first event that is missing nobody can say whether a call is the next one, so nothing is answered there.
    """
    until = _known_until(source)
    return [_tape_step(source, step, until) for step in boundaries(source.trace.steps) if step.dispatched.seq < until]


def is_whole(source: RunRecord) -> bool:
    """Whether the record goes on to the end of its run, without a gap."""
    return source.trace.run.ended is not None and _known_until(source) == sys.maxsize


def _known_until(source: RunRecord) -> int:
    """Position of the first event that is missing."""
    lost = (event.seq for event in source.events if isinstance(event, events.EventsLost))
    return min((*(first for first, _ in source.holes), *islice(lost, 1)), default=sys.maxsize)


def _tape_step(source: RunRecord, step: StepState, until: int) -> TapeStep:
    dispatched = step.dispatched
    ended = None if step.ended is None or step.ended.seq > until else step.ended
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
