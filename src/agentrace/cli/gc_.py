"""``agentrace gc``: what is left over in a store, told, and removed where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from agentrace.cli.escaping import json_text, plain
from agentrace.cli.opening import home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, size
from agentrace.store import Store
from agentrace.store.leftovers import KINDS, Leftover, collect, leftovers

_SHOWN: Final = 5
"""Of each kind, so many are named."""


@click.command()
@click.option("-y", "--yes", "--apply", "apply", is_flag=True, help="Remove it. Without this it is only told.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each leftover, one on each line.")
def command(apply: bool, home: Path | None, as_json: bool) -> None:
    """Tell what is left over in the store and how much it takes, and with --yes remove it. No run is ever removed.

    Left over is what belongs to no run: files that a process was writing when it died, an hour ago or longer; removals
    that were cut short; results that can be computed again, of runs that are gone or of another version; an index that
    is damaged. Programs may go on recording meanwhile. To remove runs, see `agentrace rm`.

    \b
    Example:
      agentrace gc
      agentrace gc --yes
    """
    runs = open_runs(home)
    if not isinstance(runs.store, Store):
        raise click.UsageError(f"{plain(str(home))} is a trace file: nothing is left over in it.")
    _ = runs.ids  # opening a store ends removals that were cut short, and seals
    with Progress("looking", "leftover") as progress:
        found = list(progress.over(leftovers(runs.store.root, runs.is_kept)))
    with Progress("removing", "leftover", len(found)) as progress:
        gone = list(progress.over(collect(runs.store.root, found))) if apply else []
    if as_json:
        removed = {one.path for one in gone}
        write(json_text(_json(one, one.path in removed)) for one in found)
    else:
        write(leftover_lines(found, gone if apply else None, runs.store.root, terminal()))


def leftover_lines(
    found: Sequence[Leftover], gone: Sequence[Leftover] | None, root: Path, to: Terminal
) -> Iterator[str]:
    """What was found by kind, and what became of it; ``gone`` is None where nothing was to be removed."""
    if not found:
        yield f"nothing is left over in {plain(str(root))}"
        return
    for kind, told in KINDS.items():
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            yield f"{told}: {len(of_kind):,}, {size(sum(one.size for one in of_kind))}"
            shown = (plain(str(one.path.relative_to(root))) for one in islice(of_kind, _SHOWN))
            yield from (f"    {to.paint(name, 'dim')}" for name in shown)
            if len(of_kind) > _SHOWN:
                yield f"    {to.paint(f'and {len(of_kind) - _SHOWN:,} more', 'dim')}"
    if gone is None:
        told = f"{counted(len(found), 'leftover')}, {size(sum(one.size for one in found))}"
        yield f"{told}; `agentrace gc --yes` removes it"
    else:
        yield f"{counted(len(gone), 'leftover')} removed, {size(sum(one.size for one in gone))} freed"
        if len(gone) < len(found):
            yield f"{counted(len(found) - len(gone), 'leftover')} left: somebody uses it by now"


def _json(one: Leftover, removed: bool) -> dict[str, Any]:
    return {"kind": one.kind, "path": str(one.path), "bytes": one.size, "removed": removed}
