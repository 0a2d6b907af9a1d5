"""What the values of a run mean: what its model calls used and asked for, what they add up to, whether it replays.

This is the part of reading a run that looks into its values, and so the slow one; of a run that is over it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from agentrace.fold import StepState
from agentrace.query.inferring import Inferred, inferred
from agentrace.query.obstacles import Replayable, replayable
from agentrace.query.sums import Totals, totals, usage_of
from agentrace.query.values import input_of
from agentrace.store import RunRecord, Usage


class StepMeaning(Struct, frozen=True, array_like=True):
    """One model step."""

    model: str = ""
    """The model that served the call; if none did, the one that was asked for."""
    finish_reason: str = ""
    usage: Usage | None = None


class Meaning(Struct, frozen=True):
    """One run."""

    run_id: bytes
    steps: Mapping[int, StepMeaning]
    """Those of its steps that have a meaning, by id."""
    calls: Sequence[Inferred]
    """Tool calls that were read in the messages only."""
    totals: Totals
    replayable: Replayable
    facts: dict[str, str]
    """Integrations that told what its model calls meant, and the version of each."""


def meaning(record: RunRecord) -> Meaning:
    """What the values of a run mean. Raises ``CorruptRecord``."""
    calls = inferred(record)
    meant = {step.id: step for step in record.meant}
    noted = {step.id: step for step in record.trace.steps.values() if step.usage is not None}
    return Meaning(
        record.run_id,
        {step_id: step_meaning(record, step) for step_id, step in sorted((meant | noted).items())},
        calls,
        totals(record),
        replayable(record, calls),
        record.facts_versions(),
    )


def step_meaning(record: RunRecord, step: StepState) -> StepMeaning:
    """What one model step of a run means."""
    facts = record.facts(step.id, request=False)
    usage = usage_of(record, step)
    if facts is None:
        return StepMeaning("" if step.usage is None else step.usage.model, "", usage)
    return StepMeaning(facts.model or _asked_for(record, step), facts.finish_reason, usage)


def _asked_for(record: RunRecord, step: StepState) -> str:
    """The model that a request names, for a call that none answered."""
    asked = input_of(record, step)
    model = asked.get("model") if isinstance(asked, dict) else None
    return model if isinstance(model, str) else ""
