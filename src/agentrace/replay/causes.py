"""Why a call is probably not the recorded one, from what differs and from what is known of both programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from agentrace.fold import StepState
from agentrace.query import RunRecord, output_of

_SHORTEST: Final = 4
"""Characters of a text below which its origin is not looked for."""
_LOOKED_BACK: Final = 200
"""Recorded steps whose outputs are searched."""


def _nothing() -> Sequence[str]:
    return ()


class Circumstances(Struct, frozen=True):
    """What is known beside the calls themselves."""

    entry: Sequence[str] = ()
    """How command line and standard input differ from the recorded ones."""
    changed_modules: Callable[[], Sequence[str]] = _nothing
    """Modules of the program whose source is not the recorded one."""
    incomplete: bool = False
    """Whether the record has no end, or lacks events."""
    hash_seed_differs: bool = False
    shared: bool = False
    """Whether the order of some of the recorded calls was a matter of timing."""
    imported: bool = False
    """Whether the record was made of a cassette."""


class _Volatile(Struct, frozen=True):
    """A kind of text that is another one each time."""

    what: str
    pattern: re.Pattern[str]
    remedy: str


_VOLATILE: Final = (
    _Volatile(
        "a UUID",
        re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"),
        "record with `agentrace run --patch uuid`, or ask agentrace.uuid4()",
    ),
    _Volatile(
        "a date or time",
        re.compile(
            r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d\d:\d\d(?::\d\d)?\b"
        ),
        "record with `agentrace run --patch time`, or ask agentrace.now()",
    ),
    _Volatile(
        "an address in memory",
        re.compile(r"\b0x[0-9a-f]{6,}\b"),
        "do not put the repr() of objects into arguments",
    ),
    _Volatile(
        "a number",
        re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"),
        "record with `agentrace run --patch time,random`, or ask agentrace.now() and agentrace.random()",
    ),
)


def likely_cause(code: str, recorded: Any, live: Any, known: Circumstances) -> tuple[str, str, str]:
    """The cause, its evidence and what to do; the most certain cause first."""
    if code == "RECORD_INCOMPLETE" or (known.incomplete and code in ("CALL_EXTRA", "CALL_MISSING")):
        return (
            "the record is incomplete",
            "the recorded process died, or events of it are lost" if known.incomplete else "",
            "replay a run that came to its end",
        )
    for entry in known.entry:
        return "the input changed", entry, "start the program as it was started, or record this input"
    changed = list(known.changed_modules())
    if changed:
        return (
            "the code changed",
            f"the source of {', '.join(changed[:4])} is not the recorded one",
            "check out the recorded code, or record again",
        )
    if known.shared and code in ("CALL_CHANGED", "CALL_MOVED", "CALL_OUT_OF_ORDER"):
        return (
            "the order of these calls is a matter of timing",
            "several tasks, threads or processes shared a flow or took jobs from one queue in the recorded run",
            "give each job a place of its own: a task, a pool's submit(), or agentrace.run(parent=agentrace.carry())",
        )
    if code == "CALL_CHANGED":
        for volatile in _VOLATILE:
            if _only(volatile.pattern, recorded, live):
                return "nondeterminism that is not recorded", f"only {volatile.what} differs", volatile.remedy
        if _reordered(recorded, live):
            seed = "the hash seed is another one" if known.hash_seed_differs else "the same items in another order"
            return (
                "nondeterminism that is not recorded",
                f"{seed}: a set, perhaps",
                "sort what is taken from a set; `agentrace run` makes the hash seed known",
            )
    if known.imported:
        return (
            "the request is not among the cassette's",
            "recorders that compare methods and URLs answer it all the same",
            "record the cassette again with the program and the libraries of today",
        )
    return (
        "unknown: the code and the input are the recorded ones, as far as that is known",
        "",
        "look at what the program read since: files, the clock, random numbers, shared state of threads",
    )


def _only(pattern: re.Pattern[str], recorded: Any, live: Any) -> bool:
    one, other = (json.dumps(value, sort_keys=True, default=repr) for value in (recorded, live))
    return one != other and pattern.sub("~", one) == pattern.sub("~", other)


def _reordered(recorded: Any, live: Any) -> bool:
    return all(_sorted(one) == _sorted(other) for one, other in _differing(recorded, live)) and recorded != live


def _sorted(value: Any) -> Any:
    if isinstance(value, str):
        return sorted(re.findall(r"\w+", value))
    return sorted(map(repr, value)) if isinstance(value, list) else value


def _differing(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """The smallest pairs of values that differ; of lists in another order the lists."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        for key in one:
            yield from _differing(one[key], other[key])
    elif (
        isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and _sorted(one) != _sorted(other)
    ):
        for left, right in zip(one, other, strict=True):
            yield from _differing(left, right)
    elif one != other:
        yield one, other


def origins(record: RunRecord, step: StepState, recorded: Any, live: Any) -> list[str]:
    """Which earlier outputs the differing recorded texts came from, in words."""
    told: list[str] = []
    for one, other in list(_differing(recorded, live))[:_SHORTEST]:
        text = _changed_part(one, other)
        origin = _origin(record, step, text) if len(text) >= _SHORTEST else None
        if origin is not None:
            told.append(
                f"the recorded {text[:40]!r} came from the output of {origin.kind} {origin.name} (step {origin.id})"
            )
    return told


def _changed_part(one: Any, other: Any) -> str:
    """What of a recorded text is not in the live one."""
    if not isinstance(one, str):
        return str(one)
    if not isinstance(other, str):
        return one
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    end = next(
        (i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), min(len(one), len(other))
    )
    start = one.rfind(" ", 0, start) + 1  # whole words
    stop = max(start, len(one) - end)
    after = one.find(" ", stop)
    return one[start : len(one) if after < 0 else after]


def _origin(record: RunRecord, step: StepState, text: str) -> StepState | None:
    earlier = [other for other in record.trace.steps.values() if other.id < step.id and other.ended is not None]
    needle = json.dumps(text, ensure_ascii=False)[1:-1]
    for other in reversed(earlier[-_LOOKED_BACK:]):
        if needle in json.dumps(output_of(record, other), ensure_ascii=False, default=repr):
            return other
    return None
