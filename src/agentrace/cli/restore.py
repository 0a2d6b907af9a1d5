"""``agentrace restore``: archived runs brought back into their store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agentrace.cli.choosing import SHARED, check_choice, meant, store_of
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import home_option
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.retention import Restored, restore


@click.command()
@click.argument("run", nargs=-1)
@filter_options
@click.option("--all", "everything", is_flag=True, help="All archived runs.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be brought back.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
def command(
    run: tuple[str, ...], wanted: Filter, everything: bool, dry_run: bool, home: Path | None, as_json: bool
) -> None:
    """Bring each archived RUN back into the store, as it was, and take it out of its archive.

    Without RUN, filters say which: the archived ones of those that `agentrace ls` lists with the same filters. An
    archive keeps its copy if it may only be read, or if another store put it there or relies on it; that is told.

    \b
    Example:
      agentrace restore checkout
      agentrace restore --name 'nightly*'
      agentrace restore --all --dry-run
    """
    check_choice(run, wanted, all=everything)
    runs, store = store_of(home)
    if everything:
        found = sorted(store.archived())
    else:
        found = [one for one in meant(runs, run, wanted) if run or store.archive_of(one) is not None]
    found = sorted(set(found))
    done = Restored([], [run_id for run_id in found if store.archive_of(run_id) is None], [])
    if dry_run:
        away = len(found) - len(done.here)
        click.echo(f"{counted(away, 'run')} would be brought back", err=as_json)
    else:
        with Progress("restoring", "run", len(found)) as progress:
            done = restore(store, found, progress.advance)
        click.echo(f"{counted(len(done.restored), 'run')} brought back", err=as_json)
    _warn_of(done)
    if done.here and not as_json:
        click.echo(f"{counted(len(done.here), 'run')} {'was' if len(done.here) == 1 else 'were'} not archived")
    if as_json:
        otherwise = "would be restored" if dry_run else "archived"
        write(json_text(_json(run_id, done, otherwise)) for run_id in found)


def _warn_of(done: Restored) -> None:
    """Which archives have something of what was brought back, and why."""
    reasons = ((done.kept, "may only be read, so it keeps its copy"), (done.shared, SHARED))
    for paths, why in reasons:
        for path in paths:
            click.echo(f"{click.style('warning', fg='yellow')}: {plain(str(path))} {why}", err=True)


def _json(run_id: bytes, done: Restored, otherwise: str) -> dict[str, Any]:
    outcome = "restored" if run_id in done.restored else "here" if run_id in done.here else otherwise
    return {"run_id": format_run_id(run_id), "outcome": outcome}
