"""A quick look at which runs a store holds, for whoever is about to type one: nothing is written, no lane is read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agentrace.errors import StoreError
from agentrace.query.keeping import kept_heads
from agentrace.query.summaries import Head, head
from agentrace.store.derived import Derived
from agentrace.store.opening import sealed_ids, sealed_record

_READ_AT_MOST: Final = 48
"""Of runs whose first event was not kept, so many are opened, the newest first; of the others only the id is known."""


def named_runs(root: Path) -> list[Head]:
    """The sealed runs, the newest first; most with their names. Raises ``StoreVersion``, OSError."""
    kept = kept_heads(Derived(root))
    found: list[Head] = []
    left = _READ_AT_MOST
    for run_id in sealed_ids(root)[::-1]:
        known = kept.get(run_id)
        if known is None and left:
            left -= 1
            known = _read(root, run_id)
        found.append(known or Head(run_id))
    return found


def _read(root: Path, run_id: bytes) -> Head | None:
    try:
        return head(sealed_record(root, run_id))
    except (StoreError, OSError):
        return None
