"""Values of the outside world: recorded where they were asked for, and answered there."""

from __future__ import annotations

import asyncio
import datetime
import io
import logging
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import agentrace
from agentrace.events import ValueRecorded
from tests.contract.recording import recording, replaying
from tests.unit.replays import KNOWN, exact, record_of, replayed


@agentrace.tool
def ask(given: Any) -> int:
    return random.getrandbits(60)


def test_values_are_those_of_the_recorded_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "north")
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))

    def program() -> Any:
        seen = [agentrace.now(), agentrace.now(None), agentrace.uuid4(), agentrace.random(), agentrace.random()]
        seen += [agentrace.getenv("SHOP"), agentrace.getenv("NOWHERE"), agentrace.getenv("NOWHERE", "else")]
        return [*seen, agentrace.input("which? "), ask(str(seen))]

    seen, record = record_of(program)
    os.environ["SHOP"] = "south"
    again = replayed(record, program)

    assert (again.seen, again.verdict) == (seen, "exact")
    assert [type(value).__name__ for value in seen[:4]] == ["datetime", "datetime", "UUID", "float"]
    assert seen[5:9] == ["north", None, "else", "one"]


def test_a_value_that_is_added_shifts_its_own_flow_only() -> None:
    async def program() -> Any:
        async def branch(number: int) -> Any:
            await asyncio.sleep(random.choice([0, 0.001]))
            return number, agentrace.random(), await asyncio.to_thread(agentrace.uuid4)

        return await asyncio.gather(*map(branch, range(6)))

    for _ in range(4):
        exact(program)


def test_a_value_inside_a_tool_is_the_tools() -> None:
    @agentrace.tool
    def stamped() -> Any:
        return agentrace.now()

    exact(lambda: [stamped(), agentrace.now(), stamped()])


OTHER: dict[str, tuple[Callable[[], Any], str, str]] = {
    "one more": (lambda: [agentrace.random(), agentrace.random()], "CALL_EXTRA", "asked for none here"),
    "another": (lambda: [agentrace.uuid4()], "CALL_CHANGED", "asked for random() here"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_value_that_was_not_asked_for_is_found(name: str) -> None:
    program, code, told = OTHER[name]
    _, record = record_of(lambda: agentrace.random())

    again = replayed(record, program)

    assert again.code == code
    assert told in again.report


def test_without_a_recording_they_are_the_librarys_own() -> None:
    assert agentrace.now().tzinfo is not None
    assert agentrace.uuid4() != agentrace.uuid4()
    assert 0 <= agentrace.random() < 1
    assert agentrace.getenv("NOWHERE") is None


# --- without a change to the program ------------------------------------------------------------------------


def everything() -> Any:
    items = ["a", "b", "c", "d", "e"]
    random.shuffle(items)
    return [
        *(time.time(), time.time_ns(), datetime.datetime.now(), datetime.datetime.now(datetime.UTC)),
        *(uuid.uuid4(), random.random(), random.randint(1, 10**9), random.randbytes(4)),
        *(
            items,
            random.choice(items),
            random.choices(items, k=3),
            random.sample(items, 3),
            random.choices("ab", [1, 9]),
        ),
    ]


def test_what_the_program_asks_for_is_recorded_and_answered() -> None:
    with KNOWN, recording(patch=("time", "uuid", "random")) as made:
        seen = everything()
    with KNOWN, replaying(made.record, settings={"patch": ("time", "uuid", "random")}):
        assert everything() == seen
        with pytest.raises(agentrace.ReplayDivergence, match="CALL_EXTRA"):
            datetime.datetime.now()

    assert {type(value) for value in seen[2:4]} == {datetime.datetime}
    assert everything() != seen


def test_what_a_library_asks_for_is_its_own() -> None:
    with recording(patch=("time", "random", "uuid")) as made:
        tempfile.mktemp()
        logging.LogRecord("x", 0, "", 0, "", (), None)
        time.monotonic()

    assert not [event for event in made.record.events if isinstance(event, ValueRecorded)]


def test_objects_are_chosen_and_not_copied() -> None:
    items = [object() for _ in range(9)]

    with recording(patch=("random",)):
        assert random.choice(items) in items
        assert set(map(id, random.sample(items, 4))) <= set(map(id, items))


def test_the_generator_goes_on_as_without_us() -> None:
    def drawn() -> Any:
        random.seed(7)
        items = list("abcdef")
        random.shuffle(items)
        return [items, random.choice(items), random.sample(items, 2), random.choices(items, k=2), random.random()]

    plain = drawn()
    with recording(patch=("random",)):
        assert drawn() == plain


def test_datetime_is_as_it_was_afterwards() -> None:
    before = dict(datetime.datetime.__dict__)
    with recording(patch=("time",)):
        assert datetime.datetime.now() <= datetime.datetime.now()

    assert {name: datetime.datetime.__dict__.get(name) for name in ("now", "utcnow")} == {
        name: before[name] for name in ("now", "utcnow")
    }
    assert isinstance(datetime.datetime.today(), datetime.datetime)
    assert type(datetime.date.today()) is datetime.date
