"""Stores of any size, made quickly: the steps of one recorded run, again and again, sealed as ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agentrace import events
from agentrace.archive import TraceFile
from agentrace.events import (
    RUN_STEP,
    AnyEvent,
    StepDispatched,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowDescribed,
    WorkflowStarted,
)
from agentrace.ids import uuid7
from agentrace.journal.lanes import Place
from agentrace.journal.segment import Progress, SegmentWriter, chain_start

START_MS: Final = 1_790_000_000_000
_MS: Final = 1_000_000


class Template:
    """The run that is repeated: an agent with model, tool and retriever calls, some of which failed."""

    def __init__(self, file: Path) -> None:
        source = TraceFile(file)
        record = source.record(source.entries[0].run_id)
        told = [event for event in record.events if not isinstance(event, UnknownEvent)]
        self.started = next(event for event in told if isinstance(event, WorkflowStarted))
        self.described = next(event for event in told if isinstance(event, WorkflowDescribed))
        self.events = [event for event in told if event.step_id != RUN_STEP]
        self.steps = max(event.step_id for event in self.events)
        sealed = source.source(source.entries[0].run_id)
        self.payloads = [(digest, sealed.payload(digest)) for digest in sealed.digests()]

    def run(self, run_id: bytes, name: str, started_ms: int, steps: int) -> Iterator[bytes]:
        """The encoded events of a run with at least so many steps."""
        first, seq, step = started_ms * _MS, 1, 0
        yield events.encode(replace(self.started, seq=1, ts=first, name=name, parent=events.Parent()))
        seq += 1
        yield events.encode(replace(self.described, seq=seq, ts=first))
        while step < steps:
            shift = first - self.started.ts + step * 20 * _MS
            for event in self.events:
                seq += 1
                yield events.encode(_shifted(event, seq, step, event.ts + shift))
            step += self.steps
        seq += 1
        took = step * 20 * _MS
        yield events.encode(WorkflowCompleted(seq, RUN_STEP, first + took, duration_ns=took, steps=step))


def write_runs(home: Path, template: Template, runs: int, steps: int) -> int:
    """Seal ``runs`` runs of ``steps`` steps each in a store; how many events that are."""
    Place(home).prepare()
    count = 0
    for number in range(runs):
        started_ms = START_MS + number * 60_000
        run_id = uuid7(started_ms, number.to_bytes(10, "big"))
        directory = home / "segments" / run_id.hex()
        directory.mkdir(mode=0o700)
        writer = SegmentWriter(directory, run_id, Progress(0, 0, chain_start(run_id)))
        try:
            for digest, data in template.payloads:
                writer.payload(digest, data)
            seq = 0
            for seq, event in enumerate(template.run(run_id, f"agent-{number % 7}", started_ms, steps), 1):
                writer.event(event, seq)
            writer.finish([])
            writer.publish()
        finally:
            writer.discard()
        count += seq
    return count


def _shifted(event: AnyEvent, seq: int, step: int, ts: int) -> AnyEvent:
    changes = {"seq": seq, "step_id": event.step_id + step, "ts": ts}
    if isinstance(event, StepDispatched):
        changes |= {"parent": event.parent + step if event.parent else 0, "ordinal": event.ordinal + step}
    return replace(event, **changes)
