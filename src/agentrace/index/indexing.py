"""Indexing: what is new in the records becomes rows, at a cost in proportion to what is new.

Runs that are over are told whole, once. A run that goes on is told further from where it was: of its earlier events
only those are read again that belong to steps which something new belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.events import RUN_STEP, StepDispatched, decode
from agentrace.ids import format_run_id
from agentrace.index.loading import insert, lines
from agentrace.index.reading import Before, Rows, rows_of, run_row, unreadable_row
from agentrace.index.rows import ProgressRow, RunRow
from agentrace.index.statements import statement
from agentrace.query import (
    Damage,
    Meaning,
    Record,
    Replayable,
    RunEntry,
    RunRecord,
    RunsSource,
    Totals,
    facts_version,
    meaning,
    summary,
)

if TYPE_CHECKING:
    import duckdb

Progress = Callable[[int, int], None]
"""Told how many of how many runs are done."""

ROWS_AT_ONCE: Final = 60_000
TEXT_AT_ONCE: Final = 32 << 20
_FORGOTTEN: Final = ("run", "step", "event", "text", "message", "mark", "sum")
_GOING_ON: Final = Replayable(because=("the run is still going on",))


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
        self, connection: duckdb.DuckDBPyConnection, source: RunsSource, stamps: Mapping[bytes, str], progress: Progress
    ) -> None:
        self.done = Indexed()
        self._connection = connection
        self._source = source
        self._stamps = stamps
        self._progress = progress
        self._known: dict[bytes, Known] = {}
        self._next_key = 1
        self._batch = _Batch()

    def work(self) -> Indexed:
        """Index everything that is new now. Raises ``StoreError``."""
        for key, run_id, *rest in self._all(statement("known_runs")):
            self._known[run_id.bytes] = Known(key, *rest)
            self._next_key = max(self._next_key, key + 1)
        entries = self._source.entries
        gone = self._known.keys() - {one.run_id for one in entries}
        self._forget([self._known.pop(run_id).run_key for run_id in gone])
        current: dict[str, bool] = {}
        todo = [entry for entry in entries if self._is_new(entry, current)]
        for done, entry in enumerate(todo):
            self._progress(done, len(todo))
            self._index(entry)
            if self._batch.is_full:
                self._write()
        self._write()
        self._progress(len(todo), len(todo))
        return self.done

    def facts(self) -> dict[str, str]:
        """The integrations that told something of the runs that are indexed now, and their versions."""
        distinct = {known.facts for known in self._known.values()}
        return {name: version for one in distinct for name, version in msgspec.json.decode(one).items()}

    def _is_new(self, entry: RunEntry, current: dict[str, bool]) -> bool:
        """Whether a run may hold something that is not indexed."""
        known = self._known.get(entry.run_id)
        if known is None or known.state != "sealed" or entry.state != "sealed":
            return True
        if known.stamp != self._stamps.get(entry.run_id, ""):
            return True
        if known.facts not in current:
            current[known.facts] = _is_current(known.facts)
        return not current[known.facts]

    def _index(self, entry: RunEntry) -> None:
        known = self._known.get(entry.run_id)
        try:
            if known is None or known.state != "live" or not self._go_on(entry, known):
                self._anew(entry, known)
        except RunNotFound:
            return  # it was removed in this moment

    def _anew(self, entry: RunEntry, known: Known | None) -> None:
        """Tell a run from its beginning."""
        if known is not None:
            self._batch.forgotten.append(known.run_key)
        key, self._next_key = self._next_key, self._next_key + 1
        record = self._source.record(entry.run_id)
        try:
            meant = _going_on(record) if record.live else meaning(record)
            rows = rows_of(key, record, meanings=None if record.live else meant.steps)
            run = run_row(key, record, summary(record, lambda _: meant))
            facts, last_seq = record.facts_versions(), record.trace.run.last_seq
        except CorruptRecord as error:
            rows, run, facts, last_seq = Rows(), unreadable_row(key, entry.run_id, error.what), {}, 0
        self._add(entry, rows, run, _progress_row(key, entry, record, self._stamps, last_seq, facts))

    def _go_on(self, entry: RunEntry, known: Known) -> bool:
        """Tell what is new of a run that goes on; ``False`` if it is better told from its beginning.

        One that is over is: what it means as a whole takes its whole record, and that will not change any more.
        """
        source = self._source.source(entry.run_id)
        if source.state != "live" or not _is_current(known.facts):
            return False
        new = list(source.events(known.last_seq))
        if not new:
            return True
        record = RunRecord(_Window(source, self._touched(known, new), new))
        try:
            rows = rows_of(known.run_key, record, known.last_seq, before=self._before(known, record))
            run = run_row(known.run_key, record, summary(record, _going_on))
        except CorruptRecord:
            return False
        facts = {**msgspec.json.decode(known.facts, type=dict[str, str]), **record.facts_versions()}
        last_seq = max(known.last_seq, record.trace.run.last_seq)
        self._batch.retold.append((known.run_key, [row.step_id for row in rows.steps]))
        self._batch.replaced.append(known.run_key)
        self._add(entry, rows, run, _progress_row(known.run_key, entry, record, self._stamps, last_seq, facts))
        return True

    def _before(self, known: Known, record: RunRecord) -> Before:
        """What was told of a run, as far as that matters for what is new."""
        outer = {step.dispatched.parent for step in record.trace.steps.values()} - record.trace.steps.keys()
        paths = dict(self._all(statement("paths"), run_key=known.run_key, steps=sorted(outer)))
        messages, texts = (
            [mark for (mark,) in self._all(statement("marks"), run_key=known.run_key, of=of)]
            for of in ("messages", "texts")
        )
        return Before(paths, messages, texts)

    def _touched(self, known: Known, new: Sequence[bytes]) -> Sequence[int]:
        """The seqs of earlier events that are needed to tell the new ones."""
        events = list(map(decode, new))
        begun = {event.step_id for event in events if isinstance(event, StepDispatched)}
        touched = {event.step_id for event in events} - begun - {RUN_STEP}
        found = self._all(statement("touched_events"), run_key=known.run_key, steps=sorted(touched))
        return [seq for (seq,) in found if seq <= known.last_seq]

    def _add(self, entry: RunEntry, rows: Rows, run: RunRow, progress: ProgressRow) -> None:
        batch = self._batch
        batch.rows.append(rows)
        batch.runs.append(run)
        batch.progress.append(progress)
        batch.size += len(rows.events) + len(rows.steps) + len(rows.texts) + len(rows.messages)
        batch.text += sum(len(row.text) for row in rows.texts)
        self._known[entry.run_id] = Known(
            progress.run_key, progress.state, progress.stamp, progress.last_seq, progress.facts
        )
        self.done.runs += 1
        self.done.events += len(rows.events)

    def _write(self) -> None:
        """One transaction: the rows of some runs, and that they are there."""
        batch, self._batch = self._batch, _Batch()
        if not batch.runs:
            return
        connection, keys = self._connection, [run.run_key for run in batch.runs]
        connection.begin()
        try:
            self._delete(batch.forgotten, ("progress", *(f"{name}_rows" for name in _FORGOTTEN)))
            self._delete(batch.replaced, ("progress", "run_rows", "sum_rows"))
            for key, steps in batch.retold:
                connection.execute(statement("forget_steps"), {"run_key": key, "steps": steps})
            for kind in ("steps", "events", "texts", "messages", "marks"):
                insert(connection, [row for rows in batch.rows for row in getattr(rows, kind)])
            connection.execute(statement("add_sums"), {"run_keys": keys})
            with lines(connection, "run_rows", batch.runs) as (source, columns):
                connection.execute(f"CREATE OR REPLACE TEMP TABLE new_run_rows AS SELECT {columns} FROM {source}")
            connection.execute(statement("add_runs"), {"run_keys": keys})
            insert(connection, batch.progress)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def _forget(self, keys: Sequence[int]) -> None:
        """Remove the rows of runs that are gone."""
        if keys:
            self._connection.begin()
            self._delete(keys, ("progress", *(f"{name}_rows" for name in _FORGOTTEN)))
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
        self.rows: list[Rows] = []
        self.runs: list[RunRow] = []
        self.progress: list[ProgressRow] = []
        self.forgotten: list[int] = []
        """Runs whose rows all go, because they are told anew under another key."""
        self.replaced: list[int] = []
        """Runs that are told further."""
        self.retold: list[tuple[int, list[int]]] = []
        """Their steps whose rows are written again."""
        self.size = self.text = 0

    @property
    def is_full(self) -> bool:
        """Whether it is worth a transaction."""
        return self.size >= ROWS_AT_ONCE or self.text >= TEXT_AT_ONCE


class _Window:
    """A run of which only some events are looked at; the rest of it is as it is. A source of ``RunRecord``."""

    def __init__(self, source: Record, earlier: Sequence[int], new: Sequence[bytes]) -> None:
        self.run_id = source.run_id
        self.state: Literal["live", "unsealed", "sealed"] = source.state
        self.holes = source.holes
        self.payload = source.payload
        self._source = source
        self._events = [*source.pick(earlier), *new]

    @property
    def damage(self) -> list[Damage]:
        """What is known to be damaged."""
        return self._source.damage

    def events(self, after: int = 0) -> Iterator[bytes]:
        """The events that are looked at."""
        if after:
            raise ValueError("a window is read from its beginning")
        return iter(self._events)


def _going_on(record: RunRecord) -> Meaning:
    """What can be said of a run before its end; what takes its whole record to know waits for that."""
    return Meaning(record.run_id, {}, (), Totals(), _GOING_ON, {})


def _progress_row(
    key: int, entry: RunEntry, record: RunRecord, stamps: Mapping[bytes, str], last_seq: int, facts: dict[str, str]
) -> ProgressRow:
    # The state is that of the record as it was read: the list of runs may be older than that.
    state = "live" if record.live else "sealed" if record.sealed and entry.state == "sealed" else "unsealed"
    return ProgressRow(
        key,
        format_run_id(entry.run_id),
        state,
        stamps.get(entry.run_id, ""),
        last_seq,
        msgspec.json.encode(facts).decode(),
    )


def _is_current(facts: str) -> bool:
    """Whether the integrations tell the same today."""
    return all(facts_version(name) == version for name, version in msgspec.json.decode(facts).items())
