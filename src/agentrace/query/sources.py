"""Where runs are kept: what query asks of a store, and of anything that holds runs as a store does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agentrace.store import Problem, Record, RunEntry, RunRecord


class Kept(Protocol):
    """Results that were computed from runs before, by name."""

    def get(self, name: str, stamp: str, /) -> bytes | None:
        """What was kept under this name with this stamp; ``None`` if nothing was."""
        ...

    def put(self, name: str, stamp: str, data: bytes, /) -> bool:
        """Keep the msgpack ``data``, if results are kept here at all; whether it is kept."""
        ...


class RunsSource(Protocol):
    """Something that holds runs; ``store.Store`` and ``archive.TraceFile`` do."""

    @property
    def root(self) -> Path:
        """Where it is."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What is the matter with the whole of it, each as one sentence; empty if nothing is."""
        ...

    @property
    def entries(self) -> list[RunEntry]:
        """All runs, the newest last. Raises ``StoreError``."""
        ...

    @property
    def derived(self) -> Kept:
        """Where results that can be computed again are kept."""
        ...

    def record(self, run_id: bytes) -> RunRecord:
        """One run. Raises ``RunNotFound``, and ``StoreError`` where it cannot be read."""
        ...

    def source(self, run_id: bytes) -> Record:
        """The encoded events and payloads of a run. Raises as ``record`` does."""
        ...

    def continued(self, run_id: bytes, after: int) -> Record | None:
        """What came of a live run beyond the seq ``after``; ``None`` where that takes its whole record to know."""
        ...

    def problems(self, run_id: bytes) -> list[Problem]:
        """Everything in a run's record that is not as it was written. Raises ``RunNotFound``."""
        ...

    def fingerprint(self, run_id: bytes) -> str:
        """Equal for two moments between which a run that is over did not change."""
        ...

    def size(self) -> int:
        """Bytes on the disk."""
        ...
