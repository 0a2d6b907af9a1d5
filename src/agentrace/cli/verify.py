"""``agentrace verify``: every digest, the chain and the sequence of a record, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agentrace.archive import split_file
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.opening import file_runs, home_option, named
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted
from agentrace.ids import format_run_id
from agentrace.query import Checked, Runs


@click.command()
@click.argument("run", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Check every run of the store.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
@click.pass_context
def command(ctx: click.Context, run: tuple[str, ...], everything: bool, home: Path | None, as_json: bool) -> None:
    """Check that the record of each RUN is whole and unchanged; without RUN, that of the last one.

    Every digest is computed again, the chain over all events, and whether what events refer to is there. The
    exit code is 1 if anything is wrong. A trace file stands for every run in it.

    \b
    Example:
      agentrace verify @last
      agentrace verify shop.agentrace
      agentrace verify --all
    """
    if everything and run:
        raise click.UsageError("Name runs, or say --all, but not both.")
    sound = True
    for runs, run_ids in _meant(run, everything, home):
        sound = sound and not runs.store.notices
        for one in map(runs.check, run_ids):
            sound = sound and not one.problems
            write([json_text(_json(one))] if as_json else checked_lines(one, terminal()))
    if not sound:
        ctx.exit(1)


def _meant(names: Sequence[str], everything: bool, home: Path | None) -> Iterator[tuple[Runs, Sequence[bytes]]]:
    """The runs that are to be checked, and where they are."""
    if everything:
        runs = open_runs(home)
        yield runs, runs.ids
    for name in () if everything else names or ("@last",):
        file = split_file(name)
        if file is not None and not file.run:
            runs = file_runs(str(file.path))
            yield runs, runs.ids
        else:
            runs, run_id, _ = named(name, home)
            yield runs, [run_id]


def checked_lines(one: Checked, to: Terminal) -> Iterator[str]:
    """One run, and what is wrong with it."""
    told = f"{format_run_id(one.run_id)}  {plain(one.name)}".rstrip()
    if not one.problems:
        yield f"{to.paint('ok', 'green')}       {told}  {counted(one.events, 'event')}"
        return
    yield f"{to.paint('problem', 'red')}  {told}  {counted(len(one.problems), 'problem')}"
    yield from (f"           {problem.kind}: {plain(problem.text)}" for problem in one.problems)


def _json(one: Checked) -> dict[str, Any]:
    return {
        "id": format_run_id(one.run_id),
        "name": one.name,
        "ok": not one.problems,
        "events": one.events,
        "problems": [{"kind": problem.kind, "text": problem.text} for problem in one.problems],
    }
