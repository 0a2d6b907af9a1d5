"""``agentrace ls``: the recorded runs, the newest first, or those that a filter lets through."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path

import click

from agentrace.cli.as_json import summary_json
from agentrace.cli.drawing import tokens_text
from agentrace.cli.escaping import cells, json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import age, counted, duration, size
from agentrace.index.filters import SORTS, Filter, Sort
from agentrace.query import Listed, Summary

SHORTEST_ID = 8
_STATUS_COLOURS = {
    "completed": "green",
    "failed": "red",
    "aborted": "red",
    "unreadable": "red",
    "interrupted": "yellow",
    "running": "cyan",
    "pending": "cyan",
}


@click.command()
@click.argument("file", required=False)
@click.option("-n", "--number", type=click.IntRange(1), default=20, show_default=True, help="How many runs.")
@click.option("-a", "--all", "everything", is_flag=True, help="List the runs of child processes and jobs, too.")
@click.option("--sort", type=click.Choice(SORTS), help="The longest, or largest, first, in place of the newest.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@filter_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
def command(
    file: str | None,
    number: int,
    everything: bool,
    sort: Sort | None,
    reverse: bool,
    wanted: Filter,
    home: Path | None,
    as_json: bool,
) -> None:
    """List the recorded runs, the newest first; with FILE, those in a trace file.

    Runs of processes that a run started, and of jobs that it sent, are counted with it. A run is interrupted when its
    process died without an end; what it did up to there is in its record. `agentrace show` tells why a run is not
    replayable.

    Filters are combined: a run has to pass all of them. They look at every run, also at those of child processes and
    jobs; of these the list says where they belong. Times are of the local time zone, and case makes no difference in
    names.

    \b
    Example:
      agentrace ls
      agentrace ls shop.agentrace
      agentrace ls --failed --since yesterday
      agentrace ls --model 'gpt-5*' --tokens '>10k' --sort tokens
      agentrace ls --text 'insufficient funds' --json
      agentrace ls -n 100 --json | jq -r 'select(.status == "failed") | .id'
    """
    runs = open_runs(home) if file is None else file_runs(file)
    if wanted != Filter() or sort or reverse:
        found = importlib.import_module("agentrace.cli.ls_found")
        found.show(runs, wanted, (sort or "started", reverse, number), everything=everything, as_json=as_json)
        return
    listed = islice(runs.all() if everything else runs.listed(), number)
    if as_json:
        write(json_text(summary_json(entry.summary, entry.processes, entry.jobs)) for entry in listed)
        return
    shown = list(listed)
    write(list_lines(shown, runs.ids, runs.store.root, runs.store.size(), terminal()))


def list_lines(
    shown: Sequence[Listed], ids: Sequence[bytes], root: Path, store_size: int, to: Terminal
) -> Iterator[str]:
    """The table of ``shown``, the newest of the runs ``ids`` in the store at ``root``."""
    if not shown:
        yield f"no runs in {plain(str(root))}"
        yield "  record one: agentrace run python agent.py"
        return
    digits = unique_digits(ids)
    yield from table_lines([(entry, "") for entry in shown], digits, to)
    yield to.paint(_footer(shown, len(ids), root, store_size), "dim")


def table_lines(shown: Sequence[tuple[Listed, str]], digits: int, to: Terminal) -> Iterator[str]:
    """Runs, each with what is to be said first in the note behind it."""
    rows = [_cells(entry, digits, to) for entry, _ in shown]
    widths = [max(cells(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    room = to.width - sum(widths) - 2 * len(widths)
    if room < 0:  # a long name gives way
        widths[1] = max(8, widths[1] + room)
    yield to.paint(_line(_HEADINGS, widths, to).rstrip(), "dim")
    for (entry, first), row in zip(shown, rows, strict=True):
        note = to.cut(_note(entry, first, digits), max(0, to.width - sum(widths) - 2 * len(widths)))
        line = _line(row, widths, to, {2: _STATUS_COLOURS.get(entry.summary.status, "dim")})
        yield f"{line}  {to.paint(note, 'dim')}".rstrip()


_HEADINGS = ("run", "name", "status", "age", "time", "steps", "tokens", "replayable")
_RIGHT = frozenset({3, 4, 5, 6})
_NONE: Mapping[int, str] = {}


def unique_digits(ids: Sequence[bytes]) -> int:
    """How many hex digits tell every run from every other."""
    known = sorted(run_id.hex() for run_id in ids)
    digits = SHORTEST_ID
    for one, other in pairwise(known):
        while digits < 32 and one[:digits] == other[:digits]:
            digits += 1
    return digits


def _cells(entry: Listed, digits: int, to: Terminal) -> tuple[str, ...]:
    run = entry.summary
    used = run.totals.usage
    return (
        run.run_id.hex()[:digits],
        plain(run.name) or "?",
        run.status,
        age(to.now_ns - run.started_ts) if run.started_ts else "",
        duration(run.duration_ns) if run.started_ts else "",
        f"{run.totals.count:,}",
        tokens_text(used.input, used.output, to) if used.input or used.output else "",
        _replayable(run),
    )


def _replayable(run: Summary) -> str:
    if run.status == "unreadable":
        return "no"
    return "yes" if run.replayable.yes else "no"


def _line(row: Sequence[str], widths: Sequence[int], to: Terminal, colours: Mapping[int, str] = _NONE) -> str:
    """The cells in their columns; ``colours`` by column."""
    padded = []
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        shown = to.cut(text, width)
        space = " " * (width - cells(shown))
        shown = to.paint(shown, colours[column]) if column in colours else shown
        padded.append(space + shown if column in _RIGHT else shown + space)
    return "  ".join(padded)


def _note(entry: Listed, first: str, digits: int) -> str:
    run = entry.summary
    parts = [first] if first else []
    if run.mode != "live":
        verdict = f": {run.verdict.replace('_', ' ')}" if run.verdict else ""
        parts.append(f"{run.mode} of {run.source.hex()[:digits]}{verdict}")
    below = [counted(n, what) for n, what in ((entry.processes, "process"), (entry.jobs, "job")) if n]
    if below:
        parts.append(f"+{' +'.join(below)}")
    if 0 < run.sample_rate < 1:
        parts.append(f"sampled at {run.sample_rate:.3g}")
    if not run.totals.count and run.status not in ("unreadable", "running", "pending"):
        parts.append("no steps")
    parts += [flag.replace("_", " ") for flag in run.health]
    if run.error:
        parts.append(run.error)
    return plain(", ".join(parts))


def _footer(shown: Sequence[Listed], there: int, root: Path, store_size: int) -> str:
    processes, jobs = sum(entry.processes for entry in shown), sum(entry.jobs for entry in shown)
    place = f"in {plain(str(root))} ({size(store_size)})"
    if len(shown) + processes + jobs < there:
        return f"{len(shown):,} of {counted(there, 'run')} {place}; -n {there} shows all"
    below = [counted(n, what) for n, what in ((processes, "child process"), (jobs, "job")) if n]
    return f"{' and '.join([counted(len(shown), 'run'), *below])} {place}"
