"""Indexing: what is new in the records becomes rows, at a cost in proportion to what is new.

Runs that are over are told whole, once. A run that goes on is told further from where it was: of its earlier events
only those are read again that belong to steps which something new belongs to.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from blake3 import blake3
from msgspec import Struct

from agentrace.errors import CorruptRecord, StoreError
from agentrace.events import RUN_STEP, StepDispatched, decode
from agentrace.ids import format_run_id
from agentrace.index.engine import engine
from agentrace.index.loading import as_lines, insert, readable, within_columns
from agentrace.index.reading import Before, rows_of, run_row
from agentrace.index.rows import ArchiveRow, ProgressRow
from agentrace.index.statements import statement
from agentrace.index.telling import UNREAD, Task, Told, going_on, tell_of, told
from agentrace.index.workers import workers
from agentrace.query import Damage, Record, RunEntry, RunRecord, RunsSource, facts_version, summary

if TYPE_CHECKING:
    import duckdb

Progress = Callable[[int, int], None]
"""Told how many of how many runs are done."""

ROWS_AT_ONCE: Final = 60_000
BYTES_AT_ONCE: Final = 64 << 20
ALONE_SECONDS: Final = 1.0
"""How long a pass takes before other processes are started to help with it."""
_ROWS: Final = [
    *("run_rows", "step_rows", "event_rows", "text_rows", "message_rows", "mark_rows", "open_rows", "sum_rows")
]


class Known(Struct, frozen=True):
    """How far a run is indexed."""

    run_key: int
    state: str
    stamp: str
    last_seq: int
    facts: str


class Indexed(Struct):
    """What one pass did."""

    runs: int = 0
    events: int = 0
    removed: int = 0


class Indexer:
    """One pass over a source of runs, into an index that is open for writing."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: RunsSource,
        stamps: Mapping[bytes, str],
        progress: Progress,
        processes: int = 1,
        archived: Mapping[bytes, str] | None = None,
    ) -> None:
        self.done = Indexed()
        self._connection = connection
        self._source = source
        self._stamps = stamps
        self._progress = progress
        self._processes = processes
        self._archived = archived or {}
        self._known: dict[bytes, Known] = {}
        self._next_key = 1
        self._batch = _Batch()

    def work(self, only: Collection[bytes] | None = None) -> Indexed:
        """Index everything that is new now, or only these runs of it. Raises ``StoreError``."""
        for key, run_id, *rest in self._all(statement("known_runs")):
            self._known[run_id.bytes] = Known(key, *rest)
            self._next_key = max(self._next_key, key + 1)
        entries = [one for one in self._source.entries if only is None or one.run_id in only]
        gone = self._known.keys() - {one.run_id for one in entries}
        self._forget([self._known.pop(run_id).run_key for run_id in gone])
        current: dict[str, bool] = {}
        todo = [entry for entry in entries if self._is_new(entry, current)]
        for done, _ in enumerate(self._each(todo)):
            self._progress(done, len(todo))
            if self._batch.is_full:
                self._write()
        self._write()
        self._progress(len(todo), len(todo))
        return self.done

    def facts(self) -> dict[str, str]:
        """The integrations that told something of the runs that are indexed now, and their versions.

        What an older version told of runs that cannot be read now is not among them: no pass could change it.
        """
        distinct = filter(_is_current, {known.facts for known in self._known.values()})
        return {name: version for one in distinct for name, version in msgspec.json.decode(one).items()}

    def _is_new(self, entry: RunEntry, current: dict[str, bool]) -> bool:
        """Whether a run may hold something that is not indexed."""
        known = self._known.get(entry.run_id)
        if known is None or known.state != "sealed" or entry.state != "sealed":
            return True
        stamp = self._stamps.get(entry.run_id)
        if known.stamp == UNREAD or stamp not in (None, known.stamp):
            return True
        if stamp is None and not self._can_be_read(entry.run_id):
            return False  # it is archived, and as it was
        if known.facts not in current:
            current[known.facts] = _is_current(known.facts)
        return not current[known.facts]

    def _can_be_read(self, run_id: bytes) -> bool:
        """Whether the archive that a run is in can be reached."""
        archive = self._archived.get(run_id)
        return archive is not None and os.path.isdir(os.path.join(archive, "segments"))

    def _each(self, todo: Sequence[RunEntry]) -> Iterator[None]:
        """Tell one run after the other; with more processes once it takes long."""
        until = time.monotonic() + ALONE_SECONDS
        for at, entry in enumerate(todo):
            if self._processes > 1 and time.monotonic() > until and len(todo) - at > self._processes:
                yield from self._together(todo[at:])
                return
            yield
            known = self._known.get(entry.run_id)
            if known is None or known.state != "live" or not self._go_on(entry, known):
                self._anew(entry)

    def _together(self, todo: Sequence[RunEntry]) -> Iterator[None]:
        tasks = map(self._task, todo)  # none of these runs goes on: those are the newest, and would cost one look
        with workers(self._source.root, self._processes) as team:
            for told in team.told(tasks):
                yield
                if told is not None:
                    self._add(told)

    def _anew(self, entry: RunEntry) -> None:
        """Tell a run from its beginning."""
        one = tell_of(self._source, self._task(entry))
        if one is not None:
            self._add(one)

    def _task(self, entry: RunEntry) -> Task:
        key, self._next_key = self._next_key, self._next_key + 1
        return Task(entry.run_id, key, entry.state, self._stamps.get(entry.run_id, ""))

    def _go_on(self, entry: RunEntry, known: Known) -> bool:
        """Tell what is new of a run that goes on; ``False`` if it is better told from its beginning.

        One that is over is: what it means as a whole takes its whole record, and that will not change any more.
        """
        if entry.state != "live" or not _is_current(known.facts):
            return False
        whole = cache(lambda: self._source.source(entry.run_id))
        try:
            came = self._source.continued(entry.run_id, known.last_seq) or whole()
            if came.state != "live":
                return False
            new = list(came.events(known.last_seq))
            if not new:
                return True
            record = RunRecord(_Window(came, [*self._earlier(known, new, whole), *new], whole))
            rows = rows_of(known.run_key, record, known.last_seq, before=self._before(known, record))
            run = run_row(known.run_key, record, summary(record, going_on))
        except StoreError:  # damaged, removed in this moment, or it may not be read
            return False
        facts = {**msgspec.json.decode(known.facts, type=dict[str, str]), **record.facts_versions()}
        progress = ProgressRow(
            known.run_key,
            format_run_id(entry.run_id),
            "live",
            self._stamps.get(entry.run_id, ""),
            max(known.last_seq, record.trace.run.last_seq),
            msgspec.json.encode(facts).decode(),
        )
        one = told(entry.run_id, rows, run, progress)
        told_before = [row.step_id for row in rows.steps if row.first_seq is None or row.first_seq <= known.last_seq]
        if told_before:
            self._batch.retold.append((known.run_key, told_before))
            over = [step_id for step_id in told_before if record.trace.steps[step_id].ended is not None]
            self._batch.over.append((known.run_key, over))
        self._batch.replaced.append(known.run_key)
        self._add(one)
        return True

    def _before(self, known: Known, record: RunRecord) -> Before:
        """What was told of a run, as far as that matters for what is new."""
        outer = {step.dispatched.parent for step in record.trace.steps.values()} - record.trace.steps.keys() - {0}
        paths = dict(self._all(statement("paths"), run_key=known.run_key, steps=sorted(outer))) if outer else {}
        return Before(paths, self._marks[known.run_key, "messages"], self._marks[known.run_key, "texts"])

    @cached_property
    def _marks(self) -> Mapping[tuple[int, str], list[bytes]]:
        """What of the runs that go on was told, in one question for all of them."""
        found: dict[tuple[int, str], list[bytes]] = defaultdict(list)
        for run_key, of, mark in self._all(statement("marks")):
            found[run_key, of].append(mark)
        return found

    @cached_property
    def _open(self) -> Mapping[int, list[tuple[int, int, bytes]]]:
        """Seq, step and bytes of events of the runs that go on; the same."""
        found: dict[int, list[tuple[int, int, bytes]]] = defaultdict(list)
        for run_key, *event in self._all(statement("open_events")):
            found[run_key].append(tuple(event))
        return found

    def _earlier(self, known: Known, new: Sequence[bytes], whole: Callable[[], Record]) -> list[bytes]:
        """The earlier events that are needed to tell the new ones."""
        events = list(map(decode, new))
        begun = {event.step_id for event in events if isinstance(event, StepDispatched)}
        touched = {event.step_id for event in events} - begun | {RUN_STEP}
        kept = [event for event in self._open[known.run_key] if event[1] in touched]
        # Such as a step that got a note when it was over.
        others = touched - {RUN_STEP} - {step_id for _, step_id, _ in kept}
        if not others:
            return [encoded for _, _, encoded in kept]
        found = self._all(statement("events_of_steps"), run_key=known.run_key, steps=sorted(others))
        seqs = {seq for seq, _, _ in kept}.union(seq for (seq,) in found if seq <= known.last_seq)
        return list(whole().pick(sorted(seqs)))

    def _add(self, one: Told) -> None:
        progress, known = one.progress, self._known.get(one.run_id)
        if known is not None and known.run_key != progress.run_key:
            if progress.stamp == UNREAD != known.stamp:
                return  # what was told of it is all that there is to tell, until it can be read again
            self._batch.forgotten.append(known.run_key)
        self._batch.add(one)
        self._known[one.run_id] = Known(
            progress.run_key, progress.state, progress.stamp, progress.last_seq, progress.facts
        )
        self.done.runs += 1
        self.done.events += one.events

    def _write(self) -> None:
        """One transaction: the rows of some runs, and that they are there."""
        batch, self._batch = self._batch, _Batch()
        if not batch.keys:
            return
        try:
            self._write_batch(batch)
        except (engine().DataError, engine().InvalidInputException):  # a number that no column takes
            for table, data in batch.lines.items():
                batch.lines[table] = [within_columns(self._connection, table, one) for one in data]
            self._write_batch(batch)

    def _write_batch(self, batch: _Batch) -> None:
        connection = self._connection
        connection.begin()
        try:
            self._delete(batch.forgotten, ("progress", *_ROWS))
            self._delete(batch.replaced, ("progress", "run_rows", "sum_rows"))
            for what, some in (("forget_steps", batch.retold), ("forget_open_steps", batch.over)):
                for key, steps in some:
                    connection.execute(statement(what), {"run_key": key, "steps": list(steps)})
            for table in batch.lines.keys() - {"run_rows"}:
                insert(connection, table, batch.lines[table])
            connection.execute(statement("add_sums"), {"run_keys": batch.keys})
            with readable(connection, "run_rows", batch.lines["run_rows"]) as select:
                connection.execute(f"CREATE OR REPLACE TEMP TABLE new_run_rows AS {select}")
            connection.execute(statement("add_runs"), {"run_keys": batch.keys})
            connection.commit()
        except BaseException:
            with suppress(engine().Error):  # a commit that failed has done it, and what it said is what counts
                connection.rollback()
            raise

    def tell_archives(self) -> None:
        """Note which runs are archived, and where, if that is not what was noted before."""
        rows = [ArchiveRow(format_run_id(run_id), path) for run_id, path in sorted(self._archived.items())]
        data = [as_lines(rows)] if rows else []
        digest = blake3(b"".join(data)).hexdigest()
        if self._all(statement("noted"), key="archives") == [(digest,)]:
            return
        self._connection.begin()
        self._connection.execute(statement("forget_archives"))
        if rows:
            insert(self._connection, "archive_rows", data)
        self._connection.execute(statement("forget_noted"), {"key": "archives"})
        self._connection.execute(statement("note"), {"key": "archives", "value": digest})
        self._connection.commit()

    def _forget(self, keys: Sequence[int]) -> None:
        """Remove the rows of runs that are gone."""
        if keys:
            self._connection.begin()
            self._delete(keys, ("progress", *_ROWS))
            self._connection.commit()
            self.done.removed += len(keys)

    def _delete(self, keys: Sequence[int], tables: Sequence[str]) -> None:
        for table in tables if keys else ():
            self._connection.execute(statement(f"forget_{table}"), {"run_keys": list(keys)})

    def _all(self, sql: str, **parameters: Any) -> list[Any]:
        return self._connection.execute(sql, parameters).fetchall()


class _Batch:
    """What goes into one transaction."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.lines: dict[str, list[bytes]] = defaultdict(list)
        """By table."""
        self.forgotten: list[int] = []
        """Runs whose rows all go, because they are told anew under another key."""
        self.replaced: list[int] = []
        """Runs that are told further."""
        self.retold: list[tuple[int, Sequence[int]]] = []
        """Their steps whose rows are written again."""
        self.over: list[tuple[int, Sequence[int]]] = []
        """Those of them that are over now."""
        self._rows = self._bytes = 0

    def add(self, one: Told) -> None:
        """Take in what was told of a run."""
        self.keys.append(one.progress.run_key)
        for table, data in one.lines.items():
            self.lines[table].append(data)
            self._bytes += len(data)
        self._rows += one.rows

    @property
    def is_full(self) -> bool:
        """Whether it is worth a transaction."""
        return self._rows >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE


class _Window:
    """A run of which only some events are looked at; the rest of it is as it is. A source of ``RunRecord``."""

    def __init__(self, came: Record, events: Sequence[bytes], whole: Callable[[], Record]) -> None:
        self.run_id = came.run_id
        self.state: Literal["live", "unsealed", "sealed"] = came.state
        self.holes = came.holes
        self._came = came
        self._events = events
        self._whole = whole

    @property
    def damage(self) -> list[Damage]:
        """What is known to be damaged."""
        return self._came.damage

    def payload(self, digest: bytes) -> bytes:
        """The data under a digest; most of what new events refer to came with them."""
        try:
            return self._came.payload(digest)
        except CorruptRecord:
            return self._whole().payload(digest)

    def events(self, after: int = 0) -> Iterator[bytes]:
        """The events that are looked at."""
        if after:
            raise ValueError("a window is read from its beginning")
        return iter(self._events)


def _is_current(facts: str) -> bool:
    """Whether the integrations tell the same today."""
    return all(facts_version(name) == version for name, version in msgspec.json.decode(facts).items())
