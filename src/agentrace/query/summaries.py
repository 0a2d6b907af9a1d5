"""A run in one line: what it was, how it went, what it adds up to, whether it can be replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from agentrace.errors import CorruptRecord
from agentrace.events import Failure, WorkflowStarted
from agentrace.fold import RunState
from agentrace.query.meanings import Meaning, meaning
from agentrace.query.obstacles import Replayable
from agentrace.query.sums import Totals
from agentrace.store import RunRecord

Status: TypeAlias = Literal["pending", "running", "completed", "failed", "aborted", "interrupted", "unreadable"]


class Summary(Struct, frozen=True):
    """One run in short."""

    run_id: bytes
    name: str = ""
    status: Status = "pending"
    health: Sequence[str] = ()
    started_ts: int = 0
    """Unix nanoseconds, UTC."""
    duration_ns: int = 0
    totals: Totals = Totals()
    inferred: int = 0
    """Tool calls that were read in the messages only."""
    replayable: Replayable = Replayable()
    parent: bytes = b""
    """The run that started this one's process, 16 bytes; empty for none."""
    sample_rate: float = 1.0
    """The share of root runs like it that were written, 0 to 1."""
    mode: str = "live"
    """``live``, ``replay``, ``fork`` or ``import``."""
    source: bytes = b""
    """Of a replay or fork: the run whose record was used."""
    verdict: str = ""
    """Of a replay: ``exact``, ``exact_with_caveats`` or ``diverged``."""
    exit_code: int | None = None
    error: str = ""
    """The exception that ended it, or why it cannot be read, in one line."""
    facts: dict[str, str] = {}
    """Integrations that told what its model calls meant, and the version of each."""


class Head(Struct, frozen=True):
    """What is known of a run from its first event."""

    run_id: bytes
    name: str = ""
    started_ts: int = 0
    parent: bytes = b""
    is_job: bool = False
    """Whether the parent sent it as a job, rather than started its process."""


def summary(record: RunRecord, meaning_of: Callable[[RunRecord], Meaning] = meaning) -> Summary:
    """One run in short, also if its record cannot be read."""
    try:
        return _summary(record, meaning_of(record))
    except CorruptRecord as error:
        return Summary(record.run_id, status="unreadable", health=health_of_unreadable(error), error=error.what)


def _summary(record: RunRecord, meant: Meaning) -> Summary:
    run = record.trace.run
    return Summary(
        run_id=record.run_id,
        name=run.name,
        status=status_of(run, record.interrupted),
        health=health_of(run, record),
        started_ts=run.started_ts,
        duration_ns=run.duration_ns,
        totals=meant.totals,
        inferred=len(meant.calls),
        replayable=meant.replayable,
        parent=run.parent.run_id,
        sample_rate=1.0 if run.started is None else run.started.sample_rate,
        mode=run.origin.mode,
        source=run.origin.source_run_id,
        verdict=run.replay,
        exit_code=run.exit_code,
        error="" if run.failure is None else in_one_line(run.failure),
        facts=meant.facts,
    )


def head(record: RunRecord) -> Head:
    """What the first event of a run tells, also if it cannot be read."""
    try:
        first = record.head
    except CorruptRecord:
        first = None
    if not isinstance(first, WorkflowStarted):
        return Head(record.run_id)
    return Head(record.run_id, first.name, first.ts, first.parent.run_id, first.parent.is_of_a_job)


def status_of(run: RunState, interrupted: bool) -> Status:
    """How a run is, where it is known whether anybody still writes it."""
    return "interrupted" if interrupted else run.status


def health_of(run: RunState, record: RunRecord) -> Sequence[str]:
    """What is the matter with a record, as far as reading it has met it: ``damaged`` is what only bytes can tell."""
    return sorted(run.health | {"damaged"} if is_damaged(record) else run.health)


def health_of_unreadable(error: CorruptRecord) -> Sequence[str]:
    """The same of a record of which nothing can be made; one that is only newer is not damaged."""
    return () if error.slug == "trace-version" else ("damaged",)


def is_damaged(record: RunRecord) -> bool:
    """Whether anything of a record was met that is not as it was written, or not there."""
    return bool(record.damage or (record.sealed and record.holes))


def in_one_line(failure: Failure) -> str:
    """``ValueError: what it says``, the class without its module."""
    name = failure.type.rpartition(":")[2]
    message = " ".join(failure.message.split())
    return f"{name}: {message}" if message else name
