"""How a run in a trace file is named: ``x.agentrace``, ``x.agentrace:7``, ``x.agentrace@RUN`` and its step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from agentrace.archive.reading import TraceFile
from agentrace.errors import RunNotFound
from agentrace.ids import format_run_id
from agentrace.query import Runs

_NAMED: Final = re.compile(r"(.*[^/]\.agentrace)(?:@([^:]+))?(?::(\d{1,18}))?", re.DOTALL)
_LAST: Final = re.compile(r"last(~\d{1,9})?")
_SHOWN: Final = 6


class Named(NamedTuple):
    """A file, and of what is in it the run and the step; empty and 0 if the text names none."""

    path: Path
    run: str
    step: int


def split_file(text: str) -> Named | None:
    """The file that a reference begins with; ``None`` if it names a run of the store.

    >>> split_file("shop.agentrace@last~1:7")
    Named(path=PosixPath('shop.agentrace'), run='@last~1', step=7)
    >>> split_file("checkout:7") is split_file("/home/me/.agentrace") is None
    True
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        return None
    path, run, step = found.groups(default="")
    return Named(Path(path), f"@{run}" if _LAST.fullmatch(run) else run, int(step or 0))


def runs_at(place: Path) -> Runs:
    """The runs of a trace file, or of a store directory. Raises ``TraceFileError``."""
    return Runs(TraceFile(place)) if place.is_file() else Runs(place)


def only_run(runs: Runs) -> bytes:
    """The one run of a file that no other run of it started. Raises ``RunNotFound`` where there are several."""
    roots = list(runs.roots())
    if len(roots) == 1:
        return roots[0].run_id
    name = runs.store.root.name
    lines = [f"    {format_run_id(root.run_id)}  {root.name}" for root in roots[:_SHOWN]]
    more = [f"    and {len(roots) - _SHOWN} more"] if len(roots) > _SHOWN else []
    raise RunNotFound(
        "\n".join([f"{name} holds {len(roots)} runs:", *lines, *more]),
        do=f"name one of them, such as {name}@last" if roots else "export the run again",
    )
