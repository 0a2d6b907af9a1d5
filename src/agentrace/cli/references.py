"""References to runs of a store that begin as somebody has typed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from click.shell_completion import CompletionItem

from agentrace import config
from agentrace.cli.opening import working_directory
from agentrace.cli.tab import PLAIN
from agentrace.query.glancing import named_runs

_NAMES_AT_MOST: Final = 200
_IDS_AT_MOST: Final = 50


def references(home: Path | None, incomplete: str) -> Iterator[CompletionItem]:
    """What names a sealed run: ``@last``, names, and ids where the text may be the beginning of one.

    Raises ``ConfigError``, ``StoreVersion``, OSError.
    """
    if "@last".startswith(incomplete):
        yield CompletionItem("@last", help="the newest run")
    root = config.load({"home": home}, environ=os.environ, cwd=working_directory()).home
    if incomplete.startswith("@") or not root.is_dir():
        return
    runs = named_runs(root)
    names = dict.fromkeys(run.name for run in runs if run.name.startswith(incomplete) and PLAIN.issuperset(run.name))
    for name in islice(filter(None, names), _NAMES_AT_MOST):
        yield CompletionItem(name, help="the newest run of this name")
    if incomplete:
        digits = incomplete.replace("-", "").lower()
        ids = (run for run in runs if run.run_id.hex().startswith(digits))
        yield from (CompletionItem(run.run_id.hex(), help=run.name or None) for run in islice(ids, _IDS_AT_MOST))
