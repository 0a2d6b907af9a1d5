"""Notes and scores that a program gives."""

from __future__ import annotations

import contextlib
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import agentrace
from agentrace.errors import ConfigError
from agentrace.events import Logged, Scored
from agentrace.testing import MemoryRecorder, recorded
from tests.unit.replays import record_of, replayed

KEY = "sk-proj-Abc123Def456Ghi789Jkl012Mno345Pqr678Stu901"


def logged(record: MemoryRecorder) -> list[tuple[int, str, str]]:
    """Step, level and text of each note."""
    return [(event.step_id, event.level, event.message) for event in record.events if isinstance(event, Logged)]


def scored(record: MemoryRecorder) -> list[Scored]:
    return [event for event in record.events if isinstance(event, Scored)]


@agentrace.tool
def weigh(order: str) -> int:
    agentrace.log("weighing", order=order, boxes={1, 2})
    agentrace.score("care", True, comment="no box was dropped", source="foreman")
    return len(order)


# --- given by the program -----------------------------------------------------------------------------------


def test_a_note_and_a_score_belong_to_the_step_they_are_given_in() -> None:
    with recorded() as record:
        agentrace.log("before", "debug")
        weigh("1042")
        with agentrace.step("pack"):
            agentrace.log("packing", level="warning")
            agentrace.score("all in all", 3, of="run")

    assert logged(record) == [(0, "debug", "before"), (1, "info", "weighing"), (2, "warning", "packing")]
    assert [(s.step_id, s.name, s.value, s.comment, s.source) for s in scored(record)] == [
        (1, "care", 1.0, "no box was dropped", "foreman"),
        (0, "all in all", 3.0, "", ""),
    ]
    assert record.python(record.events[3].fields) == {"order": "1042", "boxes": {1, 2}}
    assert [step.notes for step in record.steps] == [2, 1]


@pytest.mark.parametrize("value", [0.5, 1, False, Decimal("0.5"), np.float32(0.5), np.bool_(True), np.array(2)])
def test_any_number_is_a_score(value: Any) -> None:
    with recorded() as record:
        agentrace.score("care", value)

    (found,) = scored(record)
    assert found.value == float(value)
    assert type(found.value) is float


class Odd:
    """What nobody should log."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


ODD = {"object": Odd(), "itself": (cycle := {}), "file": sys.stdin, "surrogate": "\ud800", "array": np.arange(3)}
cycle["again"] = cycle


@pytest.mark.parametrize("name", ODD)
def test_no_value_of_a_field_raises(name: str) -> None:
    with recorded() as record:
        agentrace.log("odd \ud800", value=ODD[name], message="a field of that name", self=1)

    ((_, _, message),) = logged(record)
    assert message == "odd \\ud800"
    assert set(record.json(record.events[1].fields)) == {"value", "message", "self"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: agentrace.log(b"bytes"), "a bytes as its message"),  # type: ignore[arg-type]
        (lambda: agentrace.log("x", "fatal"), "'fatal' as its level"),  # type: ignore[arg-type]
        (lambda: agentrace.log("x", level=[]), "a list as its level"),  # type: ignore[arg-type]
        (lambda: agentrace.score("x", "0.8"), "a str as its value"),  # type: ignore[arg-type]
        (lambda: agentrace.score("x", None), "a NoneType as its value"),  # type: ignore[arg-type]
        (lambda: agentrace.score("x", float("nan")), "nan as its value"),
        (lambda: agentrace.score("x", 10**400), "a value that is no number"),
        (lambda: agentrace.score("x", np.arange(3)), "a value that is no number"),  # type: ignore[arg-type]
        (lambda: agentrace.score("", 1), "no name"),
        (lambda: agentrace.score(1, 1), "a int as its name"),  # type: ignore[arg-type]
        (lambda: agentrace.score("x", 1, comment=None), "a NoneType as its comment"),  # type: ignore[arg-type]
        (lambda: agentrace.score("x", 1, of="session"), "'session' as its of"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("is_recorded", [False, True])
def test_misuse_is_told_whether_or_not_anything_is_recorded(call: Any, words: str, is_recorded: bool) -> None:
    with recorded() if is_recorded else contextlib.nullcontext(), pytest.raises(ConfigError) as raised:
        call()

    assert words in raised.value.what
    assert raised.value.slug == "note"


def test_nothing_happens_where_nothing_is_recorded() -> None:
    agentrace.log("nobody hears", value=Odd())
    agentrace.score("care", 1)

    assert not agentrace.status().recording
    with recorded() as record:
        pass
    assert record.runs == []


def test_secrets_are_taken_out_of_notes() -> None:
    with recorded() as record:
        agentrace.log(f"using {KEY}", key=KEY, password="tr0ub4dor")
        agentrace.score(f"is {KEY}", 1, comment=KEY, source=KEY)

    assert KEY.encode() not in record.everything()
    assert b"tr0ub4dor" not in record.everything()


def test_a_replay_makes_its_own_notes_and_compares_none() -> None:
    def program(extra: int = 0) -> Any:
        agentrace.log("begin", number=extra)
        for _ in range(extra):
            agentrace.log("more")
            agentrace.score("more", 1)
        return weigh("1042")

    seen, record = record_of(program)
    again = replayed(record, lambda: program(3))

    assert (again.seen, again.verdict) == (seen, "exact")
    notes = [event.message for event in again.record.events if isinstance(event, Logged)]
    assert notes == ["begin", "more", "more", "more"]  # the tool was answered, so it said nothing
