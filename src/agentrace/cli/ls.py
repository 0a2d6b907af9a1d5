"""``agentrace ls``: the recorded runs, the newest first, or those that a filter lets through."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import click
from msgspec.structs import replace

from agentrace.cli.as_json import summary_json
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.run_table import belongs, damage_lines, footer_lines, table_lines, unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, size
from agentrace.errors import RunNotFound
from agentrace.index.filters import BADLY, SORTS, Filter, Sort
from agentrace.query import Listed, Runs
from agentrace.store import Store


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

    Runs of processes that a run started, and of jobs that it sent, are counted with it. Behind a run stands what of it
    failed: steps, such processes and jobs, an exit code that is not 0. A run is interrupted when its process died
    without an end; what it did up to there is in its record. `agentrace show` tells why a run is not replayable. A run
    is damaged where something of its record was met that is not as it was written; the list reads each record once and
    no payload that it does not need, so only `agentrace verify` finds everything.

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
      agentrace ls -n 100 --json | jq -r 'select(.status == "failed") | .run_id'
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
    with Progress("reading", "run", min(number, len(runs.ids))) as progress:
        shown = [_looked_below(runs, entry) for entry in progress.over(listed)]
    if not shown:
        click.echo("\n".join(nothing_lines(runs.store.root)), err=True)
        return
    there = len(runs.ids) if everything else _roots(runs, shown, number)
    below = footer(shown, there, f"in {plain(str(runs.store.root))} ({size(runs.store.size())})")
    write(list_lines(list(_noted(runs, shown)), below, unique_digits(runs.ids), terminal()))


def nothing_lines(root: Path) -> Iterator[str]:
    """What is said of a store without runs."""
    yield f"no runs in {plain(str(root))}"
    yield "  record one: agentrace run python agent.py"


def _looked_below(runs: Runs, entry: Listed) -> Listed:
    """The same, with how many went wrong of those that it started."""
    failed = 0
    for run_id in entry.below:
        with suppress(RunNotFound):
            failed += runs.summary(run_id).status in BADLY
    return replace(entry, failed=failed) if failed else entry


def _roots(runs: Runs, shown: Sequence[Listed], number: int) -> int:
    """How many runs no other one started; they are counted only if some of them may not be shown."""
    return len(shown) if len(shown) < number else sum(1 for _ in runs.roots())


def _noted(runs: Runs, shown: Sequence[Listed]) -> Iterator[tuple[Listed, str]]:
    """Each with what is said of it first: whether it is archived, and where it belongs."""
    archived = runs.store.archived() if isinstance(runs.store, Store) else {}
    digits = unique_digits(runs.ids)
    for entry in shown:
        run = entry.summary
        of = belongs(run.parent, digits, is_job=runs.head(run.run_id).is_job) if run.parent else ""
        yield entry, ", ".join(filter(None, (of, "archived" if run.run_id in archived else "")))


def list_lines(shown: Sequence[tuple[Listed, str]], below: str, digits: int, to: Terminal) -> Iterator[str]:
    """The table of ``shown``, each run with what is said of it first, and what stands below it."""
    yield from table_lines(shown, digits, to)
    yield from footer_lines(below, to)
    yield from damage_lines([entry for entry, _ in shown], digits, to)


def footer(shown: Sequence[Listed], there: int, place: str) -> str:
    """How many runs are shown of how many that are listed."""
    if len(shown) < there:
        return f"{len(shown):,} of {counted(there, 'run')} {place}; -n {there} shows all"
    processes, jobs = sum(entry.processes for entry in shown), sum(entry.jobs for entry in shown)
    below = [counted(n, what) for n, what in ((processes, "child process"), (jobs, "job")) if n]
    return f"{' and '.join([counted(len(shown), 'run'), *below])} {place}"
