"""A cassette as the events of a run: what capture would have written, had it stood beneath the same requests.

Capture's own functions write them, so bodies, redaction and meaning are those of a recording. What a cassette does not
know is left at what the events have for it: no places in the program, no durations, no order of calls that were open at
the same time. Clients repeat requests by themselves, and say so in a header; those belong to one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from blake3 import blake3
from msgspec import Struct

from agentrace import events
from agentrace.capture.call import complete_by_exchange
from agentrace.capture.exchange import send
from agentrace.capture.ordinals import ProcessScope
from agentrace.capture.recording import RunRecording
from agentrace.capture.step import Step
from agentrace.capture.texts import sayable
from agentrace.errors import CassetteError
from agentrace.ids import Clock, uuid7
from agentrace.integrations.passing import Outgoing
from agentrace.integrations.sent import NOT_TOLD, Call, call_of
from agentrace.redact import Redactor
from agentrace.vcr.answers import Given, given
from agentrace.vcr.cassette import Cassette, Interaction
from agentrace.version import VERSION

WIRE: Final = "vcr"
"""The wire, and of bare requests the integration: which library sent them is not known."""
_FAILED: Final = 400
_WAITED_FOR: Final = frozenset({408, 409, 429})
"""Statuses below 500 after which clients ask again by themselves."""
_FAULTS: Final = 500


class ToldRun(Struct, frozen=True):
    """A cassette as a run: the same for the same cassette, name and redaction."""

    run_id: bytes
    """By the time of the first request, and what is in it."""
    name: str
    events: Sequence[bytes]
    payloads: Sequence[tuple[bytes, bytes]]
    """Digest and content."""
    kinds: Sequence[str]
    """Of its steps."""
    requests: int
    dated: int
    """How many of them have a time of their own."""
    changed: int
    """Answers whose ``Content-Length`` or ``Content-Encoding`` was not that of the body in the cassette."""
    assumed: int
    """Requests that are taken for repetitions of a client though nothing says so."""
    unseen: int
    """Bodies in a coding that redaction cannot look into."""


def told(cassette: Cassette, redactor: Redactor) -> ToldRun:
    """The run that a cassette tells. Raises ``CassetteError`` where capture cannot tell it."""
    times = _times(cassette)
    clean = redactor.text(cassette.name)
    name = sayable(cassette.name if clean is None else clean.text)
    kept = _Kept()
    clock = _Clock(min(times, default=cassette.modified_ns))

    def describe(run: RunRecording) -> events.WorkflowStarted:
        return events.WorkflowStarted(
            run.next_seq(),
            events.RUN_STEP,
            clock.now,
            name=name,
            sdk=VERSION,
            redaction=f"{redactor.profile}/{redactor.version}",
            origin=events.Origin(events.IMPORT),
        )

    run = RunRecording(ProcessScope(), clock, redactor, lambda _: kept, describe)
    run.open()
    run.emit(events.Logged, events.RUN_STEP, _remark(cassette, name), "info", events.NO_VALUE, "agentrace.vcr")
    telling = _Telling(run, cassette.path)
    for interaction, ts in zip(cassette.interactions, times, strict=True):
        clock.now = ts
        telling.tell(interaction)
        if run.own_faults():
            where = f"{cassette.path}, interaction {interaction.number}"
            raise CassetteError(f"{where}: it cannot be told as events", do="report this, with the interaction")
    clock.now = max(times, default=clock.now)
    telling.end()
    health = sorted(run.health)
    run.close(events.WorkflowCompleted(run.last_seq(), events.RUN_STEP, clock.now, steps=run.steps, health=health))
    return ToldRun(
        run_id=kept.run_id(min(times, default=cassette.modified_ns)),
        name=name,
        events=kept.events,
        payloads=list(kept.payloads.items()),
        kinds=telling.kinds,
        requests=len(cassette.interactions),
        dated=sum(one.at_ns != 0 for one in cassette.interactions),
        changed=telling.changed,
        assumed=telling.assumed,
        unseen=telling.unseen,
    )


def _times(cassette: Cassette) -> list[int]:
    """When each request was made: what it tells itself, else the time of the one before, else of the first that tells
    one, else of the file."""
    known = next((one.at_ns for one in cassette.interactions if one.at_ns), cassette.modified_ns)
    found: list[int] = []
    for one in cassette.interactions:
        known = one.at_ns or known
        found.append(known)
    return found


def _remark(cassette: Cassette, name: str) -> str:
    dated = sum(one.at_ns != 0 for one in cassette.interactions)
    total = len(cassette.interactions)
    times = f"{dated} of {total} requests have a time, that of recording or the answer's Date header"
    rest = "" if dated == total else "; the others have that of the one before, or of the file"
    return f"imported from the cassette {name}, which tells no places and no durations; {times}{rest}"


class _Clock(Clock):
    """Stands where it is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def wall_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return 0

    def run_id(self) -> bytes:
        return bytes(16)  # no event tells it


class _Kept:
    """The record while it is made."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.payloads: dict[bytes, bytes] = {}

    def event(self, data: bytes, /) -> None:
        self.events.append(data)

    def payload(self, digest: bytes, data: bytes, /) -> None:
        self.payloads[digest] = data

    def finished(self) -> None:
        """Nothing is left to do."""

    def run_id(self, ns: int) -> bytes:
        content = blake3()
        for event in self.events:
            content.update(len(event).to_bytes(8, "little") + event)
        return uuid7(ns // 1_000_000, content.digest()[:10])


class _Open(Struct):
    """A call whose client may ask again."""

    step: Step
    call: Call
    asked: tuple[str, str, bytes]
    status: int
    answer: bytes


class _Telling:
    """The interactions of one cassette on their way into its run."""

    def __init__(self, run: RunRecording, path: Path) -> None:
        self._run = run
        self._path = path
        self._open: list[_Open] = []
        self.kinds: list[str] = []
        self.changed = self.assumed = self.unseen = 0

    def tell(self, one: Interaction) -> None:
        asked = _outgoing(one)
        call = call_of(asked, self._run.redactor.url)
        again = self._asked_again(one, call)
        step = self._dispatched(call) if again is None else again.step
        answer = self._exchanged(step, asked, one)
        if call.sender is None or one.status < _FAILED:
            if again is not None:
                self._open.remove(again)
            complete_by_exchange(step)
        elif again is None:
            self._open.append(_Open(step, call, (one.method, one.url, one.body), one.status, answer.body))
        else:
            again.status, again.answer = one.status, answer.body

    def end(self) -> None:
        """Nothing comes any more, so calls whose last answer was an error have failed."""
        for left in self._open:
            self._fail(left)

    def _asked_again(self, one: Interaction, call: Call) -> _Open | None:
        """The call that a request repeats."""
        if call.attempt == 0:
            return None
        asked = one.method, one.url, one.body
        found = next((left for left in self._open if left.asked == asked), None)
        if found is None or call.attempt > 0:
            return found
        if call.attempt == NOT_TOLD and (found.status in _WAITED_FOR or found.status >= _FAULTS):
            self.assumed += 1
            return found
        return None

    def _dispatched(self, call: Call) -> Step:
        run, spec = self._run, call.spec
        value, fidelity = run.encoder.encode_json(call.input) if spec.json else run.encoder.encode(call.input)
        step = Step(spec, run.root, next(run.root.ordinals), value)
        run.steps += 1
        self.kinds.append(spec.kind)
        place: tuple[Any, ...] = 0, "", step.ordinal, True, 0, 0, 0
        about = spec.kind, spec.name, spec.operation
        run.emit(events.StepDispatched, step.id, *about, *place, value, fidelity, spec.integration)
        return step

    def _exchanged(self, step: Step, asked: Outgoing, one: Interaction) -> Given:
        answer = given(one, f"{self._path}, interaction {one.number}")
        exchange = send(step, WIRE, one.method, one.url, asked.headers, one.body)
        if exchange is not None:
            exchange.answered(one.status, answer.headers, one.http_version, one.reason, decoded=answer.decoded)
            if answer.body:
                exchange.data(answer.body)
            exchange.end("exhausted")
        self.changed += answer.changed
        self.unseen += answer.unseen
        return answer

    def _fail(self, left: _Open) -> None:
        step, sender = left.step, left.call.sender
        assert sender is not None
        kind, message = sender.raised(left.status, left.answer)
        step.ended = True
        step.let_go()
        failure = events.Failure(kind, self._run.clean(message))
        self._run.emit(events.StepFailed, step.id, "error", failure, "", step.chunks, 0, 0, 0, step.exchanges)


def _outgoing(one: Interaction) -> Outgoing:
    parts = urlsplit(one.url)
    path = unquote(parts.path) or "/"
    return Outgoing(WIRE, one.method, one.url, parts.hostname or "", path, one.headers, one.body, one.body)
