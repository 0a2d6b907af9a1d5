"""The recorded calls of a run as a replay needs them: where each was made, what it was given, and how it ended."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from agentrace import events
from agentrace.canonical.foreign_json import SUMMARY
from agentrace.capture.step import Step
from agentrace.fold import StepState, boundaries
from agentrace.query import RunRecord
from agentrace.replay.marks import Order, recorded_order

GENERATOR_EXIT: Final = "builtins:GeneratorExit"
_MARK: Final = re.compile(r"⟨redacted:[a-z0-9-]{1,48}⟩|\bredacted-[a-z0-9-]{1,48}")
"""What stands for a secret in a record, and what a replay serves in its place (see ``exchanges``)."""


class Call(Struct, frozen=True):
    """A boundary step of the source run, which answers one call of the program."""

    state: StepState
    flow: str
    """The flow that made the call: enclosing path and hops."""

    @property
    def id(self) -> int:
        """The source step."""
        return self.state.id

    @property
    def asked(self) -> tuple[str, str, str]:
        """Kind, name and operation."""
        sent = self.state.dispatched
        return sent.kind, sent.name, sent.operation

    @property
    def ended(self) -> str:
        """The step's outcome; empty if the record ends before it did."""
        return "" if self.state.ended is None else self.state.ended.outcome


class Value(Struct, frozen=True):
    """A recorded value that the program asked for, such as the time."""

    mark: int
    """What stands for a step in the recorded order."""
    source: str
    label: str
    value: Raw


class Taped(Struct, frozen=True):
    """A run as a tape."""

    record: RunRecord
    calls: Mapping[str, Sequence[Call]]
    """By flow, in program order."""
    values: Mapping[str, Sequence[Value]]
    """The same for recorded values."""
    order: Order
    others: Mapping[tuple[str, int], int]
    """Steps that are executed again, by flow and ordinal."""
    over: bool
    """Whether the recorded program came to its end."""
    whole: bool
    """Whether the record goes on to that end without a gap."""


def taped(record: RunRecord) -> Taped:
    """What a replay needs of a run.

    Behind the first event that is missing nobody can say whether a call is the next one, so nothing is answered there.
    """
    trace = record.trace
    until = _known_until(record)
    calls: dict[str, list[Call]] = defaultdict(list)
    answered = boundaries(trace.steps)
    for step in answered:
        if step.dispatched.seq < until:
            known = step if step.ended is None or step.ended.seq <= until else replace(step, ended=None)
            calls[flow_of(step)].append(Call(known, flow_of(step)))
    ids = {step.id for step in answered}
    others = {(flow_of(s), s.dispatched.ordinal): s.id for s in trace.steps.values() if s.id not in ids}
    over = trace.run.ended is not None
    whole = over and until == sys.maxsize
    order = recorded_order(trace, (event for event in record.events if event.seq < until), whole=whole)
    return Taped(record, calls, _values(record), order, others, over, whole)


def _known_until(record: RunRecord) -> int:
    """Position of the first event that is missing."""
    lost = (event.seq for event in record.events if isinstance(event, events.EventsLost))
    return min((*(first for first, _ in record.holes), *islice(lost, 1)), default=sys.maxsize)


def flow_of(step: StepState) -> str:
    """The flow that dispatched a recorded step."""
    return f"{step.outer_path}|{step.dispatched.flow}"


def flow_key(step: Step) -> str:
    """The flow that made a live call, as :class:`Call` names it."""
    return f"{step.outer.step_path}|{step.outer.path}"


def asked_of(step: Step) -> tuple[str, str, str]:
    """Kind, name and operation of a live call, as :class:`Call` tells them."""
    return step.spec.kind, step.spec.name, step.spec.operation


def _values(record: RunRecord) -> dict[str, list[Value]]:
    steps = record.trace.steps
    found: dict[str, list[Value]] = defaultdict(list)
    for event in record.events:
        if isinstance(event, events.ValueRecorded):
            enclosing = steps.get(event.parent)
            outer = "" if enclosing is None else enclosing.path
            found[f"{outer}|{event.flow}"].append(Value(-event.seq, event.source, event.label, event.value))
    return found


def closing_error(step: StepState) -> bool:
    """Whether a generator raised while it was being closed."""
    failure = step.failure
    return failure is not None and any(cause.type == GENERATOR_EXIT for cause in failure.causes)


def alike(recorded: Any, live: Any) -> bool:
    """Whether two arguments, as JSON, are the same as far as the record can tell."""
    told = plain(recorded)
    return bool(told == plain(live) or told == plain(_as_told(recorded, live)))


def _as_told(recorded: Any, live: Any) -> Any:
    """``live``, described where the record only describes an object of the same type, as one of an earlier version."""
    if isinstance(recorded, Mapping) and isinstance(live, Mapping):
        if "$opaque" in recorded and SUMMARY in live and recorded.get("type") == live.get("$type"):
            return recorded
        return {key: _as_told(recorded.get(key), item) for key, item in live.items()}
    if isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
        return [_as_told(one, other) for one, other in zip(recorded, live, strict=True)]
    return live


def plain(value: Any) -> Any:
    """Values that compare equal only if they are of the same type: JSON's 1, 1.0 and true are three things."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return "float", repr(value)  # -0.0 is another number
    if isinstance(value, str) and "redacted" in value:
        return "str", _MARK.sub("⟨redacted⟩", value)  # a secret is a secret, whatever it was taken for
    return type(value).__name__, value
