"""Tool calls that can be read in the messages of a run, but that nothing intercepted.

A model asks for a tool by name; a later request tells it the result. Where no step of that name was recorded
in between, the call is *inferred*: its arguments and its result are known, and when it ran is not.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from agentrace.fold import StepState
from agentrace.store import MEANT, RunRecord, ToolCall


class Inferred(Struct, frozen=True):
    """One tool call that was read in the messages."""

    asked_by: int
    """The model step that asked for it."""
    call_id: str
    name: str
    arguments: Any
    """JSON data, or text if what the model wrote is no JSON."""
    answered: bool
    """Whether a later request tells a result, so that the program did run something."""
    result: Any = None
    """As that request tells it."""


def inferred(record: RunRecord) -> list[Inferred]:
    """The inferred tool calls of a run, in the order in which they were asked for."""
    steps = record.trace.steps
    asking = [(step.id, call) for step in record.meant for call in _calls(record, step)]
    open_calls = _not_intercepted(asking, steps)
    results = _results(record, open_calls)
    return [
        Inferred(
            asked_by,
            call.id,
            call.name,
            call.arguments,
            (asked_by, call.id) in results,
            results.get((asked_by, call.id)),
        )
        for asked_by, call in open_calls
    ]


def _calls(record: RunRecord, step: StepState) -> Iterable[ToolCall]:
    facts = record.facts(step.id, request=False)
    return () if facts is None else facts.tool_calls


def _not_intercepted(asking: list[tuple[int, ToolCall]], steps: Mapping[int, StepState]) -> list[tuple[int, ToolCall]]:
    """The calls that are left when each recorded step took the first call of its name that came before it."""
    if not asking:
        return []
    waiting: dict[str, deque[int]] = defaultdict(deque)
    for step in steps.values():
        if step.kind not in MEANT:
            waiting[step.name.rpartition(".")[2]].append(step.id)
    left: list[tuple[int, ToolCall]] = []
    for asked_by, call in asking:
        recorded = waiting[call.name]
        while recorded and recorded[0] < asked_by:
            recorded.popleft()
        if recorded:
            recorded.popleft()
        else:
            left.append((asked_by, call))
    return left


def _results(record: RunRecord, calls: list[tuple[int, ToolCall]]) -> dict[tuple[int, str], Any]:
    """What later requests tell of the calls, by model step and call id. Only requests that may tell are read."""
    found: dict[tuple[int, str], Any] = {}
    if not calls:
        return found
    pending: dict[str, int] = {}
    upcoming = deque(calls)
    for step in record.meant:
        if pending:
            facts = record.facts(step.id)
            for result in () if facts is None else facts.tool_results:
                if result.id in pending:
                    found[pending.pop(result.id), result.id] = result.content
        while upcoming and upcoming[0][0] <= step.id:
            asked_by, call = upcoming.popleft()
            pending[call.id] = asked_by
    return found
