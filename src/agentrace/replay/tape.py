"""The tape: which recorded step answers which live call.

Every flow of the program (a step's inside, a task, a thread) has one cursor over the boundary steps that the same
flow recorded. A call is answered by the step under the cursor if it is the same call: kind, name, operation and
arguments. Anything else stops the replay, with what was expected and what was observed; a call is never answered by
"the next one".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from msgspec import Raw, Struct

from agentrace import events
from agentrace.capture.answers import Answer
from agentrace.capture.arguments import counting
from agentrace.capture.guard import guarded
from agentrace.capture.recorded import requests_left
from agentrace.capture.step import Step
from agentrace.errors import ReplayDivergence, ValueUndecodable
from agentrace.events import Failure
from agentrace.replay.calls import Call, Taped, Value, alike, asked_of, closing_error, flow_key
from agentrace.replay.causes import Circumstances
from agentrace.replay.codecs import NotDecoded, decoded, read
from agentrace.replay.differences import differences
from agentrace.replay.draws import Draws
from agentrace.replay.failures import rebuilt
from agentrace.replay.imported import PLACE, alike_on_the_wire, brought_up, executed
from agentrace.replay.manner import Manner
from agentrace.replay.order import Turnstile
from agentrace.replay.report import UNKNOWN, Found, nearest, told_divergence
from agentrace.replay.timers import LoopTimers
from agentrace.replay.turns import InTurn
from agentrace.replay.wires import Wires

MOST_RAISES: Final = 1000
"""Divergences raised before the process is ended, for programs that catch everything and go on."""


class Divergence(Struct, frozen=True):
    """Why a replay stopped."""

    code: str
    report: str
    step_id: int
    """The live step."""
    expected_step: int
    """The source step that was next; 0 for none."""


class Reading(Protocol):
    """Reads the values of the replay's own run."""

    def json(self, data: bytes | Raw) -> Any:
        """The value as JSON-able data."""
        ...


class ExactTape:
    """Answers the boundary steps of one process from a source run; safe to use from several threads."""

    def __init__(
        self,
        source: Taped | None,
        live: Reading,
        *,
        caveats: Sequence[str] = (),
        manner: Manner = Manner(),  # noqa: B008  (frozen)
        circumstances: Circumstances = UNKNOWN,
        on_divergence: Callable[[Divergence, Step | None], None],
        give_up: Callable[[], None],
        whole: bool = True,
    ) -> None:
        self._source = source
        self._imported = source is not None and source.record.trace.run.origin.imported
        self._alike_as = alike_on_the_wire if self._imported else alike
        self._live = live
        self._manner = manner
        self._circumstances = circumstances
        calls = {} if source is None else source.calls
        self._cursors: dict[str, list[Call]] = {flow: list(reversed(made)) for flow, made in calls.items()}
        self._values: dict[str, list[Value]] = (
            {} if source is None else {flow: list(reversed(read)) for flow, read in source.values.items()}
        )
        self._wires = None if source is None else Wires(source.record)
        self._left = sum(map(len, self._cursors.values()))
        self._answered: dict[str, Call] = {}
        """By flow, the call that was answered last."""
        self._caveats = dict.fromkeys(caveats)
        self._on_divergence = on_divergence
        self._give_up = give_up
        self._whole = whole if source is None else source.whole
        self._lock = threading.RLock()
        self._draws = Draws()
        self._raised = 0
        self.answered = 0
        self.latched: Divergence | None = None
        self.found: list[Divergence] = []
        """All divergences, the first of them first."""
        ordered = source is not None and manner.order == "recorded" and not self._imported
        self._turnstile = Turnstile(source.order, self._order_relaxed, self._hung) if ordered and source else None

    # -- what capture tells and asks -----------------------------------------------------------------------------

    def began(self, step: Step) -> None:
        """A step is being dispatched; steps that are answered are told by :meth:`answer`."""
        if self._turnstile is None or self._source is None or step.spec.answered:
            return
        source = self._source.others.get((flow_key(step), step.ordinal))
        if source is not None:
            step.source = source
            self._turnstile.began(source)

    def ended(self, step: Step) -> None:
        """A step ended."""
        answer: Answer | None = step.answer
        if answer is not None and answer.exchanges and not answer.never and self.latched is None:
            what = requests_left(step)
            if what:
                self.diverged("CALL_CHANGED", what, step)  # raised at the next call: this one has its outcome
        if self._turnstile is not None and step.source:
            self._turnstile.ended(step.source)

    def answer(self, step: Step) -> Answer | None:
        """What the source holds for ``step``; raises ``ReplayDivergence`` if that is another call, or none."""
        with self._lock:
            if self.latched is not None and not self._manner.observe:
                raise self._again()
            if self._imported and not step.spec.integration:
                self.caveat(executed(step))
                return None
            cursor = self._cursor(step)
            expected = cursor[-1] if cursor else None
            problem = None if expected is not None and self._is(expected, step) else self._mismatch(cursor, step)
            if problem is None:
                self._answered[flow_key(step)] = cursor.pop()
                self._left -= 1
        if problem is not None:
            expected = self._go_on_after(problem, step)
        assert expected is not None
        step.source = expected.id
        if self._turnstile is not None:
            self._turnstile.began(expected.id)
        return self._answer_of(expected, step)

    def _cursor(self, step: Step) -> list[Call]:
        """The recorded calls that are left where a live one is made; the last of them is next."""
        if not self._imported:
            return self._cursors.get(flow_key(step), [])
        return brought_up(self._cursors.get(PLACE, []), asked_of(step), lambda call: self._is_asked(call, step))

    def timers(self, loop: Any) -> LoopTimers | None:
        """What becomes of the timers of an event loop; ``None`` if they stay as they are."""
        return None if self._turnstile is None else self._turnstile.timers(loop)

    def end(self) -> None:
        """The replay is over: loops and threads that go on are as they were before."""
        if self._turnstile is not None:
            self._turnstile.open_all()

    def value(self, flow: str, source: str, label: str, /) -> Raw:
        """The recorded value that answers the next request of a flow."""
        with self._lock:
            if self.latched is not None and not self._manner.observe:
                raise self._again()
            values = self._values.get(flow, [])
            expected = values[-1] if values else None
            found = expected is not None and (expected.source, expected.label) == (source, label)
            if found:
                values.pop()
        if expected is not None and found:
            if self._turnstile is not None:
                self._turnstile.asked_for(expected.mark)
            return expected.value
        asked = f"{source}({label})"
        if expected is None and not self._whole:
            code, was = "RECORD_INCOMPLETE", "the record ends before that"
        elif expected is None:
            code, was = "CALL_EXTRA", "the recorded run asked for none here"
        else:
            code, was = "CALL_CHANGED", f"the recorded run asked for {expected.source}({expected.label}) here"
        raise self.diverged(code, f"the program asks for the recorded value {asked}, but {was}", None)

    def read(self, value: Raw) -> Any:
        """A recorded value as a Python value."""
        assert self._source is not None
        with self._lock:
            return self._source.record.values.python(value)

    def diverged(self, code: str, report: str, step: Step | None, expected_step: int = 0) -> ReplayDivergence:
        """Latch the replay as diverged, tell it, and return what to raise."""
        with self._lock:
            if self.latched is not None and not self._manner.observe:
                return self._again()
            if not expected_step and step is not None:
                expected_step = step.source
            self._latch(Divergence(code, report, 0 if step is None else step.id, expected_step), step)
            return self._again()

    def finish(self) -> Divergence | None:
        """Called when the program ended by itself: what it left unanswered is a divergence too."""
        with self._lock:
            if self._left and (self.latched is None or self._manner.observe) and self._source is not None:
                missing = min((c[-1] for c in self._cursors.values() if c), key=lambda call: call.id)
                headline = f"the program ended, but the recorded run went on with {self._left} more call(s)"
                self._tell(Found("CALL_MISSING", missing), headline, None)
                self._left = 0
        return self.latched

    def stopped(self) -> ReplayDivergence | None:
        """What to raise if the replay has diverged."""
        if self.latched is None or self._manner.observe:
            return None
        with self._lock:
            return self._again()

    def caveat(self, text: str) -> None:
        """Note what keeps the replay from being called exact."""
        with self._lock:
            self._caveats.setdefault(text)

    def verdict(self) -> tuple[str, list[str]]:
        """``exact``, ``exact_with_caveats`` or ``diverged``, and the caveats."""
        if self.latched is not None:
            return "diverged", list(dict.fromkeys(found.code for found in self.found))
        return ("exact_with_caveats" if self._caveats else "exact"), list(self._caveats)

    # -- divergence ----------------------------------------------------------------------------------------------

    def _latch(self, found: Divergence, step: Step | None) -> None:
        if self.found and found.code != "CALL_MISSING":
            report = f"(tainted: what differs may follow from the first divergence) {found.report}"
            found = Divergence(found.code, report, found.step_id, found.expected_step)
        self.found.append(found)
        if self.latched is None:
            self.latched = found
        if self._turnstile is not None:
            self._turnstile.open_all()
        self._on_divergence(found, step)

    def _again(self) -> ReplayDivergence:
        assert self.latched is not None
        self._raised += 1
        if self._raised > MOST_RAISES:
            self._give_up()
        return ReplayDivergence(self.latched.code, self.latched.report)

    def _is(self, expected: Call, step: Step) -> bool:
        """Whether a live call is the recorded one, which has to have an end."""
        return self._is_asked(expected, step) and (bool(expected.ended) or self._source is None or self._source.over)

    def _alike(self, recorded: Raw, live: Raw, ignored: Sequence[str] = ()) -> bool:
        assert self._source is not None
        told, given = self._source.record.values.json(recorded), self._live.json(live)
        return self._alike_as(counting(told, ignored), counting(given, ignored))

    def _mismatch(self, cursor: list[Call], step: Step) -> Found:
        """What a call is that is not the one under its cursor; the cursors are left where they are."""
        expected = cursor[-1] if cursor else None
        spec = step.spec
        if expected is not None and not expected.ended and self._is_asked(expected, step):
            return Found("RECORD_INCOMPLETE", expected)
        later = next((call for call in reversed(cursor[:-1]) if self._is_asked(call, step)), None)
        if later is not None:
            return Found("CALL_OUT_OF_ORDER", expected, later)
        if expected is None and not self._whole:
            return Found("RECORD_INCOMPLETE", None)
        before = self._answered.get(flow_key(step))
        if before is not None and self._is_asked(before, step):
            return Found("CALL_EXTRA", expected, again=True)
        others = (call for other in self._cursors.values() if other is not cursor for call in reversed(other))
        moved = next((call for call in others if self._is_asked(call, step)), None)
        if moved is not None:
            return Found("CALL_MOVED", expected, moved)
        if expected is None:
            return Found("CALL_EXTRA", None)
        if expected.asked[:2] == (spec.kind, spec.name):
            return Found("CALL_CHANGED", expected, expected)
        skipped = next((c for c in reversed(cursor[:-1]) if c.asked[:2] == (spec.kind, spec.name)), None)
        return Found("CALL_EXTRA" if skipped is None else "CALL_MISSING", expected, skipped)

    def _is_asked(self, call: Call, step: Step) -> bool:
        if call.asked != asked_of(step):
            return False
        recorded = call.state.dispatched.input
        return bytes(recorded) == bytes(step.input) or self._alike(recorded, step.input, step.spec.ignore)

    def _go_on_after(self, found: Found, step: Step) -> Call:
        """Tell a mismatch; return what answers all the same, or raise."""
        self._tell(found, found.headline(step.spec.name), step)
        with self._lock:
            instead = found.instead
            if not self._manner.observe or instead is None or not instead.ended:
                raise self._again()
            cursor = self._cursors[instead.flow]
            if found.code == "CALL_MOVED":
                cursor.remove(instead)
                self._left -= 1
            else:
                while cursor[-1] is not instead:
                    cursor.pop()
                    self._left -= 1
                cursor.pop()
                self._left -= 1
            return instead

    def _tell(self, found: Found, headline: str, step: Step | None) -> None:
        """Latch a divergence with its report; without a step the program ended."""
        report = headline
        try:
            report = guarded(self._told)(headline, found, step) or headline
        finally:  # a fault in telling it, which is raised again under our own tests, leaves it latched
            with self._lock:
                if self.latched is not None and not self._manner.observe:
                    raise self._again()
                self._latch(Divergence(found.code, report, 0 if step is None else step.id, found.expected_id), step)

    def _told(self, headline: str, found: Found, step: Step | None) -> str:
        with self._lock:
            live, near = None, []
            if step is not None:
                live = counting(self._live.json(step.input), step.spec.ignore)
                near = [] if self._source is None else nearest(self._source, asked_of(step), live, step.path)
            return told_divergence(headline, found, self._source, step, live, self._circumstances, near=near)

    def _order_relaxed(self, what: str) -> None:
        self._caveats.setdefault(f"ORDER_RELAXED: {what}")

    def _hung(self, source_step: int) -> None:
        self.diverged(
            "TIMEOUT", f"step {source_step} was cancelled in the recorded run, and is not now", None, source_step
        )

    # -- answers -------------------------------------------------------------------------------------------------

    def _answer_of(self, call: Call, step: Step) -> Answer:
        assert self._source is not None
        record, state = self._source.record, call.state
        turns = InTurn(self._turnstile, self._source.order, call.id, step, self._manner.speed)

        def rebuild(failure: Failure) -> BaseException:
            return self._rebuilt(call, failure)

        with self._lock:
            self.answered += 1
            exchanges = record.exchanges(call.id)
            never = call.ended in ("", "cancelled")
            completed = state.ended if isinstance(state.ended, events.StepCompleted) else None
            by_exchange = completed is not None and completed.fidelity == "exchange"
            if by_exchange or (exchanges and step.spec.integration):
                # What the call returns or raises is made by its library, of what went over the wire.
                return Answer(call.id, turns, exchanges=exchanges, elsewhere=self._wires, rebuild=rebuild, never=never)
            try:
                failed = state.failure is not None and not never
                answer = Answer(
                    call.id,
                    turns,
                    value=None if completed is None else read(record.values, completed.output),
                    error=self._rebuilt(call, state.failure) if failed and state.failure is not None else None,
                    shape="" if state.ended is None else state.ended.shape,
                    chunks=[
                        (chunk.op, read(record.values, chunk.data) if chunk.op == "yield" else None, chunk.random)
                        for chunk in record.elements(call.id)
                    ],
                    random=0 if state.ended is None else state.ended.random,
                    draw=self._draws.until,
                    closed=call.ended == "closed_by_consumer",
                    closing=closing_error(state),
                    never=never,
                    exchanges=exchanges if never else [],
                    elsewhere=self._wires,
                    rebuild=rebuild,
                    same=lambda position, value: self._differs(call, position, value),
                )
            except ValueUndecodable as problem:
                raise self.diverged("OUTPUT_UNDECODABLE", str(problem), step, call.id) from None
        try:
            return decoded(answer, step.spec.codec)
        except NotDecoded as problem:
            raise self.diverged(problem.code, f"{step.path}: {problem}", step, call.id) from None

    def _differs(self, call: Call, position: int, value: Raw) -> str:
        """How what is sent into a stream differs from what was sent there."""
        assert self._source is not None
        with self._lock:
            recorded = self._source.record.elements(call.id)[position].data
            if bytes(recorded) == bytes(value) or self._alike(recorded, value):
                return ""
            lines = differences(self._source.record.values.json(recorded), self._live.json(value))
        return "\n".join(f"    {line}" for line in lines)

    def _rebuilt(self, call: Call, failure: Failure) -> BaseException:
        assert self._source is not None
        error, exact = rebuilt(failure, self._source.record.values.python)
        if not exact:
            self.caveat(f"step {call.id}: {failure.type} is raised as {type(error).__name__}")
        return error
