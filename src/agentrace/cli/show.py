"""``agentrace show``: a run as a tree, one of its steps in full, or its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

import click
from msgspec.structs import replace

from agentrace.cli.as_json import row_json, tree_json
from agentrace.cli.detail import failure_lines, step_lines, usage_text
from agentrace.cli.drawing import room_below, tree_lines
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.events_view import event_json_lines, event_lines
from agentrace.cli.notes_view import counts, folded
from agentrace.cli.opening import home_option, named
from agentrace.cli.page_options import asked_page, page_options
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, date, duration
from agentrace.cli.values import value_lines
from agentrace.errors import RunNotFound
from agentrace.ids import format_run_id
from agentrace.query import InferredRow, ProcessRow, Row, RunRecord, StepRow, Tree, input_of, output_of


@click.command()
@click.argument("run", metavar="RUN[:STEP]", default="@last")
@click.option("--io", is_flag=True, help="Also show what went into each step and what came out.")
@click.option("--events", is_flag=True, help="Show the events of the record instead.")
@page_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --events one object on each line.")
def command(run: str, io: bool, events: bool, home: Path | None, as_json: bool, **page: Any) -> None:
    """Show a run as a tree, or one of its steps in full.

    RUN is @last (the default), @last~2, the beginning of an id, or a name: the newest run of that name; or a trace
    file, of which FILE@RUN names one run of several.
    Steps that ran at the same time have bars above one another; the thin part of a bar is the time before the
    first piece of a streamed answer.

    --html writes all of it, the payloads too, as one page that opens in any browser and asks for nothing else; with a
    step, the page opens there.

    \b
    Example:
      agentrace show
      agentrace show @last:7
      agentrace show checkout --io
      agentrace show shop.agentrace:7
      agentrace show @last --html trip.html
      agentrace show 01a1f910 --json | jq '.rows[] | select(.kind == "model") | .tokens'
    """
    asked = asked_page(page, refused={"--io": io, "--events": events, "--json": as_json})
    runs, run_id, step_id = named(run, home)
    if asked is not None:
        # What makes pages is loaded for them only: a run is shown in the terminal far more often.
        import_module("agentrace.cli.html").write_page(runs.tree(run_id), runs.record, asked, chosen=step_id)
        return
    if events:
        record = runs.record(run_id)
        write(event_json_lines(record, step_id) if as_json else event_lines(record, step_id, terminal()))
        return
    tree = runs.tree(run_id)
    if as_json:
        if step_id:
            write([json_text(row_json(_row(tree, run_id, step_id), runs.record, io=True))])
        else:
            write([json_text(tree_json(tree, runs.record, io=io))])
        return
    if step_id:
        write(shown_step(tree, run_id, step_id, runs.record, terminal(), io=io))
    else:
        write(shown_run(tree, runs.record, terminal(), io=io))


def shown_run(tree: Tree, record_of: Callable[[bytes], RunRecord], to: Terminal, *, io: bool = False) -> Iterator[str]:
    """The lines that show a run: what it is, its tree, what it adds up to."""
    yield from _head(tree, to)
    if tree.rows:
        yield ""
        yield from tree_lines(tree, to, _values_below(record_of, to) if io else None)
    yield ""
    yield from _foot(tree, to)


def shown_step(
    tree: Tree,
    run_id: bytes,
    step_id: int,
    record_of: Callable[[bytes], RunRecord],
    to: Terminal,
    *,
    io: bool = False,
) -> Iterator[str]:
    """The lines that show a step: itself in full, then what is below it."""
    row = _row(tree, run_id, step_id)
    yield from step_lines(row, record_of(run_id), to)
    below = list(_below(tree, row))
    if below:
        yield ""
        yield to.paint("inside", "bold")
        yield from tree_lines(replace(tree, rows=below), to, _values_below(record_of, to) if io else None)


def _row(tree: Tree, run_id: bytes, step_id: int) -> StepRow:
    for row in tree.rows:
        if isinstance(row, StepRow) and row.run_id == run_id and row.state.id == step_id:
            return row
    raise RunNotFound(
        f"run {format_run_id(run_id)} has no step {step_id}",
        do=f"it has {counted(tree.run.steps, 'step')}: agentrace show {run_id.hex()[:12]}",
    )


def _below(tree: Tree, top: StepRow) -> Iterator[Row]:
    rows = iter(tree.rows)
    for row in rows:
        if row is top:
            break
    for row in rows:
        if row.depth <= top.depth:
            return
        yield replace(row, depth=row.depth - top.depth - 1)


# --- what stands around the tree ----------------------------------------------------------------------------


def _head(tree: Tree, to: Terminal) -> Iterator[str]:
    run = tree.run
    status = to.paint(tree.status, {"completed": "green", "running": "cyan"}.get(tree.status, "red"))
    ended = "" if run.exit_code in (None, 0) else f", exit code {run.exit_code}"
    title = f"{to.paint(plain(run.name) or '?', 'bold')}  {status}"
    yield f"{title} {'after' if run.ended is None else 'in'} {duration(run.duration_ns)}{ended}"
    started = run.started
    facts = [format_run_id(run.id), date(run.started_ts) if started is not None else ""]
    if started is not None:
        facts += [started.python, run.described.git_commit[:10] if run.described is not None else ""]
    yield to.paint("  ".join(plain(fact) for fact in facts if fact), "dim")
    if started is not None and started.argv:
        yield to.paint(to.cut(f"$ {plain(' '.join(started.argv))}", to.width), "dim")
    if run.parent.run_id:
        where = f" in its step {run.parent.step_id}" if run.parent.step_id else ""
        yield f"started by run {run.parent.run_id.hex()[:12]}{where}"
    if started is not None and 0 < started.sample_rate < 1:
        yield f"sampled at {started.sample_rate:.3g}: runs like it that were left out are not in the store"
    if run.origin.mode != "live":
        verdict = run.replay.replace("_", " ") or "not finished"
        yield f"{run.origin.mode} of run {run.origin.source_run_id.hex()[:12]}: {plain(verdict)}"
        yield from _points(_replay_caveats(tree), to)


def _replay_caveats(tree: Tree) -> Sequence[str]:
    if tree.run.diverged is not None:
        return [tree.run.diverged.report or tree.run.diverged.code]
    return () if tree.run.ended is None else tree.run.ended.caveats


def _foot(tree: Tree, to: Terminal) -> Iterator[str]:
    for text, style in folded(tree.notes, to):
        yield to.paint(to.cut(text, to.width), style)
    yield from _health(tree, to)
    totals = tree.totals
    kinds = ", ".join(f"{count:,} {plain(kind)}" for kind, count in totals.steps.items())
    parts = [counted(totals.count, "step") + (f": {kinds}" if len(totals.steps) > 1 else "")]
    parts += [counted(tree.inferred, "inferred tool call")] if tree.inferred else []
    parts += [counted(tree.processes, "child process")] if tree.processes else []
    parts += [counted(tree.jobs, "job")] if tree.jobs else []
    parts += [f"{totals.failed:,} failed"] if totals.failed else []
    logged, scored = counts([note for row in [tree, *tree.rows] for note in getattr(row, "notes", ())])
    parts += [counted(logged, "note")] if logged else []
    parts += [counted(scored, "score")] if scored else []
    parts += [counted(totals.retries, "retry")] if totals.retries else []
    yield from wrap("; ".join(parts), to.width, subsequent_indent="  ")
    if totals.usage.input or totals.usage.output:
        unknown = f"; {counted(totals.unknown_usage, 'call')} did not tell" if totals.unknown_usage else ""
        yield f"tokens: {usage_text(totals.usage)}{unknown}"
    left_out = {} if tree.run.described is None else tree.run.described.left_out
    if left_out:
        told = ", ".join(f"{plain(host)} ({count:,})" for host, count in sorted(left_out.items()))
        yield from wrap(f"not recorded: reports of libraries and excluded requests to {told}", to.width)
    if tree.run.described is not None and tree.run.described.tools:
        named = f"recorded by name: {', '.join(map(plain, tree.run.described.tools))}"
        yield from wrap(named, to.width, subsequent_indent="  ")
    yield from _verdict(tree, to)


def _health(tree: Tree, to: Terminal) -> Iterator[str]:
    run = tree.run
    if run.failure is not None:
        yield to.paint("error", "bold")
        yield from failure_lines(run.failure)
    if run.aborted is not None:
        yield to.paint(plain(f"aborted by {run.aborted.by}: {run.aborted.code} {run.aborted.reason}".rstrip()), "red")
    if tree.cut_short:
        yield to.paint("the record is cut off; this is what can be read of it", "yellow")
    elif tree.status == "interrupted":
        died = "the process died without an end" if not run.lost else "its end was not recorded, like other events"
        yield to.paint(f"{died}; this is all it had done by then", "yellow")
    if run.status == "running" and tree.status == "running":
        yield to.paint("the run is still going on", "cyan")
    if run.lost:
        yield to.paint(f"{counted(run.lost, 'event')} could not be recorded", "yellow")
    if not tree.rows and run.ended is not None:
        yield to.paint("nothing was recorded: the program made no call that agentrace knows", "yellow")


def _verdict(tree: Tree, to: Terminal) -> Iterator[str]:
    verdict = tree.replayable
    if verdict.yes:
        told = f", with {counted(len(verdict.caveats), 'caveat')}" if verdict.caveats else ""
        yield f"replayable: {to.paint('yes', 'green')}{told}"
        yield from _points(verdict.caveats, to)
        return
    yield f"replayable: {to.paint('no', 'yellow')}, because"
    yield from _points(verdict.because, to)


def _points(texts: Iterable[str], to: Terminal) -> Iterator[str]:
    for text in texts:
        first = f"  {to.either('•', '-')} "
        yield from wrap(plain(text), to.width, initial_indent=first, subsequent_indent="    ")


# --- values below the rows ----------------------------------------------------------------------------------


def _values_below(record_of: Callable[[bytes], RunRecord], to: Terminal) -> Callable[[Row], Sequence[str]]:
    def below(row: Row) -> Sequence[str]:
        if isinstance(row, ProcessRow):
            return ()
        if isinstance(row, InferredRow):
            told = [("in", row.call.arguments), ("out", row.call.result)]
        else:
            record = record_of(row.run_id)
            told = [("in", input_of(record, row.state)), ("out", output_of(record, row.state))]
        return [line for title, value in told if value is not None for line in _titled(title, value, row, to)]

    return below


def _titled(title: str, value: object, row: Row, to: Terminal) -> Iterator[str]:
    room = room_below(row, to)
    for number, line in enumerate(value_lines(value)):
        head = to.paint(f"{title:<4}", "dim") if number == 0 else "    "
        for part, piece in enumerate(_pieces(line, room)):
            yield (head if part == 0 else "    ") + piece


def _pieces(line: str, width: int) -> Iterator[str]:
    """A line in pieces that fit; nothing is left out."""
    while len(line) > width:
        at = line.rfind(" ", width // 2, width) + 1 or width
        yield line[:at]
        line = line[at:]
    yield line
