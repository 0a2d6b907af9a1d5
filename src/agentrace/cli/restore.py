"""``agentrace restore``: archived runs brought back into their store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agentrace.cli.choosing import SHARED, Chosen, choosing_options, matching, named_run, store_of
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.opening import home_option
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.ids import format_run_id
from agentrace.retention import Restored, restore


@click.command()
@click.argument("run", nargs=-1)
@choosing_options
@click.option("--all", "everything", is_flag=True, help="All archived runs.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be brought back.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
def command(
    run: tuple[str, ...], chosen: Chosen, everything: bool, dry_run: bool, home: Path | None, as_json: bool
) -> None:
    """Bring each archived RUN back into the store, as it was, and take it out of its archive.

    Without RUN, options say which. An archive keeps its copy if it may only be read, or if another store put it there
    or relies on it; that is told.

    \b
    Example:
      agentrace restore checkout
      agentrace restore --name 'nightly*'
      agentrace restore --all --dry-run
    """
    if sum([bool(run), chosen.is_given, everything]) != 1:
        raise click.UsageError("Name runs, or say which with --older-than, --status or --name; or --all.")
    runs, store = store_of(home)
    if everything:
        wanted = sorted(store.archived())
    else:
        found = [named_run(runs, text) for text in run] or list(matching(runs, chosen))
        wanted = sorted(one for one in set(found) if run or store.archive_of(one) is not None)
    done = Restored([], [run_id for run_id in wanted if store.archive_of(run_id) is None], [])
    if dry_run:
        away = len(wanted) - len(done.here)
        click.echo(f"{counted(away, 'run')} would be brought back", err=as_json)
    else:
        with Progress("restoring", "run", len(wanted)) as progress:
            done = restore(store, wanted, progress.advance)
        click.echo(f"{counted(len(done.restored), 'run')} brought back", err=as_json)
    _warn_of(done)
    if done.here and not as_json:
        click.echo(f"{counted(len(done.here), 'run')} {'was' if len(done.here) == 1 else 'were'} not archived")
    if as_json:
        write(json_text(_json(run_id, done)) for run_id in wanted)


def _warn_of(done: Restored) -> None:
    """Which archives have something of what was brought back, and why."""
    reasons = ((done.kept, "may only be read, so it keeps its copy"), (done.shared, SHARED))
    for paths, why in reasons:
        for path in paths:
            click.echo(f"{click.style('warning', fg='yellow')}: {plain(str(path))} {why}", err=True)


def _json(run_id: bytes, done: Restored) -> dict[str, Any]:
    outcome = "restored" if run_id in done.restored else "here" if run_id in done.here else "archived"
    return {"id": format_run_id(run_id), "outcome": outcome}
