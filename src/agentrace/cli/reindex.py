"""``agentrace reindex``: the index made again from the records."""

from __future__ import annotations

from pathlib import Path

import click

from agentrace.cli.escaping import json_text, plain
from agentrace.cli.indexed import watching
from agentrace.cli.opening import home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.errors import StoreError
from agentrace.index import rebuild
from agentrace.store import Store


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(home: Path | None, as_json: bool) -> None:
    """Make the index again from the records.

    That is never needed: what is new is indexed by every command that looks at the index, and an index that is damaged
    or of another version is made again by itself. All of it comes from the records, so nothing is lost.

    \b
    Example:
      agentrace reindex
    """
    store = open_runs(home).store
    if not isinstance(store, Store):
        raise StoreError(
            f"{plain(str(store.root))} is a trace file, of which no index is kept", do="name a store directory"
        )
    if not store.root.is_dir():
        raise StoreError(
            f"there is no store at {plain(str(store.root))}", do="record a run, or name a store with --home"
        )
    done = rebuild(store, watching("indexing"))
    if as_json:
        write([json_text({"runs": done.runs, "events": done.events})])
        return
    write([f"{counted(done.runs, 'run')} and {counted(done.events, 'event')} are indexed in {plain(str(store.root))}"])
