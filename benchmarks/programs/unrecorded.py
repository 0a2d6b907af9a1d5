"""A block in which nothing is recorded although everything is in place: the other half of a pair of calls."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from agentrace.capture import process


@contextlib.contextmanager
def unrecorded() -> Generator[None, None, None]:
    """Every hook finds no recording; what was recorded before goes on after the block."""
    recording = process.current
    process.install(None)
    try:
        yield
    finally:
        process.install(recording)
