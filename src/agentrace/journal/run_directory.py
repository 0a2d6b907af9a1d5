"""The directory of one sealed run: its segments in order, and how far they reach."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.journal.sealed import Segment, open_segment
from agentrace.journal.segment import SUFFIX, TEMPORARY, UNKNOWN_CHAIN, Progress, chain_start, chained


def segment_paths(directory: Path) -> list[Path]:
    """The segments of a run, the first first."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    numbers = sorted((int(name[: -len(SUFFIX)]), name) for name in names if _is_segment(name))
    return [directory / name for _, name in numbers]


def _is_segment(name: str) -> bool:
    stem = name[: -len(SUFFIX)]
    return name.endswith(SUFFIX) and len(stem) < 10 and stem.isascii() and stem.isdecimal()


def shown_name(path: Path) -> str:
    """A segment relative to its store, as damage reports name it."""
    return f"segments/{path.parent.name}/{path.name}"


def take_over(directory: Path, run_id: bytes) -> Progress:
    """How far the run has been sealed, for the one that goes on with it. A segment that cannot be read leaves its
    number and an unknown chain.
    """
    progress = Progress(0, 0, chain_start(run_id))
    _remove_half_written(directory)
    for path in segment_paths(directory):
        progress.number = int(path.stem)
        try:
            segment = open_segment(path, shown_name(path), run_id)
        except (CorruptRecord, RunNotFound):
            progress.chain = UNKNOWN_CHAIN
            continue
        progress.digests.update(segment.digests())
        progress.last = max(progress.last, segment.footer.seq_to)
        if segment.footer.chain_after != UNKNOWN_CHAIN:
            progress.chain = segment.footer.chain_after
        elif progress.chain != UNKNOWN_CHAIN:
            progress.chain = _recomputed(segment, progress.chain)
    return progress


def _recomputed(segment: Segment, chain: bytes) -> bytes:
    """The chain after a segment that lost its footer, if all its events can be read."""
    expected = None
    try:
        for chunk in segment.event_chunks():
            if expected not in (None, chunk.first):
                return UNKNOWN_CHAIN
            for _, _, event in segment.events(chunk):
                chain = chained(chain, event)
            expected = chunk.last + 1
    except (CorruptRecord, RunNotFound):
        return UNKNOWN_CHAIN
    return chain


def _remove_half_written(directory: Path) -> None:
    """Remove what a process that died while it sealed this run left there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(directory):
            if name.endswith(TEMPORARY):
                (directory / name).unlink(missing_ok=True)
