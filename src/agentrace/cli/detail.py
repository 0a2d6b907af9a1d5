"""One step in full: how it was called, what went in, what came out, and what went over its wires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentrace.cli.drawing import outcome_of
from agentrace.cli.escaping import plain, plain_lines
from agentrace.cli.notes_view import note_lines
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import counted, date, duration
from agentrace.cli.values import value_lines
from agentrace.events import Failure
from agentrace.fold import ExchangeState, StepState
from agentrace.query import RunRecord, StepRow, Usage, input_of, json_of, output_of


def step_lines(row: StepRow, record: RunRecord, terminal: Terminal) -> Iterator[str]:
    """Everything about a step but what is below it."""
    state, run = row.state, record.trace.run
    title = terminal.paint(plain(f"{state.kind} {state.name}".strip()), "bold")
    yield f"{title}  {row.status}" + (f" in {duration(row.duration_ns)}" if state.ended is not None else "")
    yield terminal.paint(f"step {state.id} of {plain(run.name)} ({run.id.hex()[:12]})", "dim")
    facts = [(name, text) for name, text in _facts(row) if text]
    widest = max(len(name) for name, _ in facts)
    for name, text in facts:
        yield f"  {terminal.paint(f'{name:{widest}}', 'dim')}  {text}"
    for exchange in row.exchanges:
        yield from _exchange_lines(exchange, terminal)
    yield from section("input", input_of(record, state), terminal)
    output = output_of(record, state)
    if output is not None or state.status == "ok":
        yield from section("output", output, terminal)
    if row.notes:
        yield ""
        yield terminal.paint("notes", "bold")
        yield from note_lines(row.notes, state.started_ts, lambda value: json_of(record, value), terminal)
    if state.failure is not None:
        yield ""
        yield terminal.paint("error", "bold")
        yield from failure_lines(state.failure)


def section(title: str, value: object, terminal: Terminal) -> Iterator[str]:
    """A value below its title."""
    yield ""
    yield terminal.paint(title, "bold")
    yield from (f"  {line}" for line in value_lines(value))


def failure_lines(failure: Failure) -> Iterator[str]:
    """The traceback if there is one, and the causes."""
    text = failure.traceback.rstrip() or f"{failure.type.replace(':', '.')}: {failure.message}"
    yield from (f"  {line}" for line in plain_lines(text))
    for note in failure.notes:
        yield from (f"  {line}" for line in plain_lines(note))
    for cause in failure.causes:
        yield f"  caused by {plain(cause.type.replace(':', '.'))}: {plain(cause.message)}"


def _facts(row: StepRow) -> Iterator[tuple[str, str]]:
    state = row.state
    sent = state.dispatched
    yield "started", date(state.started_ts) if sent.seq else "unknown: its beginning is lost"
    yield "path", plain(state.path)
    yield "operation", plain(sent.operation)
    yield "called at", plain(sent.call_site)
    yield "recorded by", plain(sent.integration)
    yield "model", plain(row.model)
    yield "tokens", "" if row.usage is None else usage_text(row.usage)
    yield "finished by", plain(row.finish_reason)
    yield "stream", _stream(state) if row.streamed else ""
    yield "runs in", _runs_in(state)
    yield "values", ", ".join(_fidelities(state))


def _stream(state: StepState) -> str:
    first = f", the first after {duration(state.first_chunk_ns)}" if state.first_chunk_ns else ""
    end = "" if state.ended is None else state.ended.outcome.replace("_", " ")
    return f"{counted(state.chunks, 'chunk')}{first}" + (f", {end}" if end else "")


def _runs_in(state: StepState) -> str:
    sent = state.dispatched
    parts = [f"task {sent.task}" if sent.task else "", f"thread {sent.thread}" if sent.thread else ""]
    shared = "in an order that was a matter of timing" if sent.shared else ""
    return ", ".join(part for part in (*parts, shared) if part)


def _fidelities(state: StepState) -> Iterator[str]:
    if state.dispatched.fidelity != "exact":
        yield f"input {state.dispatched.fidelity}"
    output = getattr(state.ended, "fidelity", "exact")
    if output not in ("exact", "exchange"):
        yield f"output {output}"


def usage_text(usage: Usage) -> str:
    """``4,812 in (3,000 cached), 391 out (120 reasoning)``."""
    details: Sequence[tuple[int, str]] = ((usage.cache_read, "cached"), (usage.cache_write, "written to the cache"))
    inside = ", ".join(f"{count:,} {what}" for count, what in details if count)
    reasoning = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    tokens_in = f"{usage.input_tokens:,} in" + (f" ({inside})" if inside else "")
    return f"{tokens_in}, {usage.output_tokens:,} out{reasoning}"


def _exchange_lines(exchange: ExchangeState, terminal: Terminal) -> Iterator[str]:
    started, answered, ended = exchange.started, exchange.answered, exchange.ended
    request = "its beginning is lost" if started is None else f"{started.method} {started.url}"
    reason = f" {answered.reason}" if answered is not None and answered.reason else ""
    at = [
        f"answered at {duration(answered.at_ns)}" if answered is not None else "",
        f"over at {duration(ended.at_ns)}" if ended is not None else "",
        f"{ended.size:,} bytes" if ended is not None and ended.size else "",
    ]
    outcome = terminal.paint(plain(outcome_of(exchange) + reason), "yellow" if exchange.failed else "green")
    yield f"  {terminal.paint(f'request {exchange.number}', 'dim')}  {plain(request)}"
    yield f"             {outcome}  {', '.join(part for part in at if part)}"
