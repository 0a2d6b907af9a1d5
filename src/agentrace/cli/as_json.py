"""Runs, steps and totals as the JSON that ``--json`` prints: named as the columns of SQL, ids and times as text,
durations in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from agentrace.cli.notes_view import note_json
from agentrace.cli.units import iso
from agentrace.events import Failure
from agentrace.fold import ExchangeState, StepState
from agentrace.ids import format_run_id
from agentrace.query import (
    InferredRow,
    Note,
    ProcessRow,
    Replayable,
    Row,
    RunRecord,
    StepRow,
    Summary,
    Totals,
    Tree,
    Usage,
    in_one_line,
    input_of,
    json_of,
    output_of,
)

_TOKENS: Final = (
    *("input_tokens", "output_tokens"),
    *("input_fresh", "cache_read", "cache_write", "output_visible", "reasoning"),
)


def summary_json(summary: Summary, processes: int = 0, jobs: int = 0) -> dict[str, Any]:
    """A run in a list."""
    return {
        "run_id": format_run_id(summary.run_id),
        "name": summary.name,
        "status": summary.status,
        "health": list(summary.health),
        "started": iso(summary.started_ts),
        "duration_ns": summary.duration_ns,
        **totals_json(summary.totals),
        "inferred": summary.inferred,
        "processes": processes,
        "jobs": jobs,
        **replayable_json(summary.replayable),
        "parent_run_id": run_id_json(summary.parent),
        "sample_rate": summary.sample_rate,
        "mode": summary.mode,
        "source_run_id": run_id_json(summary.source),
        "verdict": summary.verdict or None,
        "exit_code": summary.exit_code,
        "error": summary.error or None,
    }


def tree_json(tree: Tree, record_of: Callable[[bytes], RunRecord], *, io: bool) -> dict[str, Any]:
    """A run with all that is below it; with ``io`` also what went into each step and came out."""
    run, started = tree.run, tree.run.started
    return {
        "run_id": format_run_id(run.id),
        "name": run.name,
        "status": tree.status,
        "health": list(tree.health),
        "damage": list(tree.damage),
        "started": iso(run.started_ts),
        "duration_ns": run.duration_ns,
        "exit_code": run.exit_code,
        **error_json(run.failure),
        "argv": [] if started is None else started.argv,
        "cwd": "" if started is None else started.cwd,
        "python": "" if started is None else started.python,
        "platform": "" if started is None else started.platform,
        "durability": "" if started is None else started.durability,
        "sample_rate": 1.0 if started is None else started.sample_rate,
        "mode": run.origin.mode,
        "source_run_id": run_id_json(run.origin.source_run_id),
        "verdict": run.replay or None,
        "parent_run_id": run_id_json(run.parent.run_id),
        "parent_step_id": run.parent.step_id or None,
        "git_commit": "" if run.described is None else run.described.git_commit,
        "libraries": {} if run.described is None else run.described.libraries,
        "left_out": {} if run.described is None else run.described.left_out,
        "recorded_by_name": [] if run.described is None else run.described.tools,
        **totals_json(tree.totals),
        "inferred": tree.inferred,
        "processes": tree.processes,
        "jobs": tree.jobs,
        **replayable_json(tree.replayable),
        "notes": notes_json(tree.notes, record_of(run.id)) if tree.notes else [],
        "rows": [row_json(row, record_of, io=io) for row in tree.rows],
    }


def row_json(row: Row, record_of: Callable[[bytes], RunRecord], *, io: bool) -> dict[str, Any]:
    """A row of a tree; ``type`` is ``step``, ``inferred``, ``process`` or ``job``."""
    if isinstance(row, StepRow):
        notes = notes_json(row.notes, record_of(row.run_id)) if row.notes else []
        return {**step_json(row), "notes": notes, **(_io(row.state, record_of(row.run_id)) if io else {})}
    if isinstance(row, ProcessRow):
        return {
            "type": row.kind,
            "run_id": format_run_id(row.run_id),
            "depth": row.depth,
            "name": row.run.name,
            "status": row.status,
            "offset_ns": row.start_ns,
            "duration_ns": row.duration_ns,
            "parent_run_id": run_id_json(row.run.parent.run_id),
            "parent_step_id": row.run.parent.step_id or None,
            "exit_code": row.run.exit_code,
            **error_json(row.run.failure),
            "notes": notes_json(row.notes, record_of(row.run_id)) if row.notes else [],
        }
    return _inferred_json(row)


def _inferred_json(row: InferredRow) -> dict[str, Any]:
    return {
        "type": "inferred",
        "run_id": format_run_id(row.run_id),
        "depth": row.depth,
        "kind": "tool",
        "name": row.call.name,
        "asked_by": row.call.asked_by,
        "call_id": row.call.call_id,
        "input": row.call.arguments,
        "answered": row.call.answered,
        "output": row.call.result,
    }


def step_json(row: StepRow) -> dict[str, Any]:
    """A recorded step, without its values."""
    state = row.state
    sent, ended = state.dispatched, state.ended
    return {
        "type": "step",
        "run_id": format_run_id(row.run_id),
        "step_id": state.id,
        "parent_step_id": sent.parent or None,
        "depth": row.depth,
        "kind": state.kind,
        "name": state.name,
        "operation": sent.operation,
        "integration": sent.integration,
        "path": state.path,
        "call_site": sent.call_site,
        "status": row.status,
        "outcome": None if ended is None else ended.outcome,
        "started": iso(state.started_ts),
        "offset_ns": row.start_ns,
        "duration_ns": state.duration_ns,
        "first_chunk_ns": state.first_chunk_ns or None,
        "chunks": state.chunks,
        "streamed": row.streamed,
        "parallel": row.parallel,
        "retries": row.retries,
        "exchanges": [exchange_json(exchange) for exchange in row.exchanges],
        "model": row.model or None,
        "finish_reason": row.finish_reason or None,
        **usage_json(row.usage),
        **error_json(state.failure),
        "thread": sent.thread,
        "task": sent.task,
        "tick": state.tick,
        "scope_quality": "shared" if sent.shared else "exact",
        "input_fidelity": sent.fidelity,
        "output_fidelity": getattr(ended, "fidelity", None),
    }


def notes_json(notes: Sequence[Note], record: RunRecord) -> list[dict[str, Any]]:
    """What was logged and scored, in order."""
    return [note_json(note, lambda value: json_of(record, value)) for note in notes]


def exchange_json(exchange: ExchangeState) -> dict[str, Any]:
    """A request and how it was answered, without bodies."""
    started, answered, ended = exchange.started, exchange.answered, exchange.ended
    return {
        "number": exchange.number,
        "wire": None if started is None else started.wire,
        "method": None if started is None else started.method,
        "url": None if started is None else started.url,
        "status": None if answered is None else answered.status,
        "answered_ns": None if answered is None else answered.at_ns,
        "outcome": None if ended is None else ended.outcome,
        "ended_ns": None if ended is None else ended.at_ns,
        "bytes": None if ended is None else ended.size,
        **error_json(None if ended is None else ended.failure),
    }


def _io(step: StepState, record: RunRecord) -> dict[str, Any]:
    return {"input": input_of(record, step), "output": output_of(record, step)}


def totals_json(totals: Totals) -> dict[str, Any]:
    """Sums over steps."""
    return {
        "steps": totals.count,
        "steps_by_kind": totals.steps,
        "failed_steps": totals.failed,
        "retries": totals.retries,
        **usage_json(totals.usage),
    }


def usage_json(usage: Usage | None) -> dict[str, int | None]:
    """Tokens in and out, and the disjoint buckets that they are sums of; ``None`` where the record does not tell."""
    return {name: getattr(usage, name, None) for name in _TOKENS}


def replayable_json(verdict: Replayable) -> dict[str, Any]:
    """Whether a run can be replayed, why not, and what a replay will have to say."""
    return {"replayable": verdict.yes, "because": list(verdict.because), "caveats": list(verdict.caveats)}


def error_json(failure: Failure | None) -> dict[str, Any]:
    """An exception in one line, and whole with its causes."""
    if failure is None:
        return {"error": None, "exception": None}
    whole = {
        "type": failure.type,
        "message": failure.message,
        "notes": failure.notes,
        "traceback": failure.traceback,
        "causes": [{"type": cause.type, "message": cause.message} for cause in failure.causes],
    }
    return {"error": in_one_line(failure), "exception": whole}


def run_id_json(run_id: bytes) -> str | None:
    """A run id as text; ``None`` for none."""
    return format_run_id(run_id) if len(run_id) == 16 else None
