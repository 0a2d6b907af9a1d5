"""The contract of an integration: a program sees no difference, the record has it all, a replay gives it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from agentrace import events
from agentrace.exchanges import Recorded
from agentrace.replay.tape import ExactTape
from agentrace.store import RunRecord
from tests.contract.aiohttp_subjects import AIOHTTP
from tests.contract.anthropic_subject import ANTHROPIC
from tests.contract.anthropic_traced import TRACED
from tests.contract.far_end import FarEnd, Passed, plain_bytes
from tests.contract.http_subjects import HTTP
from tests.contract.observed import without_boundary
from tests.contract.openai_subject import LEGACY, OPENAI
from tests.contract.recording import Memory, recording, replaying
from tests.contract.scenarios import Case, cases, counts, far_end, performed
from tests.contract.spoken_subjects import SPOKEN
from tests.contract.urllib3_subjects import REQUESTS, URLLIB3

CASES = cases((OPENAI, *LEGACY, ANTHROPIC, TRACED, *HTTP, URLLIB3, REQUESTS, AIOHTTP, *SPOKEN))
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_model_case = pytest.mark.parametrize("case", [case for case in CASES if case.subject.told], ids=str)
each_traced_case = pytest.mark.parametrize("case", [case for case in CASES if case.subject is TRACED], ids=str)


@dataclass(frozen=True)
class Outcome:
    """A scenario performed three times: without us, recorded, and replayed with the server gone."""

    plain: Any
    asked_plain: FarEnd
    live: Any
    asked_live: FarEnd
    memory: Memory
    record: RunRecord
    replayed: Any
    replay: RunRecord
    tape: ExactTape


@cache
def outcome(case: Case) -> Outcome:
    """All three, once for all tests of the case."""
    without, within = far_end(case), far_end(case)
    current = [without]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await current[0](scope, receive, send)

    with FarEnd(app).serve() as url:
        plain = performed(case, url, without)
        current[0] = within
        with recording() as recorded:
            live = performed(case, url, within)
    record = recorded.record
    with replaying(record) as again:
        replayed = performed(case, url)
    assert again.tape is not None
    return Outcome(plain, without, live, within, recorded.memory, record, replayed, again.record, again.tape)


# --- the program sees no difference -------------------------------------------------------------------------


@each_case
def test_nothing_changes_for_the_program_or_the_server(case: Case) -> None:
    found = outcome(case)

    assert _settled(found.live, case) == _settled(found.plain, case)
    assert sent(found.asked_live) == sent(found.asked_plain)


def _settled(seen: Any, case: Case) -> Any:
    """What is seen, with answers in an order that does not depend on which of several same calls was quicker."""
    if not case.scenario.racing:
        return seen
    kind, answers = seen["result"]
    return {**seen, "result": (kind, sorted(answers))}


def sent(far: FarEnd) -> list[Any]:
    """What a server got, in an order that does not depend on which of several calls was quicker."""
    return sorted(
        (passed.method, passed.target, _headers(passed.headers), without_boundary(passed.body)) for passed in far.passed
    )


def _headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, without_boundary(value)) for name, value in headers]


# --- the record has it all ----------------------------------------------------------------------------------


@each_case
def test_each_call_is_one_step_with_all_its_exchanges(case: Case) -> None:
    record = outcome(case).record
    steps = list(record.trace.steps.values())

    told = [(s.kind, s.name, s.dispatched.operation, s.ended.outcome if s.ended else "") for s in steps]
    assert told == [(s.kind, s.name, s.operation, s.outcome) for s in case.scenario.steps]
    for step, expected in zip(steps, case.scenario.steps, strict=True):
        exchanges = list(record.trace.exchanges.get(step.id, {}).values())
        assert [e.answered.status if e.answered else 0 for e in exchanges] == list(expected.statuses)
        assert [e.ended.outcome if e.ended else "" for e in exchanges][-1:] == [expected.exchanges] * bool(exchanges)
        assert step.exchanges == len(exchanges)


@each_traced_case
def test_a_span_of_the_library_is_no_second_step(case: Case) -> None:
    found = outcome(case)

    spans = dict(found.live["notes"][1])["spans"][1]
    assert len(spans) == len(case.scenario.steps) == len(found.record.trace.steps)


@each_case
def test_everything_begins_and_ends_once_and_in_order(case: Case) -> None:
    found = outcome(case)
    told = found.memory.told()
    steps: Counter[tuple[str, int]] = Counter()
    exchanges: Counter[tuple[str, int, int]] = Counter()

    for event in told:
        kind = "end" if isinstance(event, (events.StepCompleted, events.StepFailed)) else type(event).__name__
        if isinstance(event, (events.ExchangeStarted, events.ExchangeAnswered, events.ExchangeEnded)):
            exchanges[kind, event.step_id, event.exchange] += 1
            assert not steps["end", event.step_id]
        elif event.step_id:
            steps[kind, event.step_id] += kind != "StreamChunks"

    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert isinstance(told[0], events.WorkflowStarted)
    assert isinstance(told[-1], events.WorkflowCompleted)
    assert (told[-1].faults, told[-1].lost, told[-1].health, found.memory.over) == (0, 0, [], True)
    assert set(steps.values()) <= {0, 1}
    assert set(exchanges.values()) == {1}
    assert _keys(steps, "StepDispatched") == _keys(steps, "end")
    assert _keys(exchanges, "ExchangeStarted") == _keys(exchanges, "ExchangeEnded")


def _keys(counted: Counter[Any], kind: str) -> set[Any]:
    return {key[1:] for key, count in counted.items() if key[0] == kind and count}


@each_case
def test_exchanges_hold_what_the_server_gave(case: Case) -> None:
    found = outcome(case)
    record, given = found.record, [passed for passed in found.asked_live.passed if passed.status]

    for step_id, states in record.trace.exchanges.items():
        for state, played in zip(states.values(), record.exchanges(step_id), strict=True):
            assert state.ended is not None
            chunks = [chunk.at_ns for part in record._parts(step_id, state.number) for chunk in part.chunks]
            times = [*([state.answered.at_ns] if state.answered else []), *chunks, state.ended.at_ns]
            assert times == sorted(times)
            assert state.ended.at_ns <= (record.trace.steps[step_id].duration_ns or 0)
            if given and state.answered is not None:
                passed = next(p for p in given if _is_of(p, state.answered))
                given.remove(passed)
                _assert_holds(played, passed)
    assert case.subject.key.encode() not in found.memory.everything()
    assert case.subject.key[14:30].encode() not in found.memory.everything()


def _is_of(passed: Passed, answered: events.ExchangeAnswered) -> bool:
    given = [(name.decode(), value.decode()) for name, value in passed.answer_headers]
    return passed.status == answered.status and _request_ids(answered.headers) == _request_ids(given)


def _request_ids(headers: Sequence[tuple[str, str]]) -> list[str]:
    return [value for name, value in headers if name.lower() in ("x-request-id", "request-id")]


def _assert_holds(played: Recorded, passed: Passed) -> None:
    body, whole = b"".join(played.body), plain_bytes(passed)
    assert whole.startswith(body) if played.closed or played.broken else body == whole
    told = [(name, value) for name, value in played.headers if name.lower() not in _FRAMING]
    assert told == [(n.decode(), v.decode()) for n, v in passed.answer_headers if n.decode() not in _FRAMING]


_FRAMING = {"connection", "content-length", "transfer-encoding"}
"""Headers that are the server's own."""


@each_model_case
def test_facts_are_those_of_the_body(case: Case) -> None:
    record = outcome(case).record

    for step in record.trace.steps.values():
        facts = record.facts(step.id) if step.kind in ("model", "embedding") else None
        if facts is not None:
            assert case.subject.told is not None
            usage, told = facts.usage, case.subject.told(b"".join(record.exchanges(step.id)[-1].body))
            counted = None if usage is None else counts(usage)
            assert (facts.finish_reason, facts.text, counted) == (told["finish"], told["text"], told["usage"])


# --- a replay gives it again --------------------------------------------------------------------------------


@each_case
def test_a_replay_gives_the_same_with_the_server_gone(case: Case) -> None:
    found = outcome(case)

    assert comparable(found.replayed, case) == comparable(found.live, case)
    assert found.tape.latched is None
    assert found.tape.verdict()[0] == case.scenario.verdict
    assert found.tape.answered == len([step for step in case.scenario.steps if step.kind != "task"])


@each_case
def test_the_record_of_a_replay_is_the_same_record(case: Case) -> None:
    found = outcome(case)

    assert _outline(found.replay) == _outline(found.record)


def _outline(record: RunRecord) -> list[Any]:
    return sorted(
        (
            step.path,
            step.status,
            record.values.json(step.dispatched.input),
            [(e.status, b"".join(e.body), e.closed) for e in record.exchanges(step.id) if step.dispatched.integration],
        )
        for step in record.trace.steps.values()
    )


_LIVE = frozenset({"live", "extensions", "timed", "left"})
"""What only a real connection has: its handle, what its protocol tells, its clock, and generators to be closed."""


def comparable(seen: Any, case: Case) -> Any:
    """What a replay must give again: all but the connection, and how exactly a body was compressed."""
    if isinstance(seen, dict):
        left_out = _LIVE if case.scenario.same_bytes else _LIVE | {"downloaded"}
        return {
            key: value[:2] if key == "causes" else comparable(value, case)  # beyond is how the transport is made
            for key, value in seen.items()
            if key not in left_out
        }
    if isinstance(seen, (list, tuple)):
        return type(seen)(comparable(item, case) for item in seen)
    return seen
