"""The runs of a store, as everything above reads them: found by name, listed newest first, opened one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import groupby, takewhile
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentrace.errors import ArchiveAway, CorruptRecord, RunNotFound
from agentrace.query.keeping import Keeper
from agentrace.query.meanings import Meaning, meaning
from agentrace.query.references import resolve, split_step
from agentrace.query.sources import RunsSource
from agentrace.query.summaries import Head, Summary, head, summary
from agentrace.query.trees import Tree, tree
from agentrace.store import Problem, RunRecord, Store


class Listed(Struct, frozen=True):
    """A run in a list of those that no other run started."""

    summary: Summary
    processes: int = 0
    """Runs of other processes that this one, or they, started."""
    jobs: int = 0
    """Runs of jobs that it, or they, sent."""
    below: Sequence[bytes] = ()
    """All of these, the newest first, where they were looked for."""
    failed: int = 0
    """Of these those that went wrong, where that was looked for."""


class Checked(Struct, frozen=True):
    """What checking a record found."""

    run_id: bytes
    name: str
    events: int
    """Events that can be read."""
    problems: Sequence[Problem]


class Runs:
    """The runs of a store directory, or of another source, as it was when this was made. For one thread at a time."""

    def __init__(self, source: Path | RunsSource) -> None:
        self.store: RunsSource = Store(source) if isinstance(source, Path) else source
        self._records: dict[bytes, RunRecord] = {}
        self._meanings: dict[bytes, Meaning] = {}
        self._new_heads = 0
        self._looked_back_to: bytes | None = None
        self._children: dict[bytes, list[bytes]] = {}

    @cached_property
    def ids(self) -> list[bytes]:
        """All run ids, the newest first; within a millisecond in no order. Raises ``StoreError``."""
        return [entry.run_id for entry in reversed(self.store.entries)]

    def newest(self) -> Iterator[bytes]:
        """The same in the order in which they began: where ids tell no order, the first events do."""
        for _, several in groupby(self.ids, key=_millisecond):
            run_ids = list(several)
            yield from run_ids if len(run_ids) == 1 else sorted(run_ids, key=self._began, reverse=True)

    def _began(self, run_id: bytes) -> tuple[int, bytes]:
        try:
            return self.head(run_id).started_ts, run_id
        except RunNotFound:  # removed since
            return 0, run_id

    def _is_older(self, one: bytes, other: bytes) -> bool:
        """Whether a run began before another one. Strict, so that what names its parent in a circle has an end."""
        if _millisecond(one) != _millisecond(other):
            return one < other
        return self._began(one) < self._began(other)

    def find(self, reference: str) -> bytes:
        """The run that a person means (see ``references``). Raises ``RunNotFound``."""
        return resolve(reference, self.ids, self.heads, self.roots)

    def find_step(self, reference: str) -> tuple[bytes, int]:
        """Run and step of ``RUN:STEP``; the step is 0 if none is named. Raises ``RunNotFound``."""
        name, step_id = split_step(reference)
        return self.find(name), step_id

    def record(self, run_id: bytes) -> RunRecord:
        """The record of a run. Raises ``RunNotFound``."""
        if run_id not in self._records:
            self._records[run_id] = self.store.record(run_id)
        return self._records[run_id]

    def summary(self, run_id: bytes) -> Summary:
        """A run in short; read from what was kept, or made and kept if the run is over."""
        found = self._keeper.summary(run_id)
        if found is None:
            try:
                found = summary(self._opened(run_id), self._meaning)
            except ArchiveAway as error:
                return Summary(run_id, status="unreadable", error=error.what)
            self._keeper.keep_summary(found)
        return found

    def meaning(self, run_id: bytes) -> Meaning:
        """What the values of a run mean; the same. Raises ``CorruptRecord``."""
        if run_id not in self._meanings:
            self._meanings[run_id] = self._meaning(self.record(run_id))
        return self._meanings[run_id]

    def head(self, run_id: bytes) -> Head:
        """What the first event of a run tells."""
        found = self._heads.get(run_id)
        if found is None:
            try:
                found = head(self._opened(run_id))
                if not found.started_ts:  # its first event cannot be read
                    found = replace(found, name=self._keeper.name(run_id))
                self._heads[run_id] = found
            except ArchiveAway:
                kept = self._keeper.summary(run_id)
                return Head(run_id) if kept is None else Head(run_id, kept.name, kept.started_ts, kept.parent)
            self._new_heads += self._keeper.is_over(run_id)
        return found

    def heads(self) -> Iterator[Head]:
        """All runs by their first events, the newest first."""
        for run_id in self.newest():
            with suppress(RunNotFound):  # removed since
                yield self.head(run_id)
        self._keep_heads()

    def roots(self) -> Iterator[Head]:
        """The runs that no run of this store started, the newest first."""
        there = set(self.ids)
        return (one for one in self.heads() if one.parent not in there or not self._is_older(one.parent, one.run_id))

    def listed(self) -> Iterator[Listed]:
        """The runs that no run of this store started, the newest first, with what they started."""
        there = set(self.ids)
        started: dict[bytes, list[Head]] = {}
        # Whatever a run started began after it, and so has come by before the run itself does.
        for one in self.heads():
            below = started.pop(one.run_id, [])
            if one.parent in there and self._is_older(one.parent, one.run_id):
                started.setdefault(one.parent, []).extend([one, *below])
            else:
                jobs = sum(head.is_job for head in below)
                with suppress(RunNotFound):
                    yield Listed(self.summary(one.run_id), len(below) - jobs, jobs, [head.run_id for head in below])

    def all(self) -> Iterator[Listed]:
        """Every run by itself, also those that others started; the newest first."""
        for run_id in self.newest():
            with suppress(RunNotFound):
                yield Listed(self.summary(run_id))

    def started_by(self, run_id: bytes) -> list[bytes]:
        """The runs of processes that a run started and of jobs that it sent, the oldest first."""
        if self._looked_back_to is None or run_id < self._looked_back_to:
            # Whatever a run started is newer than the run itself, so the older ones need not be read.
            self._looked_back_to = run_id
            self._children = self._read_children(run_id)
        return self._children.get(run_id, [])

    def tree(self, run_id: bytes) -> Tree:
        """A run with its steps, and the runs it started below the steps that started them."""
        return tree(run_id, self.record, self.meaning, self.started_by)

    def check(self, run_id: bytes) -> Checked:
        """Whether the record of a run is whole and unchanged. Raises ``RunNotFound``."""
        problems = self.store.problems(run_id)
        record = self._opened(run_id)
        try:
            count = len(record.events)
        except CorruptRecord as error:
            count, problems = 0, [*problems, Problem("damage", error.what)]
        return Checked(run_id, head(record).name, count, problems)

    def is_kept(self, name: str, stamp: str) -> bool:
        """Whether what the store keeps under this name with this stamp is of use today."""
        return self._keeper.is_current(name, stamp)

    def _opened(self, run_id: bytes) -> RunRecord:
        """A record that is not kept open: those who read many runs need each of them once."""
        return self._records.get(run_id) or self.store.record(run_id)

    def _meaning(self, record: RunRecord) -> Meaning:
        found = self._keeper.meaning(record.run_id)
        if found is None:
            found = meaning(record)
            self._keeper.keep_meaning(found)
        return found

    @cached_property
    def _keeper(self) -> Keeper:
        return Keeper(self.store)

    @cached_property
    def _heads(self) -> dict[bytes, Head]:
        return self._keeper.heads()

    def _keep_heads(self) -> None:
        if self._keeper.keep_heads(self._heads, self._new_heads):
            self._new_heads = 0

    def _read_children(self, oldest: bytes) -> dict[bytes, list[bytes]]:
        children: dict[bytes, list[bytes]] = {}
        for run_id in takewhile(lambda run_id: _millisecond(run_id) >= _millisecond(oldest), self.newest()):
            with suppress(RunNotFound):
                parent = self.head(run_id).parent
                if parent:
                    children.setdefault(parent, []).append(run_id)
        self._keep_heads()
        return {parent: started[::-1] for parent, started in children.items()}


def _millisecond(run_id: bytes) -> bytes:
    """The time that an id begins with."""
    return run_id[:6]
