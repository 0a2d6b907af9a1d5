"""The rows of the index as structs: one for each table of ``schema.sql``, with the columns in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct


class RunRow(Struct):
    """A row of ``run_rows``, without the columns that are sums over its steps."""

    run_key: int
    run_id: str
    name: str | None = None
    status: str = "unreadable"
    health: Sequence[str] | None = None
    started_ts: int | None = None
    duration_ns: int | None = None
    exit_code: int | None = None
    error: str | None = None
    workflow: str | None = None
    agent: str | None = None
    session_id: str | None = None
    tenant: str | None = None
    workspace: str | None = None
    project: str | None = None
    operator: str | None = None
    tags: Sequence[str] | None = None
    mode: str = "live"
    source_run_id: str | None = None
    verdict: str | None = None
    parent_run_id: str | None = None
    parent_step_id: int | None = None
    is_job: bool = False
    sample_rate: float = 1.0
    replayable: bool = False
    because: Sequence[str] | None = None
    caveats: Sequence[str] | None = None
    inferred: int = 0
    argv: Sequence[str] | None = None
    cwd: str | None = None
    pid: int | None = None
    python: str | None = None
    platform: str | None = None
    timezone: str | None = None
    sdk: str | None = None
    format: str | None = None
    redaction: str | None = None
    durability: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    libraries: str | None = None


class StepRow(Struct):
    """A row of ``step_rows``."""

    run_key: int
    step_id: int
    parent: int | None
    kind: str | None
    name: str
    operation: str | None
    path: str
    status: str
    outcome: str | None
    started_ts: int
    duration_ns: int | None
    first_chunk_ns: int | None
    chunks: int | None
    exchanges: int | None
    retries: int | None
    model: str | None
    finish_reason: str | None
    input_fresh: int | None
    cache_read: int | None
    cache_write: int | None
    output_visible: int | None
    reasoning: int | None
    cost_nano_usd: int | None
    error: str | None
    input: str | None
    output: str | None
    integration: str | None
    call_site: str | None
    scope_quality: str
    thread: int | None
    task: int | None
    notes: int | None
    first_seq: int | None
    last_seq: int | None


class EventRow(Struct):
    """A row of ``event_rows``."""

    run_key: int
    seq: int
    step_id: int
    type: str
    ts: int
    body: msgspec.Raw | None


class TextRow(Struct):
    """A row of ``text_rows``."""

    run_key: int
    step_id: int
    part: str
    text: str


class MessageRow(Struct):
    """A row of ``message_rows``."""

    run_key: int
    step_id: int
    position: int
    direction: str
    role: str
    text: str | None
    reasoning: str | None
    refusal: str | None
    name: str | None
    tool_call_id: str | None
    failed: bool
    tool_calls: str | None
    served: str | None
    citations: Sequence[str] | None
    media: str | None


class MarkRow(Struct):
    """A row of ``mark_rows``."""

    run_key: int
    of: str
    mark: bytes


class OpenRow(Struct):
    """A row of ``open_rows``."""

    run_key: int
    seq: int
    step_id: int
    encoded: bytes


class ArchiveRow(Struct):
    """A row of ``archive_rows``."""

    run_id: str
    archive: str


class ProgressRow(Struct):
    """A row of ``progress``."""

    run_key: int
    run_id: str
    state: str
    stamp: str
    last_seq: int
    facts: str


TABLES: Final[dict[type[Struct], str]] = {
    RunRow: "run_rows",
    StepRow: "step_rows",
    EventRow: "event_rows",
    TextRow: "text_rows",
    MessageRow: "message_rows",
    MarkRow: "mark_rows",
    OpenRow: "open_rows",
    ArchiveRow: "archive_rows",
    ProgressRow: "progress",
}
"""The table of each kind of row."""


def or_none(value: Any) -> Any:
    """``value``, or NULL for what says nothing: an empty text or list, a zero."""
    return value or None
