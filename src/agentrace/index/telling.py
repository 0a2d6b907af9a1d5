"""A whole run as the lines that go into the tables: what a worker makes of a record, in this process or in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agentrace.errors import CorruptRecord, RunNotFound, StoreError
from agentrace.events import RUN_STEP
from agentrace.ids import format_run_id
from agentrace.index.loading import as_lines
from agentrace.index.reading import Rows, error_text, rows_of, run_row, unreadable_row
from agentrace.index.rows import TABLES, ProgressRow, RunRow, TextRow
from agentrace.query import Meaning, Replayable, RunRecord, RunsSource, Totals, meaning, summary

_GOING_ON: Final = Replayable(because=("the run is still going on",))


UNREAD: Final = "unread"
"""The stamp of a run that could not be read, and is tried again."""


class Task(Struct, frozen=True):
    """A run that is to be told from its beginning."""

    run_id: bytes
    run_key: int
    listed_as: str
    """The state in which the store lists it."""
    stamp: str
    """What its segments were when that list was made."""


class Told(Struct, frozen=True):
    """A run, or what is new of it, ready to be written."""

    run_id: bytes
    progress: ProgressRow
    lines: Mapping[str, bytes]
    """By table: its rows as lines of JSON."""
    events: int
    rows: int


def tell_of(source: RunsSource, task: Task) -> Told | None:
    """All of a run; ``None`` if it is not there any more."""
    try:
        return tell(task, source.record(task.run_id))
    except RunNotFound:
        return None
    except StoreError as error:  # it is archived where nothing can be reached, or may not be read
        return untold(replace(task, stamp=UNREAD), error.what)


def tell(task: Task, record: RunRecord) -> Told:
    """All of a run, also where its record cannot be read."""
    try:
        meant = going_on(record) if record.live else meaning(record)
        rows = rows_of(task.run_key, record, meanings=None if record.live else meant.steps)
        run = run_row(task.run_key, record, summary(record, lambda _: meant))
        if record.trace.run.failure is not None:
            rows.texts.append(TextRow(task.run_key, RUN_STEP, "error", error_text(record.trace.run.failure)))
        facts, last_seq = record.facts_versions(), record.trace.run.last_seq
    except CorruptRecord as error:
        rows, run, facts, last_seq = Rows(), unreadable_row(task.run_key, task.run_id, error.what), {}, 0
    # The state is that of the record as it was read: the list of runs may be older.
    state = "live" if record.live else "sealed" if record.sealed and task.listed_as == "sealed" else "unsealed"
    progress = ProgressRow(
        task.run_key, format_run_id(task.run_id), state, task.stamp, last_seq, msgspec.json.encode(facts).decode()
    )
    return told(task.run_id, rows, run, progress)


def untold(task: Task, why: str) -> Told:
    """A run of which nothing can be read."""
    run = unreadable_row(task.run_key, task.run_id, why)
    progress = ProgressRow(task.run_key, format_run_id(task.run_id), "sealed", task.stamp, 0, "{}")
    return told(task.run_id, Rows(), run, progress)


def told(run_id: bytes, rows: Rows, run: RunRow, progress: ProgressRow) -> Told:
    """Rows, ready to be written."""
    kinds: list[Sequence[Struct]] = [rows.steps, rows.events, rows.texts, rows.messages, rows.marks]
    kinds += [rows.open, [run], [progress]]
    lines = {TABLES[type(some[0])]: as_lines(some) for some in kinds if some}
    count = sum(map(len, kinds))
    return Told(run_id, progress, lines, len(rows.events), count)


def going_on(record: RunRecord) -> Meaning:
    """What can be said of a run before its end; what takes its whole record to know waits for that."""
    return Meaning(record.run_id, {}, (), Totals(), _GOING_ON, {})
