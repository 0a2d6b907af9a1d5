"""Events into states: every function here is pure, and every prefix of a record folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec.structs import replace

from agentrace.events import (
    AnyEvent,
    ApprovalApplied,
    ApprovalRequested,
    CostRecalculated,
    EventsLost,
    ExchangeAnswered,
    ExchangeEnded,
    ExchangeStarted,
    ExecutionAborted,
    Logged,
    ReplayDiverged,
    Scored,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StreamChunks,
    TokensUpdated,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowDescribed,
    WorkflowFailed,
    WorkflowStarted,
)
from agentrace.fold.states import ExchangeState, Place, RunState, StepState, Trace

VERSION: Final = 1
"""Raised whenever the same events fold into another state; what is derived from states is stamped with it."""

# --- the run ------------------------------------------------------------------------------------------------


def apply_to_run(state: RunState, event: AnyEvent | UnknownEvent) -> RunState:
    """The run after one more of its events, whichever step it belongs to."""
    change = _RUN.get(type(event))
    return state if change is None else change(state, event)


def _step_ended(state: RunState, event: Any) -> RunState:
    failed = isinstance(event, StepFailed) and event.outcome != "cancelled"
    return replace(state, open_steps=state.open_steps - 1, failed_steps=state.failed_steps + failed)


def _first_divergence(state: RunState, event: Any) -> RunState:
    known = state.diverged
    return state if known is not None and known.seq < event.seq else replace(state, diverged=event)


_RUN: Final[dict[type, Callable[[RunState, Any], RunState]]] = {
    StepDispatched: lambda s, _: replace(s, steps=s.steps + 1, open_steps=s.open_steps + 1),
    StepCompleted: _step_ended,
    StepFailed: _step_ended,
    WorkflowStarted: lambda s, event: replace(s, started=event),
    WorkflowDescribed: lambda s, event: replace(s, described=event),
    WorkflowCompleted: lambda s, event: replace(s, ended=event),
    WorkflowFailed: lambda s, event: replace(s, ended=event),
    ExecutionAborted: lambda s, event: replace(s, aborted=event),
    ReplayDiverged: _first_divergence,
    EventsLost: lambda s, event: replace(s, missing=s.missing + max(0, event.to - event.seq + 1)),
    ApprovalRequested: lambda s, _: replace(s, approvals_pending=s.approvals_pending + 1),
    ApprovalApplied: lambda s, _: replace(s, approvals_pending=s.approvals_pending - 1),
    UnknownEvent: lambda s, _: replace(s, unknown=s.unknown + 1),
}

# --- its steps ----------------------------------------------------------------------------------------------


def dispatched(event: StepDispatched, outer: Place | None) -> StepState:
    """The step that ``event`` begins, inside the step at ``outer``."""
    hops = f"/{event.flow}" if event.flow else ""
    return StepState(event.step_id, Place(outer, f"{hops}/{event.name}#{event.ordinal}"), event)


def unknown_step(step_id: int, ts: int) -> StepState:
    """A step of which only something later than its beginning is in the record."""
    return StepState(step_id, Place(None, f"/?#{step_id}"), StepDispatched(0, step_id, ts, "", "?"))


def apply_to_step(state: StepState, event: AnyEvent | UnknownEvent) -> StepState:
    """The step after one more of its events, other than its beginning."""
    change = _STEP.get(type(event))
    return state if change is None else change(state, event)


def _chunks_came(state: StepState, event: Any) -> StepState:
    first = state.seen_first_chunk_ns or (event.chunks[0].at_ns if event.chunks else 0)
    return replace(state, seen_chunks=state.seen_chunks + len(event.chunks), seen_first_chunk_ns=first)


_STEP: Final[dict[type, Callable[[StepState, Any], StepState]]] = {
    StepCompleted: lambda s, event: replace(s, ended=event),
    StepFailed: lambda s, event: replace(s, ended=event),
    StreamChunks: _chunks_came,
    ExchangeStarted: lambda s, _: replace(s, seen_exchanges=s.seen_exchanges + 1),
    TokensUpdated: lambda s, event: replace(s, usage=event),
    CostRecalculated: lambda s, event: replace(s, cost_nano_usd=s.cost_nano_usd + event.amount_nano_usd),
    Logged: lambda s, _: replace(s, notes=s.notes + 1),
    Scored: lambda s, _: replace(s, notes=s.notes + 1),
}

# --- their exchanges ----------------------------------------------------------------------------------------


def apply_to_exchange(state: ExchangeState, event: AnyEvent | UnknownEvent) -> ExchangeState:
    """The exchange after one more of its events."""
    change = _EXCHANGE.get(type(event))
    return state if change is None else change(state, event)


_EXCHANGE: Final[dict[type, Callable[[ExchangeState, Any], ExchangeState]]] = {
    ExchangeStarted: lambda s, event: replace(s, started=event),
    ExchangeAnswered: lambda s, event: replace(s, answered=event),
    ExchangeEnded: lambda s, event: replace(s, ended=event),
}

# --- all together -------------------------------------------------------------------------------------------


class Folder:
    """The states of one run, kept while its events come in. The order of unrelated steps does not matter.

    The two events that every step has are told by comparing types and counted here, the others go by the tables.
    """

    def __init__(self, run_id: bytes) -> None:
        self._run = RunState(run_id)
        self._steps: dict[int, StepState] = {}
        self._exchanges: dict[int, dict[int, ExchangeState]] = {}
        self._last_seq = self._last_ts = 0
        self._begun = self._completed = 0

    def add(self, event: AnyEvent | UnknownEvent) -> None:
        """Take in one event."""
        self.extend((event,))

    def extend(self, happened: Iterable[AnyEvent | UnknownEvent]) -> None:
        """Take in events, in order."""
        steps, last_seq, last_ts = self._steps, self._last_seq, self._last_ts
        for event in happened:
            if event.seq > last_seq:
                last_seq, last_ts = event.seq, event.ts
            step_id = event.step_id
            if type(event) is StepDispatched:
                self._begun += 1
                parent = event.parent
                outer = (steps.get(parent) or unknown_step(parent, event.ts)).place if parent else None
                steps[step_id] = dispatched(event, outer)
            elif type(event) is StepCompleted and step_id in steps:
                self._completed += 1
                s = steps[step_id]
                seen = s.seen_chunks, s.seen_exchanges, s.seen_first_chunk_ns
                steps[step_id] = StepState(
                    step_id, s.place, s.dispatched, event, *seen, s.usage, s.cost_nano_usd, s.notes
                )
            else:
                self._add_other(event)
        self._last_seq, self._last_ts = last_seq, last_ts

    def _add_other(self, event: AnyEvent | UnknownEvent) -> None:
        kind, step_id = type(event), event.step_id
        change_run = _RUN.get(kind)
        if change_run is not None:
            self._run = change_run(self._run, event)
        change_step = _STEP.get(kind) if step_id else None
        if change_step is not None:
            step = self._steps.get(step_id) or unknown_step(step_id, event.ts)
            self._steps[step_id] = change_step(step, event)
        change_exchange = _EXCHANGE.get(kind)
        if change_exchange is not None:
            number: int = event.exchange  # type: ignore[union-attr]  # the table's kinds have one
            known = self._exchanges.get(step_id) or self._exchanges.setdefault(step_id, {})
            known[number] = change_exchange(known.get(number) or ExchangeState(step_id, number), event)

    def trace(self) -> Trace:
        """The states now."""
        run = replace(
            self._run,
            steps=self._run.steps + self._begun,
            open_steps=self._run.open_steps + self._begun - self._completed,
            last_seq=self._last_seq,
            last_ts=self._last_ts,
        )
        exchanges = {step_id: dict(sorted(known.items())) for step_id, known in self._exchanges.items()}
        return Trace(run, _by_id(self._steps), exchanges)


def _by_id(steps: dict[int, StepState]) -> dict[int, StepState]:
    ids = list(steps)
    in_order = sorted(ids)
    return steps.copy() if ids == in_order else {step_id: steps[step_id] for step_id in in_order}


def fold(run_id: bytes, events: Iterable[AnyEvent | UnknownEvent]) -> Trace:
    """The states after all of ``events``."""
    folder = Folder(run_id)
    folder.extend(events)
    return folder.trace()
