"""What was recorded, read back: the check that a measured program did what it was measured for."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from agentrace import events, journal
from agentrace.canonical import Reader
from agentrace.events import StepCompleted, StepDispatched, WorkflowStarted
from agentrace.query import Conversations, Runs
from benchmarks.figures import Unsound


class Recorded(Struct, frozen=True):
    """What a store holds, over all its runs."""

    calls: int
    """Steps that were begun and ended."""
    sealed: bool
    """Whether every run is sealed."""
    durability: set[str]
    """As the runs tell it."""


def recorded(home: Path) -> Recorded:
    """The store's content. Raises ``Unsound`` where a run has a hole, damage, or an end without a begin."""
    calls, states, durability = 0, set[str](), set[str]()
    for entry, record in _records(home):
        states.add(entry.state)
        kinds: Counter[type] = Counter()
        open_steps: set[int] = set()
        for event in _events(record):
            kinds[type(event)] += 1
            if type(event) is StepDispatched:
                open_steps.add(event.step_id)
            elif type(event) is StepCompleted:
                open_steps.remove(event.step_id)
            elif type(event) is WorkflowStarted:
                durability.add(event.durability)
        if record.holes or record.damage or kinds[events.EventsLost] or open_steps:
            raise Unsound(f"the record has holes {record.holes}, damage {record.damage}, {kinds}")
        calls += kinds[StepCompleted]
    return Recorded(calls, states == {"sealed"}, durability)


def expect_calls(home: Path, made: int) -> Recorded:
    """The same; raises ``Unsound`` unless exactly the calls that were made are in the record."""
    found = recorded(home)
    if found.calls != made:
        raise Unsound(f"{made:,} calls were made, {found.calls:,} are in the record")
    if found.durability != {"process"}:
        raise Unsound(f"the journal was not mapped: {found.durability}")
    return found


def messages_told(home: Path) -> tuple[int, float]:
    """How many messages the runs of a store told, each once, and the time that took, in milliseconds."""
    told, taken = 0, 0.0
    for entry, _ in _records(home):
        record = Runs(home).record(entry.run_id)
        steps, conversations = record.trace.steps.values(), Conversations(record)
        start = time.perf_counter()
        added = [found for step in steps if (found := conversations.added(step)) is not None]
        taken += (time.perf_counter() - start) * 1e3
        told += sum(len(found.asked) + len(found.answer) for found in added)
    return told, taken


def inputs(home: Path, kind: str) -> Iterator[object]:
    """The JSON of what each completed step of a kind was given, run by run in order."""
    for _, record in _records(home):
        values = Reader(record.payload)
        open_steps: dict[int, events.Value] = {}
        for event in _events(record):
            if type(event) is StepDispatched and event.kind == kind:
                open_steps[event.step_id] = event.input
            elif type(event) is StepCompleted and event.step_id in open_steps:
                yield values.json(open_steps.pop(event.step_id))


def disk_bytes(directory: Path) -> int:
    """What all files of a store take on the disk."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return sum(os.stat(path).st_blocks * 512 for path in files)


def _records(home: Path) -> Iterator[tuple[journal.RunEntry, journal.Record]]:
    journal.recover(home, tombstone=events.tombstone)
    snapshot = journal.Snapshot(home)
    for entry in snapshot.runs():
        yield entry, snapshot.record(entry.run_id)


def _events(record: journal.Record) -> Iterator[events.AnyEvent | events.UnknownEvent]:
    return map(events.decode, record.events())
