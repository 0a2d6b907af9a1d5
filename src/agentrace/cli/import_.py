"""``agentrace import``: the runs of a trace file taken into the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from agentrace.archive import Imported, TraceFile, import_file
from agentrace.cli.escaping import plain
from agentrace.cli.opening import home_option, settings
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.store import Store


@click.command()
@click.argument("file")
@home_option
def command(file: str, home: Path | None) -> None:
    """Check every digest of a trace file, and take its runs into the store: all of them or none.

    Runs that the store has already, with the same content, are left as they are. It is no error to import a file
    twice. To look at a file, or to replay from it, it need not be imported.

    \b
    Example:
      agentrace import shop.agentrace
    """
    root = settings(home).home
    opened = TraceFile(Path(file))
    with Progress("importing", "run", len(opened.manifest.runs)) as progress:
        done = import_file(opened, Store(root), progress.advance)
    write(imported_lines(done, root))


def imported_lines(done: Imported, root: Path) -> Iterator[str]:
    """What is new in the store."""
    yield f"{counted(len(done.added), 'run')} imported into {plain(str(root))}"
    if done.there:
        yield f"{counted(len(done.there), 'run')} there already"
