"""Following runs while they are written: several at once, with the processes and jobs that belong to them.

Each look costs in proportion to what came since the one before. What was sealed before it could be read, and what is
left of a process that died, is read from the record, from where the look had come to.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from agentrace.canonical import Reader
from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.events import Value, WorkflowStarted, decode
from agentrace.query.live_run import Happening, LiveRun
from agentrace.query.runs import Runs
from agentrace.query.values import json_read_by
from agentrace.store import Came, Incoming, RunRecord, Store

_PATIENCE_NS: Final = 500_000_000
"""How long an event may be missing, or a run be nowhere, before its record is asked."""


class Following:
    """Runs of one store that are followed. For one thread at a time."""

    def __init__(
        self, root: Path, named: Sequence[bytes] = (), *, history: int = 0, now: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Follow the ``named`` runs and what they start; without a name all that are live, or begin later.

        Of what happened before, the last ``history`` happenings are told at the first look. Raises ``RunNotFound``.
        """
        self._root = root
        self._all = not named
        self._now = now
        self._incoming = Incoming(root)
        self._runs: dict[bytes, LiveRun] = {}
        self._ignored: set[bytes] = set()
        self._missing_since: dict[bytes, int] = {}
        self._since = time.time_ns()
        self._waiting = self._incoming.look()
        self._before = self._begin(named, history)

    @property
    def over(self) -> bool:
        """Whether all that was asked for has ended."""
        return not self._all and all(run.told_last for run in self._runs.values())

    @property
    def several(self) -> bool:
        """Whether more than one run was asked for, or may come."""
        return self._all or len({run.root for run in self._runs.values()}) > 1

    def look(self) -> list[Happening]:
        """What happened since the last look, run by run as it came."""
        told, self._before = self._before, []
        came, self._waiting = [*self._waiting, *self._incoming.look()], []
        busy: set[bytes] = set()
        for one in came:
            run = self._followed(one)
            if run is not None:
                busy.add(one.run_id)
                run.lane, run.finished = one.lane, run.finished or not one.event
                told += self._taken(run, one.first, one.last, one.event)
        for run_id in self._incoming.sealed():
            told += self._short(run_id)
        for run_id, run in list(self._runs.items()):
            if not run.told_last:
                told += self._settled(run, run_id in busy)
        return told

    def json(self, run_id: bytes, value: Value) -> Any:
        """An encoded value of what happened, such as the fields of a note, as JSON data."""
        return json_read_by(Reader(lambda digest: self._incoming.payload(run_id, digest)), value)

    def close(self) -> None:
        """Let all files go."""
        self._incoming.close()

    # --- which runs -----------------------------------------------------------------------------------------

    def _begin(self, named: Sequence[bytes], history: int) -> list[Happening]:
        """Read what there is; the last ``history`` happenings of it."""
        before: list[Happening] = []
        runs = Runs(self._root)
        live = {entry.run_id for entry in runs.store.entries if entry.state == "live"}
        waiting = [(run_id, run_id) for run_id in (named or sorted(live))]
        while waiting:
            run_id, root = waiting.pop(0)
            if run_id in self._runs:
                continue
            parent = runs.head(run_id).parent
            above = self._runs.get(parent)
            run = self._runs[run_id] = LiveRun(
                run_id, root if above is None or run_id in named else above.root, self._incoming.payload
            )
            told: deque[Happening] = deque(maxlen=history)
            for first, last, event in runs.store.source(run_id).spans():
                told.extend(self._taken(run, first, last, event))
            before += told
            waiting += [(child, run.root) for child in runs.started_by(run_id)]
        self._ignored = {run_id for run_id in runs.ids if run_id not in self._runs}
        return sorted(before, key=lambda one: one.ts)[-history:] if history else []

    def _followed(self, came: Came) -> LiveRun | None:
        """The run that an event belongs to, if it is one that is followed."""
        run = self._runs.get(came.run_id)
        if run is not None or came.run_id in self._ignored or not came.event:
            return run
        return self._begun(came.run_id, self._parent(came))

    def _begun(self, run_id: bytes, parent: bytes) -> LiveRun | None:
        """Follow a run that was not there before, if it is to be followed."""
        above = self._runs.get(parent)
        if above is None and not self._all:
            self._ignored.add(run_id)
            return None
        root = run_id if above is None else above.root
        run = self._runs[run_id] = LiveRun(run_id, root, self._incoming.payload)
        return run

    def _short(self, run_id: bytes) -> Iterator[Happening]:
        """What happened in a run that began and was sealed between two looks."""
        if run_id in self._runs or run_id in self._ignored:
            return
        try:
            source = Store(self._root).source(run_id)
            first = RunRecord(source).head
        except (RunNotFound, CorruptRecord):
            return
        if not isinstance(first, WorkflowStarted) or first.ts < self._since:
            self._ignored.add(run_id)  # imported, or restored
            return
        run = self._begun(run_id, first.parent.run_id)
        if run is not None:
            for begin, last, event in source.spans():
                yield from self._taken(run, begin, last, event)

    def _parent(self, came: Came) -> bytes:
        """The run that started the one that an event belongs to; empty for none."""
        try:
            event = decode(came.event)
            if isinstance(event, WorkflowStarted):
                return event.parent.run_id
            first = Store(self._root).record(came.run_id).head
        except (RunNotFound, CorruptRecord, msgspec.DecodeError):
            return b""
        return first.parent.run_id if isinstance(first, WorkflowStarted) else b""

    # --- what happened to them ------------------------------------------------------------------------------

    def _taken(self, run: LiveRun, first: int, last: int, event: bytes) -> Iterator[Happening]:
        try:
            yield from run.take(first, last, event)
        except CorruptRecord:  # one event that cannot be read; `verify` tells
            return

    def _settled(self, run: LiveRun, busy: bool) -> Iterator[Happening]:
        """What is to be said when nothing more may come: the end, or that there is none."""
        run_id, over = run.state.id, run.state.ended is not None
        dead = not over and not busy and (run.finished or not self._incoming.is_living(run.lane))
        if over and not run.gap:
            # One look later, for what it had started before it ended may have come into a lane that was not there yet.
            if not busy:
                yield run.ended(run.state.status)
            return
        if not dead and not run.gap:
            self._missing_since.pop(run_id, None)
            return
        since = self._missing_since.setdefault(run_id, self._now())
        if not dead and self._now() - since < _PATIENCE_NS:
            return
        yield from self._caught_up(run, self._now() - since >= _PATIENCE_NS)

    def _caught_up(self, run: LiveRun, waited: bool) -> Iterator[Happening]:
        """What the record has beyond what was seen, and the end of the run if it can have no other one."""
        run_id = run.state.id
        try:
            source = Store(self._root).source(run_id)
        except RunNotFound:
            if waited:
                yield run.ended("removed", removed=True)
            return
        for first, last, event in source.spans(run.seen_up_to):
            yield from self._taken(run, first, last, event)
        if run.gap and waited:
            run.give_up()
        if run.state.ended is not None:
            yield run.ended(run.state.status)
        elif source.state != "live":
            yield run.ended("interrupted")
        elif waited:
            self._missing_since.pop(run_id, None)
