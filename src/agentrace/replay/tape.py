"""The tape: which recorded step answers which live call.

Every flow of the program (a step's inside, a task, a thread) has one cursor over the boundary steps that the same
flow recorded. A call is answered by the step under the cursor if it is the same call: kind, name, operation and
arguments. Anything else stops the replay, with what was expected and what was observed; a call is never answered by
"the next one".
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from agentrace.capture.answers import Answer
from agentrace.capture.step import Step
from agentrace.errors import ReplayDivergence, ValueUndecodable
from agentrace.events import Failure
from agentrace.exchanges import Recorded
from agentrace.replay.differences import differences
from agentrace.replay.failures import rebuilt

MOST_RAISES: Final = 1000
"""Divergences raised before the process is ended, for programs that catch everything and go on."""


class TapeStep(Struct, frozen=True):
    """A boundary step of the source run, ready to answer."""

    id: int
    flow: str
    """The flow that made the call: enclosing path and hops."""
    kind: str
    name: str
    operation: str
    input: Any
    """The arguments as JSON data."""
    call_site: str
    ended: str
    """The step's outcome; empty if the record ends before it did."""
    output: Raw
    output_fidelity: str
    failure: Failure | None
    chunks: Sequence[tuple[str, Raw]]
    exchanges: Sequence[Recorded]


class Divergence(Struct, frozen=True):
    """Why a replay stopped."""

    code: str
    report: str
    step_id: int
    """The live step."""
    expected_step: int
    """The source step that was next; 0 for none."""


class ExactTape:
    """Answers the boundary steps of one process from a source run; safe to use from several threads."""

    def __init__(
        self,
        steps: Sequence[TapeStep],
        *,
        read_source: Callable[[Raw], Any],
        read_live: Callable[[Raw], Any],
        caveats: Sequence[str],
        on_divergence: Callable[[Divergence, Step | None], None],
        give_up: Callable[[], None],
        whole: bool = True,
    ) -> None:
        self._cursors: dict[str, list[TapeStep]] = defaultdict(list)
        for step in reversed(steps):
            self._cursors[step.flow].append(step)
        self._left = len(steps)
        self._read_source = read_source
        self._read_live = read_live
        self._caveats = dict.fromkeys(caveats)
        self._on_divergence = on_divergence
        self._give_up = give_up
        self._whole = whole
        self._lock = threading.Lock()
        self._raised = 0
        self.answered = 0
        self.latched: Divergence | None = None

    def answer(self, step: Step) -> Answer | None:
        """What the source holds for ``step``; raises ``ReplayDivergence`` if that is another call, or none."""
        with self._lock:
            if self.latched is not None:
                raise self._again()
            cursor = self._cursors.get(flow_key(step), [])
            expected = cursor[-1] if cursor else None
            found = self._compare(expected, step)
            if found is None:
                cursor.pop()
                self._left -= 1
        if found is not None:
            raise self.diverged(found.code, found.report, step, found.expected_step)
        assert expected is not None
        return self._answer_of(expected, step)

    def diverged(self, code: str, report: str, step: Step | None, expected_step: int = 0) -> ReplayDivergence:
        """Latch the replay as diverged, tell it, and return what to raise."""
        with self._lock:
            if self.latched is not None:
                return self._again()
            self.latched = Divergence(code, report, 0 if step is None else step.id, expected_step)
        self._on_divergence(self.latched, step)
        return self._again()

    def finish(self) -> Divergence | None:
        """Called when the program ended by itself: what it left unanswered is a divergence."""
        with self._lock:
            if self.latched is None and self._left:
                missing = min((c[-1] for c in self._cursors.values() if c), key=lambda step: step.id)
                report = (
                    f"the program ended, but the recorded run went on with {self._left} more call(s)\n"
                    f"  next recorded: {_told(missing.kind, missing.name, missing.id)} at {missing.call_site}"
                )
                self.latched = Divergence("CALL_MISSING", report, 0, missing.id)
        return self.latched

    def verdict(self) -> tuple[str, list[str]]:
        """``exact``, ``exact_with_caveats`` or ``diverged``, and the caveats."""
        if self.latched is not None:
            return "diverged", [self.latched.code]
        return ("exact_with_caveats" if self._caveats else "exact"), list(self._caveats)

    def _again(self) -> ReplayDivergence:
        assert self.latched is not None
        self._raised += 1
        if self._raised > MOST_RAISES:
            self._give_up()
        return ReplayDivergence(self.latched.code, self.latched.report)

    def _compare(self, expected: TapeStep | None, step: Step) -> Divergence | None:
        spec = step.spec
        live = self._read_live(step.input)
        observed = f"  observed: {_told(spec.kind, spec.name, step.id)} in {step.path}\n{_shown(live)}"
        if expected is None and not self._whole:
            return Divergence("RECORD_INCOMPLETE", f"the record ends before this call\n{observed}", step.id, 0)
        if expected is None:
            report = f"the program makes a call that the recorded run did not make here\n{observed}"
            return Divergence("CALL_EXTRA", report, step.id, 0)
        recorded = (
            f"  expected: {_told(expected.kind, expected.name, expected.id)} at {expected.call_site}\n"
            f"{_shown(expected.input)}"
        )
        if (expected.kind, expected.name, expected.operation) != (spec.kind, spec.name, spec.operation):
            report = f"the program makes another call than the recorded run\n{recorded}\n{observed}"
            return Divergence("CALL_CHANGED", report, step.id, expected.id)
        if _plain(expected.input) != _plain(live):
            changed = "\n".join(f"    {line}" for line in differences(expected.input, live))
            told = f"the program calls {spec.name} with other arguments than the recorded run"
            report = f"{told}\n{recorded}\n{observed}\n  differs:\n{changed}"
            return Divergence("CALL_CHANGED", report, step.id, expected.id)
        if not expected.ended:
            report = f"the record ends before this call did\n{recorded}"
            return Divergence("RECORD_INCOMPLETE", report, step.id, expected.id)
        return None

    def _answer_of(self, source: TapeStep, step: Step) -> Answer:
        self.answered += 1

        def rebuild(failure: Failure) -> BaseException:
            return self._rebuilt(source, failure)

        if source.ended == "cancelled":
            return Answer(source.id, never=True, exchanges=list(source.exchanges), rebuild=rebuild)
        if source.output_fidelity == "exchange" or (source.exchanges and step.spec.integration):
            # What the call returns or raises is made by its library, of what went over the wire.
            return Answer(source.id, exchanges=list(source.exchanges), rebuild=rebuild)
        try:
            error = None if source.failure is None else rebuild(source.failure)
            return Answer(
                source.id,
                value=None if error is not None else self._read_source(source.output),
                error=error,
                chunks=[(op, self._read_source(data)) for op, data in source.chunks],
                closed=source.ended == "closed_by_consumer",
            )
        except ValueUndecodable as problem:
            raise self.diverged("OUTPUT_UNDECODABLE", str(problem), step, source.id) from None

    def _rebuilt(self, source: TapeStep, failure: Failure) -> BaseException:
        error, exact = rebuilt(failure, self._read_source)
        if not exact:
            self._caveats[f"step {source.id}: {failure.type} is raised as {type(error).__name__}"] = None
        return error


def flow_key(step: Step) -> str:
    """The flow that made the call, as :class:`TapeStep` names it."""
    return f"{step.outer.step_path}|{step.outer.path}"


def _told(kind: str, name: str, step_id: int) -> str:
    return f"{kind} {name} (step {step_id})"


def _plain(value: Any) -> Any:
    """Values that compare equal only if they are of the same type: JSON's 1, 1.0 and true are three things."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)  # -0.0 is another number


def _shown(value: Any, limit: int = 600) -> str:
    text = repr(value)
    return f"    with {text if len(text) <= limit else text[:limit] + f'... ({len(text)} characters)'}"
