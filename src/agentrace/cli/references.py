"""References to runs of a store that begin as somebody has typed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from agentrace import config
from agentrace.cli.opening import working_directory
from agentrace.cli.tab import PLAIN
from agentrace.errors import AgentraceError
from agentrace.query import Head
from agentrace.query.glancing import named_runs

_NAMES_AT_MOST: Final = 200
_IDS_AT_MOST: Final = 50


def references(home: Path | None, incomplete: str) -> Iterator[CompletionItem]:
    """What names a sealed run: ``@last``, names, and ids where the text may be the beginning of one.

    Raises ``ConfigError``, ``StoreVersion``, OSError.
    """
    if "@last".startswith(incomplete):
        yield CompletionItem("@last", help="the newest run")
    if incomplete.startswith("@"):
        return
    runs = _sealed(home)
    for name in _names(runs, incomplete):
        yield CompletionItem(name, help="the newest run of this name")
    if incomplete:
        digits = incomplete.replace("-", "").lower()
        ids = (run for run in runs if run.run_id.hex().startswith(digits))
        yield from (CompletionItem(run.run_id.hex(), help=run.name or None) for run in islice(ids, _IDS_AT_MOST))


def names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The names of sealed runs that begin so; none where there is no store to read."""
    try:
        return [CompletionItem(name) for name in _names(_sealed(ctx.params.get("home")), incomplete)]
    except (AgentraceError, OSError):
        return []


def _sealed(home: Path | None) -> Sequence[Head]:
    root = config.load({"home": home}, environ=os.environ, cwd=working_directory()).home
    return named_runs(root) if root.is_dir() else ()


def _names(runs: Sequence[Head], incomplete: str) -> Iterator[str]:
    found = dict.fromkeys(run.name for run in runs if run.name.startswith(incomplete) and PLAIN.issuperset(run.name))
    return islice(filter(None, found), _NAMES_AT_MOST)
