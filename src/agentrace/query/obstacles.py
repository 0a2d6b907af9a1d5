"""Whether a run can be replayed, told at record time and not when a replay fails: yes, or no and because of what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from agentrace.canonical import tags
from agentrace.events import Chunk, StepCompleted, Value
from agentrace.fold import StepState, boundaries
from agentrace.query.inferring import Inferred
from agentrace.store import RunRecord

REDACTED: Final = re.compile(rb"(?:\xe2\x9f\xa8|\\u27[eE]8)redacted:")
"""The mark that redaction leaves in a body, as UTF-8 and as JSON escapes it."""
_REDACTED_VALUES: Final = frozenset({tags.REDACTED, tags.REDACTED_BYTES})
_MAY_HOLD: Final = re.compile(b"[%c%c%c]" % (tags.PAYLOAD, tags.REDACTED, tags.REDACTED_BYTES))
_MAY_DESCRIBE: Final = re.compile(b"[%c%c]" % (tags.PAYLOAD, tags.OPAQUE))
_SHOWN: Final = 5
_SHARED: Final = "several tasks or threads shared a flow, or trio or gevent chose whose turn it was"

_FROM_A_CASSETTE: Final = (
    "it was imported from a cassette, which does not tell where in the program calls were made, nor how they were"
    " ordered: a replay finds them by what they ask for"
)


class Replayable(Struct, frozen=True):
    """What stands in the way of an exact replay."""

    because: Sequence[str] = ()
    """Why a replay cannot be exact; empty if it can."""
    caveats: Sequence[str] = ()
    """What a replay that succeeds will still have to say."""

    @property
    def yes(self) -> bool:
        """Whether the run can be replayed."""
        return not self.because


def replayable(record: RunRecord, calls: Sequence[Inferred]) -> Replayable:
    """What stands in the way of replaying a run of which ``calls`` were inferred."""
    answered = boundaries(record.trace.steps)
    because = [reason for look in _OBSTACLES for reason in look(record, answered, calls)]
    caveats = [caveat for look in _CAVEATS for caveat in look(record, answered, calls)]
    return Replayable(because, caveats)


_Look = Callable[[RunRecord, Sequence[StepState], Sequence[Inferred]], Iterator[str]]

# --- what stands in the way ---------------------------------------------------------------------------------


def _without_an_end(record: RunRecord, _: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    if record.cut_short:
        yield "the record is cut off: a replay follows the program up to there"
    elif record.interrupted:
        yield "the process died: a replay follows the program up to there"
    elif record.trace.run.status in ("pending", "running"):
        yield "the run is still going on"


def _not_all_there(record: RunRecord, _: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    lost = record.trace.run.lost + sum(last - first + 1 for first, last in record.holes)
    if lost:
        yield f"{_counted(lost, 'event')} of it {'is' if lost == 1 else 'are'} lost"
    if record.damage:
        yield "its record is damaged: `agentrace verify` tells where"
    unknown = record.trace.run.unknown
    if unknown:
        yield f"{_counted(unknown, 'event')} of it {'was' if unknown == 1 else 'were'} written by a newer agentrace"


def _not_recorded(record: RunRecord, _: Sequence[StepState], calls: Sequence[Inferred]) -> Iterator[str]:
    tools = Counter(call.name for call in calls if call.answered)
    described = record.trace.run.described
    missing = {} if described is None else described.missing_tools
    for name, count in tools.items():
        advice = missing.get(name, f"record with --tools {name}")
        if record.trace.run.origin.imported:
            advice = "a cassette holds no functions, so it runs again on a replay"
        yield f"the tool {name} ran {_times(count)} without being recorded: {advice}"
    if described is not None:
        yield from described.unsupported


def _described_only(record: RunRecord, answered: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    opaque = [s for s in answered if isinstance(s.ended, StepCompleted) and s.ended.fidelity == "opaque"]
    if opaque:
        yield f"the record only describes what {_steps(opaque)} returned{_reason(record, opaque[0])}"
    elements = [step for step in answered if any(_is_described(record, chunk) for chunk in record.elements(step.id))]
    if elements:
        yield f"the record only describes what {_steps(elements)} handed over"
    missing = [
        s
        for s in answered
        if isinstance(s.ended, StepCompleted) and s.ended.fidelity == "exchange" and not s.seen_exchanges
    ]
    if missing:
        yield f"what {_steps(missing)} received came over a wire that is not recorded"


def _reason(record: RunRecord, step: StepState) -> str:
    """Why the first value in an output is only described; empty if the record does not say."""
    told = record.described_only(step.ended.output) if isinstance(step.ended, StepCompleted) else None
    return "" if told is None or not told[2] else f": {told[0].rpartition(':')[2]}, {told[2]}"


def _unended(record: RunRecord, answered: Sequence[StepState], _: Sequence[Inferred]) -> Iterator[str]:
    open_steps = [step for step in answered if step.ended is None]
    if open_steps and record.trace.run.ended is not None:
        yield f"{_steps(open_steps)} had not ended when the run did"


def _kept_secret(record: RunRecord, _: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    if "privacy_risk" in record.trace.run.health:
        yield "redaction could not look at all of it (privacy_risk)"


_OBSTACLES: Final[tuple[_Look, ...]] = (
    _without_an_end,
    _not_all_there,
    _not_recorded,
    _described_only,
    _unended,
    _kept_secret,
)

# --- what it will have to say -------------------------------------------------------------------------------


def _hash_seed(record: RunRecord, _: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    started = record.trace.run.started
    if started is None or not (started.hash_seed or started.origin.imported):
        yield "the hash seed is unknown, so sets may iterate otherwise: record with `agentrace run`"


def _imported(record: RunRecord, answered: Sequence[StepState], _: Sequence[Inferred]) -> Iterator[str]:
    if not record.trace.run.origin.imported:
        return
    yield _FROM_A_CASSETTE
    alike: dict[tuple[str, bytes], list[StepState]] = {}
    for step in answered:
        alike.setdefault((f"{step.name} {step.dispatched.operation}", bytes(step.dispatched.input)), []).append(step)
    for steps in alike.values():
        if len(steps) > 1 and len({_received(record, step) for step in steps}) > 1:
            yield f"{_steps(steps)} asked for the same: a replay hands their answers out in the cassette's order"


def _received(record: RunRecord, step: StepState) -> bytes:
    return b"".join(piece for exchange in record.exchanges(step.id) for piece in exchange.body)


def _timing(record: RunRecord, answered: Sequence[StepState], _: Sequence[Inferred]) -> Iterator[str]:
    shared = [step for step in answered if step.dispatched.shared]
    if shared and not record.trace.run.origin.imported:
        yield f"the order of {_steps(shared)} was a matter of timing: {_SHARED}"


def _arguments(_: RunRecord, answered: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    opaque = [step for step in answered if step.dispatched.fidelity == "opaque"]
    if opaque:
        yield f"an argument of {_steps(opaque)} is only described, so it cannot be compared"


def _types(_: RunRecord, answered: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    found = [s for s in answered if isinstance(s.ended, StepCompleted) and s.ended.fidelity == "structural"]
    if found:
        yield f"what {_steps(found)} returned comes back with the same content in a plainer type"


def _redacted(record: RunRecord, answered: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    found = [step for step in answered if _serves_a_mark(record, step)]
    if found:
        yield f"what {_steps(found)} received held a secret: a replay serves a mark in its place"


def _own_faults(record: RunRecord, _: Sequence[StepState], __: Sequence[Inferred]) -> Iterator[str]:
    ended = record.trace.run.ended
    if ended is not None and ended.faults:
        yield f"agentrace itself failed {_times(ended.faults)} while it recorded"


_CAVEATS: Final[tuple[_Look, ...]] = (_imported, _hash_seed, _timing, _arguments, _types, _redacted, _own_faults)


def _is_described(record: RunRecord, chunk: Chunk) -> bool:
    """Whether an element that a replay would hand over is not in the record."""
    if chunk.op != "yield" or _MAY_DESCRIBE.search(chunk.data) is None:
        return False
    return tags.OPAQUE in record.tags_in(chunk.data)


def _serves_a_mark(record: RunRecord, step: StepState) -> bool:
    """Whether something that a replay would hand to the program was taken out of the record."""
    if isinstance(step.ended, StepCompleted) and _holds_redacted(record, step.ended.output):
        return True
    if any(_holds_redacted(record, chunk.data) for chunk in record.elements(step.id)):
        return True
    return any(REDACTED.search(b"".join(exchange.body)) for exchange in record.exchanges(step.id))


def _holds_redacted(record: RunRecord, value: Value) -> bool:
    # Most values are plain: without one of these bytes there can be neither a mark nor a reference in them.
    return _MAY_HOLD.search(value) is not None and any(code in _REDACTED_VALUES for code in record.tags_in(value))


# --- words --------------------------------------------------------------------------------------------------


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _steps(steps: Sequence[StepState]) -> str:
    """``step 3 (tool lookup)`` or ``steps 3, 5, 6, 7, 9 and 12 more``."""
    if len(steps) == 1:
        return f"step {steps[0].id} ({steps[0].kind} {steps[0].name})"
    ids = ", ".join(str(step.id) for step in steps[:_SHOWN])
    return f"steps {ids}" + (f" and {len(steps) - _SHOWN:,} more" if len(steps) > _SHOWN else "")
