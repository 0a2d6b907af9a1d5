"""``agentrace archive``: runs moved to another directory, where they stay listed; the archives that a store knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agentrace.cli.choosing import WHY, Group, check_choice, groups_of, meant, store_of, told_lines
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.indexed import watching
from agentrace.cli.opening import home_option
from agentrace.cli.progress import Progress
from agentrace.cli.run_table import unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, size
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.retention import Archived, archive, attach, default_archive
from agentrace.store import Store
from agentrace.store.away import Archive, archives


@click.command()
@click.argument("run", nargs=-1)
@filter_options
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="The archive, a directory; the one that was used before, if it is one only.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be archived.")
@click.option("--list", "listing", is_flag=True, help="List the archives that the store knows instead.")
@click.option(
    "--attach",
    "attached",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Let the store know an archive that was moved, or another one's, instead.",
)
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object on each line.")
@click.pass_context
def command(
    ctx: click.Context,
    run: tuple[str, ...],
    wanted: Filter,
    target: Path | None,
    dry_run: bool,
    listing: bool,
    attached: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Move each RUN into an archive, with the runs of the processes and jobs that it started.

    Without RUN, filters say which: those that `agentrace ls` lists with the same filters. An archive is a directory
    with the segments of its runs, as they were, and the same as Parquet files for other tools. Archived runs stay in
    `ls`, `show`, `sql` and everything else; `agentrace restore` brings them back. A run that a process still writes is
    left; if it was named, the exit code is 1.

    \b
    Example:
      agentrace archive --older-than 90d --to /mnt/cold/agentrace
      agentrace archive --name 'nightly*' --dry-run
      agentrace archive --attach /mnt/new/agentrace
      duckdb -c "select model, count(*) from '/mnt/cold/agentrace/parquet/steps/*.parquet' group by all"
    """
    check_choice(run, wanted, list=listing, attach=attached is not None)
    runs, store = store_of(home)
    if listing or attached is not None:
        known = archives(store.root) if attached is None else [attach(store, attached)]
        write(map(json_text, map(_archive_json, known)) if as_json else archive_lines(known, store))
        return
    target = _target(store, target)
    groups = groups_of(runs, store, meant(runs, run, wanted))
    groups = [group for group in groups if store.archive_of(group.head.run_id) is None]
    click.echo("\n".join(told_lines(groups, unique_digits(runs.ids), terminal(), "archived")), err=as_json)
    done = Archived(target, [], 0, [])
    if groups and not dry_run:
        done = _archived(store, target, groups)
        where = f"{size(done.size)} in {plain(str(done.path))}"
        click.echo(f"{counted(len(done.moved), 'run')} archived, {where}", err=as_json)
    if as_json:
        otherwise = "would be archived" if dry_run else "left"
        write(json_text(_json(group, member.run_id, done, otherwise)) for group in groups for member in group.members)
    if run and done.left:
        ctx.exit(1)


def archive_lines(known: Sequence[Archive], store: Store) -> Iterator[str]:
    """The archives of a store."""
    to = terminal()
    if not known:
        yield f"no archives of {plain(str(store.root))}"
    for one in known:
        yield f"{plain(one.path)}  {counted(len(one.runs), 'run')}  {_state(one, to)}"


def _state(one: Archive, to: Terminal) -> str:
    return to.paint("there", "green") if one.is_there else to.paint("not there", "yellow")


def _target(store: Store, given: Path | None) -> Path:
    target = given or default_archive(store.root)
    if target is None:
        raise click.UsageError("Say where the archive is: --to DIR.")
    return target


def _archived(store: Store, target: Path, groups: Sequence[Group]) -> Archived:
    members = [[head.run_id for head in group.members] for group in groups]
    with Progress("archiving", "run", sum(map(len, members))) as progress:
        return archive(store, target, members, progress.advance, watching("indexing"))


def _json(group: Group, run_id: bytes, done: Archived, otherwise: str) -> dict[str, Any]:
    left = otherwise if group.is_held is None else WHY[group.is_held]
    outcome = "archived" if run_id in done.moved else left
    return {"run_id": format_run_id(run_id), "outcome": outcome, "archive": str(done.path), "with": group.head.name}


def _archive_json(one: Archive) -> dict[str, Any]:
    return {"path": one.path, "name": one.name, "runs": len(one.runs), "there": one.is_there}
