"""Removing runs from a store with everything that belongs to them: segments, derived results, damaged lane files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from agentrace import events, journal
from agentrace.errors import StoreError
from agentrace.journal.lane_glancing import runs_in_lanes
from agentrace.journal.removal import blank, damaged_of, delete, empty_trash, in_trash, take_away
from agentrace.journal.store_format import format_of
from agentrace.store.derived import Derived

Watch = Callable[[float], object]
"""Told how much more of one run is done; for each run that adds up to 1."""
TAKING: Final = 0.2
"""The share of a run's time after which nobody sees it any more; the rest is deleting."""


def unwatched(_: float) -> None:
    """Progress that nobody looks at."""


class Removal(msgspec.Struct, frozen=True):
    """What a removal did."""

    removed: list[bytes]
    kept: dict[bytes, bool]
    """Runs that were left: each of a group in which one is in the lane of a process; whether that process lives."""
    damaged: list[Path]
    """Damaged lane files that held something of the removed runs, which is blanked, and were left because of other
    runs in them."""


def held(root: Path) -> dict[bytes, bool]:
    """The runs that a lane has something of, and that cannot be removed: whether the lane's process lives."""
    return runs_in_lanes(root)


def remove(root: Path, groups: Sequence[Sequence[bytes]], watch: Watch = unwatched) -> Removal:
    """Remove the runs of each group, in this order, or none of the group.

    What dead processes left in lanes is sealed first. Raises ``StoreError`` where the store cannot be written.
    """
    removed: list[bytes] = []
    kept: dict[bytes, bool] = {}
    try:
        format_of(root)
        journal.recover(root, tombstone=events.tombstone)
        there = runs_in_lanes(root)
        for group in groups:
            busy = [there[run_id] for run_id in group if run_id in there]
            if busy:
                kept.update(dict.fromkeys(group, any(busy)))
                continue
            for run_id in take_away(root, group):
                removed.append(run_id)
                watch(TAKING)
        shared = finish_removals(root, watch=watch) if removed else []
    except StoreError:
        raise
    except OSError as failure:
        raise StoreError(
            f"the store {root} cannot be written: {failure.strerror or failure}",
            do="make it writable for this user; what is removed already stays removed",
        ) from failure
    return Removal(removed, kept, shared)


def finish_removals(root: Path, timeout: float | None = None, watch: Watch = unwatched) -> list[Path]:
    """Delete what is in the trash, and what belonged to it; the damaged files that were left, without it.

    Stops after ``timeout`` seconds; the next call goes on from there. Raises OSError.
    """
    trash = in_trash(root)
    if not trash:
        return []
    deadline = None if timeout is None else monotonic() + timeout
    gone = {run_id for run_id in trash.values() if run_id}
    alone, shared = damaged_of(root, gone)
    for path in alone:
        delete(path)
        with suppress(OSError):
            path.parent.rmdir()  # unless there are others in it
    for path in shared:
        blank(path, gone)
    Derived(root).forget(gone)
    for _ in empty_trash(root, trash):
        watch(1 - TAKING)
        if deadline is not None and monotonic() > deadline:
            break
    return shared
