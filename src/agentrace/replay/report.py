"""What a person is told of a divergence: what was expected, what came, where they differ, why, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from agentrace.capture.arguments import counting
from agentrace.capture.step import Step
from agentrace.query import input_of
from agentrace.replay.calls import Call, Taped
from agentrace.replay.causes import Circumstances, likely_cause, origins
from agentrace.replay.differences import differences

UNKNOWN: Final = Circumstances()

_NEAR: Final = 3
"""Recorded calls that are told as nearest."""
_LOOKED_AT: Final = 300
"""Recorded calls that are compared with a call that is not among them."""
_ALIKE: Final = 0.6
_COMPARED: Final = 2_000
"""Characters of the arguments that are compared."""
_PIECE: Final = 3
"""Characters of the pieces by which they are compared."""


class Found(Struct, frozen=True):
    """What kind of divergence a call is."""

    code: str
    expected: Call | None
    """The recorded call that was next."""
    instead: Call | None = None
    """The recorded call that answers it where divergences are only observed."""
    again: bool = False
    """Whether it is the call that was answered last, made once more."""

    @property
    def expected_id(self) -> int:
        """The source step that was next, or else the one that it was taken for; 0 for none."""
        call = self.expected or self.instead
        return 0 if call is None else call.id

    def headline(self, name: str) -> str:
        """The divergence in a sentence."""
        expected = "" if self.expected is None else self.expected.asked[1]
        instead = 0 if self.instead is None else self.instead.id
        headline = _AGAIN if self.again else _HEADLINES[self.code]
        return headline.format(name=name, expected=expected, instead=instead)


_HEADLINES: Final[Mapping[str, str]] = {
    "CALL_CHANGED": "the program calls {name} with other arguments than the recorded run",
    "CALL_EXTRA": "the program makes a call that the recorded run did not make here",
    "CALL_MISSING": "the program calls {name}; the recorded run called {expected} before that",
    "CALL_OUT_OF_ORDER": "the program makes a call that the recorded run made later here, as step {instead}",
    "CALL_MOVED": "the program makes a call that the recorded run made elsewhere, as step {instead}",
    "RECORD_INCOMPLETE": "the record ends before this call",
}

_AGAIN: Final = "the program makes a call of {name} again that the recorded run does not repeat here"

CODES: Final[Sequence[tuple[str, str]]] = (
    ("is only described, so it cannot be compared", "SIGNATURE_OPAQUE"),
    ("the process died", "RECORD_INCOMPLETE"),
    ("of it is lost", "RECORD_INCOMPLETE"),
    ("of it are lost", "RECORD_INCOMPLETE"),
    ("(privacy_risk)", "PRIVACY_RISK"),
    ("was imported from a cassette", "IMPORTED"),
)
"""What a caveat says, and its code."""


def coded(caveats: Sequence[str]) -> list[str]:
    """Caveats with the codes that they have."""
    return [next((f"{code}: {text}" for phrase, code in CODES if phrase in text), text) for text in caveats]


def nearest(source: Taped, asked: tuple[str, str, str], live: Any, path: str) -> list[tuple[float, Call]]:
    """The recorded calls that are most like a live one, with how alike they are (0 to 1)."""
    calls = [call for made in source.calls.values() for call in made if call.asked == asked]
    calls.sort(key=lambda call: (call.state.path != path, call.id))
    told = _pieces(live)
    scored = [(_likeness(told, _pieces(input_of(source.record, call.state))), call) for call in calls[:_LOOKED_AT]]
    scored.sort(key=lambda pair: (-pair[0], pair[1].id))
    return [pair for pair in scored[:_NEAR] if pair[0] >= _ALIKE]


def _pieces(value: Any) -> Counter[str]:
    text = repr(value)[:_COMPARED]
    return Counter(text[at : at + _PIECE] for at in range(max(1, len(text) - _PIECE + 1)))


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """The share of pieces that two texts have in common, 0 to 1. Its cost does not grow with what they repeat."""
    common = sum(min(count, other[piece]) for piece, count in one.items() if piece in other)
    return 2 * common / (one.total() + other.total())


def told_divergence(
    headline: str,
    found: Found,
    source: Taped | None,
    step: Step | None,
    live: Any,
    circumstances: Circumstances,
    *,
    near: Sequence[tuple[float, Call]] = (),
) -> str:
    """The whole report."""
    lines = [headline]
    record = None if source is None else source.record
    expected = found.expected
    ignored = () if step is None else step.spec.ignore
    if expected is not None and record is not None:
        what = "expected" if step is not None else "next recorded"
        given = counting(input_of(record, expected.state), ignored)
        lines += [f"  {what}: {_told(expected)}{_site(expected)}", _shown(given)]
    if step is not None:
        lines += [f"  observed: {step.spec.kind} {step.spec.name} (step {step.id}) in {step.path}", _shown(live)]
    asked = None if step is None else (step.spec.kind, step.spec.name)
    compared = expected if expected is not None and expected.asked[:2] == asked else None
    recorded = None if compared is None or record is None else counting(input_of(record, compared.state), ignored)
    if compared is not None and record is not None:
        lines += ["  differs:", *(f"    {line}" for line in differences(recorded, live))]
        lines += [f"  {line}" for line in origins(record, compared.state, recorded, live)]
    others = [(score, call) for score, call in near if compared is None or call.id != compared.id]
    if others:
        lines.append("  nearest recorded calls:")
        lines += [f"    {_told(call)} in {call.state.path}, {score:.0%} alike" for score, call in others]
    cause, evidence, remedy = likely_cause(found.code, recorded, live, circumstances)
    lines.append(f"  likely cause: {cause} ({evidence})" if evidence else f"  likely cause: {cause}")
    lines.append(f"  what to do: {remedy}")
    return "\n".join(lines)


def _told(call: Call) -> str:
    return f"{call.asked[0]} {call.asked[1]} (step {call.id})"


def _site(call: Call) -> str:
    site = call.state.dispatched.call_site
    return f" at {site}" if site else ""


def _shown(value: Any, limit: int = 600) -> str:
    text = repr(value)
    return f"    with {text if len(text) <= limit else text[:limit] + f'... ({len(text)} characters)'}"
