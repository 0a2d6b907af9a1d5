"""What a run adds up to: steps by kind, tokens, retries."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from agentrace.fold import StepState, retries
from agentrace.store import MEANT, RunRecord, Usage


class Totals(Struct, frozen=True):
    """Sums over the steps of one run, or of several."""

    steps: dict[str, int] = {}
    """Dispatched steps by kind."""
    failed: int = 0
    """Steps that ended with an exception, not counting cancelled ones."""
    retries: int = 0
    """Requests that were sent again because the one before had failed."""
    usage: Usage = Usage()
    unknown_usage: int = 0
    """Model steps that ended well and do not say what they used."""

    @property
    def count(self) -> int:
        """Dispatched steps of all kinds."""
        return sum(self.steps.values())

    def __add__(self, other: Totals) -> Totals:
        kinds = Counter(self.steps)
        kinds.update(other.steps)
        return Totals(
            dict(kinds),
            self.failed + other.failed,
            self.retries + other.retries,
            added(self.usage, other.usage),
            self.unknown_usage + other.unknown_usage,
        )


def added(one: Usage, other: Usage) -> Usage:
    """The tokens of both."""
    return Usage(
        one.input_fresh + other.input_fresh,
        one.cache_read + other.cache_read,
        one.cache_write + other.cache_write,
        one.output_visible + other.output_visible,
        one.reasoning + other.reasoning,
    )


def usage_of(record: RunRecord, step: StepState) -> Usage | None:
    """The tokens of one step: as noted in the record, else as its response tells; ``None`` if neither does."""
    noted = step.usage
    if noted is not None:
        return Usage(noted.input_fresh, noted.cache_read, noted.cache_write, noted.output_visible, noted.reasoning)
    facts = record.facts(step.id, request=False) if step.kind in MEANT else None
    return None if facts is None else facts.usage


def totals(record: RunRecord) -> Totals:
    """The sums over a run's steps."""
    trace = record.trace
    usage, unknown = [0, 0, 0, 0, 0], 0
    for step in trace.steps.values():
        if step.usage is None and step.dispatched.kind not in MEANT:
            continue
        used = usage_of(record, step)
        if used is None:
            unknown += step.status == "ok"
            continue
        for index, count in enumerate(
            (used.input_fresh, used.cache_read, used.cache_write, used.output_visible, used.reasoning)
        ):
            usage[index] += count
    return Totals(
        steps=dict(sorted(Counter([step.dispatched.kind or "unknown" for step in trace.steps.values()]).items())),
        failed=trace.run.failed_steps,
        retries=sum(retries(known.values()) for known in trace.exchanges.values() if len(known) > 1),
        usage=Usage(*usage),
        unknown_usage=unknown,
    )
