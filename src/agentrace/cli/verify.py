"""``agentrace verify``: every digest, the chain and the sequence of a record, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import click
from msgspec import Struct

from agentrace.archive import split_file
from agentrace.cli.choosing import check_choice, found_by
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import file_runs, home_option, named
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted
from agentrace.errors import ArchiveAway, ConfigError, RunNotFound, StoreError
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.query import Checked, Runs
from agentrace.store import Problem, Store
from agentrace.store.parts import strays

_STRAYS: Final = 20
AWAY: Final = 3
"""The exit code where nothing is wrong with what is there, and the archives of other runs cannot be reached."""


@click.command()
@click.argument("run", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Check every run of the store, and what else is in it.")
@filter_options
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
@click.pass_context
def command(
    ctx: click.Context,
    run: tuple[str, ...],
    everything: bool,
    wanted: Filter,
    quiet: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Check that the record of each RUN is whole and unchanged; without RUN, that of the last one.

    Every digest is computed again, the chain over all events, and whether what events refer to is there. The
    exit code is 1 if anything is wrong; the others are checked all the same. A trace file stands for every run in it.
    With --all, files that are no part of a store are named, too. Filters say which runs: those that `agentrace ls`
    lists with the same filters.

    A run whose archive is away cannot be checked, and is no damage: if nothing else is wrong, the exit code is 3.

    \b
    Example:
      agentrace verify @last
      agentrace verify shop.agentrace
      agentrace verify --all --quiet
    """
    if everything or wanted != Filter():
        check_choice(run, wanted, all=everything)
    sound, counts = True, Counter[str]()
    for runs, run_ids in _meant(run, wanted, everything, home):
        sound = sound and not runs.store.notices
        with Progress("checking", "run", len(run_ids)) as progress:
            for run_id in progress.over(run_ids):
                one = checked(runs, run_id)
                if one is None:
                    continue
                counts[_state(one)] += 1
                if _state(one) != "ok" or not quiet:
                    progress.write([json_text(_json(one))] if as_json else checked_lines(one, terminal()))
        if everything:
            _name_strays(runs)
    if not as_json and not quiet and (everything or wanted != Filter() or counts.total() > 1):
        write([summary_line(counts)])
    if counts["problem"] or not sound:
        ctx.exit(1)
    if counts["away"]:
        ctx.exit(AWAY)


class Away(Struct, frozen=True):
    """A run that cannot be checked, because its archive cannot be reached."""

    run_id: bytes
    name: str
    why: str


def checked(runs: Runs, run_id: bytes) -> Checked | Away | None:
    """What is found in one run, whatever is in it; None if it was removed since."""
    try:
        return runs.check(run_id)
    except RunNotFound:
        return None
    except ArchiveAway as error:
        return Away(run_id, runs.head(run_id).name, error.what)
    except StoreError as error:
        return Checked(run_id, "", 0, [Problem("damage", error.what)])


def _state(one: Checked | Away) -> Literal["ok", "away", "problem"]:
    if isinstance(one, Away):
        return "away"
    return "problem" if one.problems else "ok"


def summary_line(counts: Mapping[str, int]) -> str:
    """``10,000 runs, 9,997 whole, 1 with problems, 2 away``."""
    told = f"{counted(sum(counts.values()), 'run')}, {counts['ok']:,} whole"
    wrong = f", {counts['problem']:,} with problems" if counts["problem"] else ""
    return told + wrong + (f", {counts['away']:,} away" if counts["away"] else "")


def _name_strays(runs: Runs) -> None:
    if not isinstance(runs.store, Store):
        return
    found = list(strays(runs.store.root))
    mark = click.style("warning", fg="yellow")
    for path in found[:_STRAYS]:
        click.echo(f"{mark}: {plain(str(path))} is no part of a store", err=True)
    if len(found) > _STRAYS:
        click.echo(f"{mark}: nor are {counted(len(found) - _STRAYS, 'other')}", err=True)


def _meant(
    names: Sequence[str], wanted: Filter, everything: bool, home: Path | None
) -> Iterator[tuple[Runs, Sequence[bytes]]]:
    """The runs that are to be checked, and where they are."""
    chosen = everything or wanted != Filter()
    if chosen:
        runs = open_runs(home)
        if not runs.store.root.exists():
            told = f"there is no store at {plain(str(runs.store.root))}"
            raise ConfigError(told, do="name the one that is to be checked with --home or AGENTRACE_HOME")
        yield runs, runs.ids if everything else found_by(runs, wanted, up_to_date=False)
    for name in () if chosen else names or ("@last",):
        file = split_file(name)
        if file is not None and not file.run:
            runs = file_runs(str(file.path))
            yield runs, runs.ids
        else:
            runs, run_id, _ = named(name, home)
            yield runs, [run_id]


def checked_lines(one: Checked | Away, to: Terminal) -> Iterator[str]:
    """One run, and what is wrong with it."""
    told = f"{format_run_id(one.run_id)}  {plain(one.name)}".rstrip()
    if isinstance(one, Away):
        yield f"{to.paint('away', 'yellow')}     {told}"
        yield f"           {plain(one.why)}"
    elif not one.problems:
        yield f"{to.paint('ok', 'green')}       {told}  {counted(one.events, 'event')}"
    else:
        yield f"{to.paint('problem', 'red')}  {told}  {counted(len(one.problems), 'problem')}"
        yield from (f"           {problem.kind}: {plain(problem.text)}" for problem in one.problems)


def _json(one: Checked | Away) -> dict[str, Any]:
    told: dict[str, Any] = {"run_id": format_run_id(one.run_id), "name": one.name}
    if isinstance(one, Away):
        return told | {"ok": None, "events": None, "problems": [], "away": one.why}
    problems = [{"kind": problem.kind, "text": problem.text} for problem in one.problems]
    return told | {"ok": not problems, "events": one.events, "problems": problems, "away": None}
