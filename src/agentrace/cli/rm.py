"""``agentrace rm``: runs removed, with those that they started, after they were told and somebody said yes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agentrace.cli.choosing import SHARED, WHY, Group, check_choice, groups_of, meant, store_of
from agentrace.cli.choosing import told_lines as group_lines
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.indexed import watching
from agentrace.cli.opening import home_option
from agentrace.cli.progress import Progress
from agentrace.cli.run_table import unique_digits
from agentrace.cli.terminal import terminal, write
from agentrace.cli.units import counted, size
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.query import Head
from agentrace.retention import Removed, remove_runs
from agentrace.store import Store


@click.command()
@click.argument("run", nargs=-1)
@filter_options
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
@click.pass_context
def command(
    ctx: click.Context,
    run: tuple[str, ...],
    wanted: Filter,
    dry_run: bool,
    yes: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Remove each RUN, with the runs of the processes and jobs that it started, after asking.

    Without RUN, filters say which: those that `agentrace ls` lists with the same filters, also runs of child processes
    and jobs. Without a name or a filter nothing is removed, nor while a program that is not agentrace holds the index.
    What is removed cannot be brought back: it is in no file of the store, its index and its archives any more. A run
    that a process still writes is left; if it was named, the exit code is 1.

    \b
    Example:
      agentrace rm @last
      agentrace rm --older-than 30d --status failed --dry-run
      agentrace rm --name 'nightly*' --older-than 8w --yes
    """
    check_choice(run, wanted)
    if not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError("There is nobody to ask here, so nothing is removed: say --yes, or --dry-run.")
    runs, store = store_of(home)
    groups = groups_of(runs, store, meant(runs, run, wanted))
    told = group_lines(groups, unique_digits(runs.ids), terminal(), "removed")
    click.echo("\n".join(told), err=as_json)
    free = [group for group in groups if group.is_held is None]
    done = Removed([], [])
    if free and not dry_run:
        if yes or click.confirm(f"Remove {counted(sum(len(group.members) for group in free), 'run')}?", err=True):
            done = _removed(store, free)
        freed = sum(group.size for group in free if group.head.run_id in done.removed)
        click.echo(f"{counted(len(done.removed), 'run')} removed, {size(freed)} freed", err=as_json)
    outcomes = list(_outcomes(groups, done, "would be removed" if dry_run else "left"))
    if as_json:
        write(json_text(_json(member, outcome)) for member, outcome in outcomes)
    if run and not dry_run and any(outcome in WHY.values() for _, outcome in outcomes):
        ctx.exit(1)


def _removed(store: Store, groups: Sequence[Group]) -> Removed:
    members = [[head.run_id for head in group.members] for group in groups]
    with Progress("removing", "run", sum(map(len, members))) as progress:
        done = remove_runs(store, members, progress.advance, watching("indexing"))
    for path in done.archives:
        _warn(f"{plain(str(path))} {SHARED}")
    for path in done.damaged:
        _warn(f"{plain(str(path))} is damaged and has other runs: what it held of a removed run is blanked")
    if done.index_held:
        _warn(f"{plain(done.index_held)} holds the index: what that tells of removed runs goes with the next command")
    return done


def _warn(told: str) -> None:
    click.echo(f"{click.style('warning', fg='yellow')}: {told}", err=True)


def _outcomes(groups: Sequence[Group], done: Removed, otherwise: str) -> Iterator[tuple[Head, str]]:
    """Each run, and what came of it; ``otherwise`` is told of one that could be removed and was not."""
    removed = set(done.removed)
    for group in groups:
        for member in group.members:
            held_by = done.kept.get(member.run_id, group.is_held)
            left = otherwise if held_by is None else WHY[held_by]
            yield member, "removed" if member.run_id in removed else left


def _json(member: Head, outcome: str) -> dict[str, Any]:
    return {
        "run_id": format_run_id(member.run_id),
        "name": member.name,
        "started_by": format_run_id(member.parent) if member.parent else None,
        "outcome": outcome,
    }
