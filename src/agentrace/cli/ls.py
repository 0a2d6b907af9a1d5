"""``agentrace ls``: the recorded runs, the newest first, or those that a filter lets through."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import click

from agentrace.cli.as_json import summary_json
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.run_table import damage_lines, table_lines, unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, size
from agentrace.index.filters import SORTS, Filter, Sort
from agentrace.query import Listed
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

    Runs of processes that a run started, and of jobs that it sent, are counted with it. A run is interrupted when its
    process died without an end; what it did up to there is in its record. `agentrace show` tells why a run is not
    replayable. A run is damaged where something of its record was met that is not as it was written; the list reads
    each record once and no payload that it does not need, so only `agentrace verify` finds everything.

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
        shown = list(progress.over(listed))
    archived = runs.store.archived() if isinstance(runs.store, Store) else {}
    write(list_lines(shown, runs.ids, runs.store.root, runs.store.size(), terminal(), archived))


def list_lines(
    shown: Sequence[Listed],
    ids: Sequence[bytes],
    root: Path,
    store_size: int,
    to: Terminal,
    archived: Collection[bytes] = (),
) -> Iterator[str]:
    """The table of ``shown``, the newest of the runs ``ids`` in the store at ``root``."""
    if not shown:
        yield f"no runs in {plain(str(root))}"
        yield "  record one: agentrace run python agent.py"
        return
    digits = unique_digits(ids)
    yield from table_lines([(one, "archived" if one.summary.run_id in archived else "") for one in shown], digits, to)
    yield to.paint(_footer(shown, len(ids), root, store_size), "dim")
    yield from damage_lines(shown, digits, to)


def _footer(shown: Sequence[Listed], there: int, root: Path, store_size: int) -> str:
    processes, jobs = sum(entry.processes for entry in shown), sum(entry.jobs for entry in shown)
    place = f"in {plain(str(root))} ({size(store_size)})"
    if len(shown) + processes + jobs < there:
        return f"{len(shown):,} of {counted(there, 'run')} {place}; -n {there} shows all"
    below = [counted(n, what) for n, what in ((processes, "child process"), (jobs, "job")) if n]
    return f"{' and '.join([counted(len(shown), 'run'), *below])} {place}"
