"""``agentrace verify``: every digest, the chain and the sequence of a record, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from agentrace.archive import split_file
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.opening import file_runs, home_option, named
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted
from agentrace.errors import RunNotFound, StoreError
from agentrace.ids import format_run_id
from agentrace.query import Checked, Runs
from agentrace.store import Problem, Store
from agentrace.store.parts import strays

_STRAYS: Final = 20


@click.command()
@click.argument("run", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Check every run of the store, and what else is in it.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
@click.pass_context
def command(
    ctx: click.Context, run: tuple[str, ...], everything: bool, quiet: bool, home: Path | None, as_json: bool
) -> None:
    """Check that the record of each RUN is whole and unchanged; without RUN, that of the last one.

    Every digest is computed again, the chain over all events, and whether what events refer to is there. The
    exit code is 1 if anything is wrong; the others are checked all the same. A trace file stands for every run in it.
    With --all, files that are no part of a store are named, too.

    \b
    Example:
      agentrace verify @last
      agentrace verify shop.agentrace
      agentrace verify --all --quiet
    """
    if everything and run:
        raise click.UsageError("Name runs, or say --all, but not both.")
    sound, there, whole = True, 0, 0
    for runs, run_ids in _meant(run, everything, home):
        sound = sound and not runs.store.notices
        with Progress("checking", "run", len(run_ids)) as progress:
            for run_id in progress.over(run_ids):
                one = checked(runs, run_id)
                if one is None:
                    continue
                there, whole = there + 1, whole + (not one.problems)
                if one.problems or not quiet:
                    progress.write([json_text(_json(one))] if as_json else checked_lines(one, terminal()))
        if everything:
            _name_strays(runs)
    if not as_json and not quiet and (everything or there > 1):
        write([summary_line(there, whole)])
    if whole < there or not sound:
        ctx.exit(1)


def checked(runs: Runs, run_id: bytes) -> Checked | None:
    """What is found in one run, whatever is in it; None if it was removed since."""
    try:
        return runs.check(run_id)
    except RunNotFound:
        return None
    except StoreError as error:
        return Checked(run_id, "", 0, [Problem("damage", error.what)])


def summary_line(there: int, whole: int) -> str:
    """``10,000 runs, 9,999 whole, 1 with problems``."""
    wrong = f", {there - whole:,} with problems" if whole < there else ""
    return f"{counted(there, 'run')}, {whole:,} whole{wrong}"


def _name_strays(runs: Runs) -> None:
    if not isinstance(runs.store, Store):
        return
    found = list(strays(runs.store.root))
    mark = click.style("warning", fg="yellow")
    for path in found[:_STRAYS]:
        click.echo(f"{mark}: {plain(str(path))} is no part of a store", err=True)
    if len(found) > _STRAYS:
        click.echo(f"{mark}: nor are {counted(len(found) - _STRAYS, 'other')}", err=True)


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
        "run_id": format_run_id(one.run_id),
        "name": one.name,
        "ok": not one.problems,
        "events": one.events,
        "problems": [{"kind": problem.kind, "text": problem.text} for problem in one.problems],
    }
