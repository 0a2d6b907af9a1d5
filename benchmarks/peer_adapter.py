"""agentrace as one of the peers of the overhead comparison: benchmarks/peers.py puts this file among its adapters.

Nothing of ours is imported before it is asked for, because that import is one of the things that are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

PACKAGES = ["agentrace", "msgspec", "blake3", "zstandard"]
IMPORT = "import agentrace"
ENV = {"AGENTRACE_HOME": "{dir}"}
LOCAL = True
"""The record is in the scratch directory, and ``recover`` reads it."""

MARK = re.compile(r"(?:Rid|Mid|Cid)\d{6}x")


def init(ctx: dict[str, Any]) -> None:
    """Begin to record, with the default settings."""
    import agentrace

    agentrace.init()


def trace(function: Any) -> Any:
    """Our decorator."""
    import agentrace

    return agentrace.trace(function)


def root(name: str) -> AbstractContextManager[Any]:
    """A run."""
    import agentrace

    return agentrace.run(name)


def wrap_openai(client: Any) -> Any:
    """Nothing to do: the library was instrumented when it was imported."""
    return client


def flush() -> None:
    """Nothing waits: a finished call is on disk."""
    import agentrace

    agentrace.flush()


def shutdown() -> None:
    """Ends and seals the runs."""
    import agentrace

    agentrace.shutdown()


def recover(directory: str) -> dict[str, int]:
    """How often each marker stands in the arguments of the recorded calls that were finished, in a fresh process."""
    marks: Counter[str] = Counter()
    for text in _texts(list(_inputs(Path(directory)))):
        marks.update(MARK.findall(text))
    told: dict[str, int] = {}
    for kind in ("Rid", "Mid", "Cid"):
        counts = [count for mark, count in marks.items() if mark.startswith(kind)]
        told[f"{kind.lower()}_unique"], told[f"{kind.lower()}_total"] = len(counts), sum(counts)
    return told


def _inputs(home: Path) -> Iterator[Any]:
    from agentrace import events, journal
    from agentrace.canonical import Reader

    journal.recover(home, tombstone=events.tombstone)
    snapshot = journal.Snapshot(home)
    for entry in snapshot.runs():
        record = snapshot.record(entry.run_id)
        values = Reader(record.payload)
        begun: dict[int, events.Value] = {}
        for event in map(events.decode, record.events()):
            if isinstance(event, events.StepDispatched):
                begun[event.step_id] = event.input
            elif isinstance(event, events.StepCompleted) and event.step_id in begun:
                yield values.json(begun.pop(event.step_id))


def _texts(value: Any) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
