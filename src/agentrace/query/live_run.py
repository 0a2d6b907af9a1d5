"""One run that is followed: what its events tell as they come, each in the moment that it is known.

Only the steps that are open are kept, and of model steps what they received, so a run may go on as long as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from agentrace.errors import CorruptRecord
from agentrace.events import (
    AnyEvent,
    EventsLost,
    Logged,
    Scored,
    StepCompleted,
    StepDispatched,
    StepFailed,
    UnknownEvent,
    WorkflowStarted,
    decode,
)
from agentrace.fold import Place, RunState, StepState, apply_to_run, apply_to_step, dispatched, unknown_step
from agentrace.query.meanings import StepMeaning, step_meaning
from agentrace.query.trees import Note, StepRow
from agentrace.store import MEANT, Damage, RunRecord

What: TypeAlias = Literal["run_began", "run_ended", "run_removed", "step_began", "step_ended", "noted", "lost"]


class Happening(Struct, frozen=True):
    """Something that happened in a run that is followed."""

    what: What
    ts: int
    """When, in Unix nanoseconds."""
    run: RunState
    """The run after it."""
    root: bytes
    """The run that was asked for; its processes and jobs belong to it."""
    status: str = ""
    """Of a run that ended: as in ``Summary``."""
    step: StepRow | None = None
    note: Note | None = None
    count: int = 0
    """Events that were lost; steps that were open when the run was interrupted."""


class LiveRun:
    """One run, told event by event."""

    def __init__(self, run_id: bytes, root: bytes, payload: Callable[[bytes, bytes], bytes]) -> None:
        self.state = RunState(run_id)
        self.root = root
        self.lane = ""
        """Where the last of its events came from; empty before one came from a lane."""
        self.finished = False
        """Whether its writer has said that nothing more comes, which it also does where the end could not be kept."""
        self.told_last = False
        """Whether its end was told."""
        self.seen_up_to = 0
        """Every event up to this one was seen."""
        self._payload = payload
        self._steps: dict[int, StepState] = {}
        self._received: dict[int, list[tuple[int, bytes]]] = {}
        self._beyond: dict[int, int] = {}

    @property
    def gap(self) -> bool:
        """Whether later events came than one that did not."""
        return bool(self._beyond)

    @property
    def open_steps(self) -> int:
        """Steps that have not ended."""
        return len(self._steps)

    def take(self, first: int, last: int, data: bytes) -> Iterator[Happening]:
        """Take in an encoded event, unless it was seen before. Raises ``CorruptRecord``."""
        if not data or last <= self.seen_up_to or first in self._beyond:
            return
        self._beyond[first] = last
        while (end := self._beyond.pop(self.seen_up_to + 1, None)) is not None:
            self.seen_up_to = end
        try:
            event = decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CorruptRecord(f"an event of run {self.state.id.hex()} cannot be read: {error}") from error
        self.state = apply_to_run(self.state, event)
        if event.seq > self.state.last_seq:
            self.state = msgspec.structs.replace(self.state, last_seq=event.seq, last_ts=event.ts)
        yield from self._happened(event, data)

    def give_up(self) -> None:
        """Take what is missing for lost: nobody has it."""
        while self._beyond:
            first = min(self._beyond)
            self.seen_up_to = max(self.seen_up_to, self._beyond.pop(first))

    def ended(self, status: str, *, removed: bool = False) -> Happening:
        """That the run is over."""
        self.told_last = True
        ended = self.state.ended
        ts = self.state.last_ts if ended is None else ended.ts
        what: What = "run_removed" if removed else "run_ended"
        return Happening(what, ts, self.state, self.root, status, count=self.open_steps)

    def _happened(self, event: AnyEvent | UnknownEvent, data: bytes) -> Iterator[Happening]:
        told = Happening("run_began", event.ts, self.state, self.root)
        if isinstance(event, WorkflowStarted):
            yield told
        elif isinstance(event, StepDispatched):
            yield msgspec.structs.replace(told, what="step_began", step=self._begun(event, data))
        elif isinstance(event, (StepCompleted, StepFailed)):
            yield msgspec.structs.replace(told, what="step_ended", step=self._over(event, data))
        elif isinstance(event, (Logged, Scored)):
            step = self._steps.get(event.step_id)
            row = None if step is None else self._row(step, StepMeaning())
            yield msgspec.structs.replace(told, what="noted", note=event, step=row)
        elif isinstance(event, EventsLost):
            yield msgspec.structs.replace(told, what="lost", count=max(0, event.to - event.seq + 1))
        elif event.step_id in self._steps:
            self._steps[event.step_id] = apply_to_step(self._steps[event.step_id], event)
            if event.step_id in self._received:
                self._received[event.step_id].append((event.seq, data))

    def _begun(self, event: StepDispatched, data: bytes) -> StepRow:
        outer: Place | None = None
        if event.parent:
            outer = (self._steps.get(event.parent) or unknown_step(event.parent, event.ts)).place
        state = self._steps[event.step_id] = dispatched(event, outer)
        if event.kind in MEANT:
            self._received[event.step_id] = [(event.seq, data)]
        return self._row(state, StepMeaning())

    def _over(self, event: StepCompleted | StepFailed, data: bytes) -> StepRow:
        known = self._steps.pop(event.step_id, None) or unknown_step(event.step_id, event.ts)
        state = apply_to_step(known, event)
        received = self._received.pop(event.step_id, None)
        if received is None:
            return self._row(state, StepMeaning())
        record = RunRecord(_OneStep(self.state.id, [*received, (event.seq, data)], self._payload))
        try:
            meant = step_meaning(record, state)
        except CorruptRecord:  # what it received is damaged, or gone: the step is told without
            meant = StepMeaning()
        return self._row(state, meant)

    def _row(self, state: StepState, meant: StepMeaning) -> StepRow:
        ended = state.ended
        return StepRow(
            0,
            True,
            self.state.id,
            state,
            state.status,
            max(0, state.started_ts - self.state.started_ts),
            0 if ended is None else ended.duration_ns,
            meant.usage,
            meant.model,
            meant.finish_reason,
            streamed=(ended is not None and ended.outcome in ("exhausted", "closed_by_consumer"))
            or state.dispatched.operation.endswith(":stream"),
        )


class _OneStep:
    """The events of one step, as the record of a run."""

    state: Literal["live", "unsealed", "sealed"] = "live"

    def __init__(
        self, run_id: bytes, events: Sequence[tuple[int, bytes]], payload: Callable[[bytes, bytes], bytes]
    ) -> None:
        self.run_id = run_id
        self.holes: list[tuple[int, int]] = []
        self._events = sorted(events, key=lambda one: one[0])
        self._payload = payload

    @property
    def damage(self) -> list[Damage]:
        return []

    def events(self, after: int = 0) -> Iterator[bytes]:
        return (data for seq, data in self._events if seq > after)

    def payload(self, digest: bytes) -> bytes:
        return self._payload(self.run_id, digest)
