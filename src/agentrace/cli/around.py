"""What stands around the tree of a run: what the run is, what it adds up to, whether it can be replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from agentrace.cli.detail import failure_lines, usage_text
from agentrace.cli.escaping import plain
from agentrace.cli.notes_view import counts, folded
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import counted, date, duration
from agentrace.ids import format_run_id
from agentrace.query import Tree


def head_lines(tree: Tree, to: Terminal) -> Iterator[str]:
    """What the run is."""
    run = tree.run
    status = to.paint(tree.status, {"completed": "green", "running": "cyan"}.get(tree.status, "red"))
    ended = f", exit code {run.exit_code}" if run.exit_code else ""
    title = f"{to.paint(plain(run.name) or '?', 'bold')}  {status}"
    lasted = run.duration_ns
    if tree.status == "running":  # it may be in a call that hangs
        lasted = max(lasted, to.now_ns - run.started_ts)
    yield f"{title} {'after' if run.ended is None else 'in'} {duration(lasted)}{ended}"
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
    if run.origin.imported:
        yield "imported: not a recording of the program itself"
    elif run.origin.mode != "live":
        verdict = run.replay.replace("_", " ") or "not finished"
        yield f"{run.origin.mode} of run {run.origin.source_run_id.hex()[:12]}: {plain(verdict)}"
        yield from _points(_replay_caveats(tree), to)


def _replay_caveats(tree: Tree) -> Sequence[str]:
    if tree.run.diverged is not None:
        return [tree.run.diverged.report or tree.run.diverged.code]
    return () if tree.run.ended is None else tree.run.ended.caveats


def foot_lines(tree: Tree, to: Terminal) -> Iterator[str]:
    """What it adds up to, and whether it can be replayed."""
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
    if totals.usage.input_tokens or totals.usage.output_tokens:
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
    if tree.damage:
        yield to.paint("the record is damaged", "red")
        yield from _points(tree.damage, to)
        yield f"  `agentrace verify {run.id.hex()[:12]}` checks all of it"
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
