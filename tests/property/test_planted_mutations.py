"""One change of a program, planted anywhere: a replay finds it, at that very step, and says what kind of change it is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

import agentrace
from agentrace.errors import ReplayDivergence
from agentrace.query import RunRecord
from tests.unit.replays import Program, record_of, replayed

CASES = int(os.environ.get("AGENTRACE_SOAK", "0")) or 16
"""Programs for each kind of change."""
_answers = itertools.count()
_WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "juniper", "kelp", "lagoon"]


def answer(given: Any) -> int:
    """Another number at each call, so that only the right answer is equal."""
    return next(_answers)


async def awaited(given: Any) -> int:
    await asyncio.sleep(0)
    return next(_answers)


SYNC = {name: agentrace.tool(name=name)(answer) for name in ("ask", "tell", "seek", "unheard_of")}
ASYNC = {name: agentrace.tool(name=name)(awaited) for name in SYNC}
NAMES = ("ask", "tell", "seek")


class Made(Struct, frozen=True):
    """One call of a program."""

    name: str
    number: int
    """Another one for each call of a program."""
    text: str

    @property
    def given(self) -> dict[str, Any]:
        """Its argument."""
        return {"number": self.number, "text": self.text}


Flow = list[Made]


class Planted(Struct, frozen=True):
    """A changed flow, and how a replay has to stop."""

    flow: Flow
    code: str
    at: int
    """Position in the recorded flow of the call that was expected; its length for none."""
    told: str = ""
    """What the report has to say."""


# --- programs -----------------------------------------------------------------------------------------------


def flows_of(chance: random.Random) -> list[Flow]:
    """Two to four flows of calls that are all different."""
    numbers = itertools.count(1)

    def made() -> Made:
        return Made(chance.choice(NAMES), next(numbers), " ".join(chance.choices(_WORDS, k=40)))

    return [[made() for _ in range(chance.randint(2, 7))] for _ in range(chance.randint(2, 4))]


def one_after_the_other(flows: list[Flow], seen: list[list[int]]) -> Program:
    """A program that runs each flow in a step of its own."""

    @agentrace.agent
    def line(number: int) -> None:
        for call in flows[number]:
            seen[number].append(SYNC[call.name](call.given))

    def program() -> None:
        for number in range(len(flows)):
            line(number)

    return program


def all_at_once(flows: list[Flow], seen: list[list[int]]) -> Program:
    """A program that runs each flow in a task of its own."""

    async def line(number: int) -> None:
        for call in flows[number]:
            seen[number].append(await ASYNC[call.name](call.given))

    async def program() -> None:
        with contextlib.suppress(ReplayDivergence):  # it is latched in the tape
            await asyncio.gather(*map(line, range(len(flows))))

    return program


# --- changes ------------------------------------------------------------------------------------------------


def drop(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randrange(len(flow))
    code = "CALL_OUT_OF_ORDER" if at < len(flow) - 1 else "CALL_MISSING"
    return Planted(flow[:at] + flow[at + 1 :], code, at, "made later here" if at < len(flow) - 1 else "1 more call(s)")


def add(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randint(0, len(flow))
    new = Made("unheard_of", 0, "new")
    return Planted([*flow[:at], new, *flow[at:]], "CALL_EXTRA", at, "did not make here")


def swap(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randrange(len(flow) - 1)
    return Planted([*flow[:at], flow[at + 1], flow[at], *flow[at + 2 :]], "CALL_OUT_OF_ORDER", at)


def edit(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randrange(len(flow))
    call = flow[at]
    other = replace(call, number=call.number + 1000)
    return Planted([*flow[:at], other, *flow[at + 1 :]], "CALL_CHANGED", at, f"$.given.number: {call.number} -> ")


def reword(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randrange(len(flow))
    words = flow[at].text.split()
    place = chance.randrange(len(words))
    before, words[place] = words[place], "quicksand"
    other = replace(flow[at], text=" ".join(words))
    return Planted([*flow[:at], other, *flow[at + 1 :]], "CALL_CHANGED", at, f"[-{before}-][+quicksand+]")


def duplicate(flow: Flow, chance: random.Random) -> Planted:
    at = chance.randrange(len(flow))
    return Planted([*flow[: at + 1], flow[at], *flow[at + 1 :]], "CALL_EXTRA", at + 1, "does not repeat here")


CHANGES: list[Callable[[Flow, random.Random], Planted]] = [drop, add, swap, edit, reword, duplicate]


@pytest.mark.parametrize("shape", [one_after_the_other, all_at_once])
@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_change_is_found_where_it_is(change: Callable[..., Planted], shape: Callable[..., Program]) -> None:
    for seed in range(CASES if shape is one_after_the_other else CASES // 2):
        chance = random.Random(f"{change.__name__} {seed}")
        flows = flows_of(chance)
        seen: list[list[int]] = [[] for _ in flows]
        _, record = record_of(shape(flows, seen))
        mutated = chance.randrange(len(flows))
        planted = change(flows[mutated], chance)

        again: list[list[int]] = [[] for _ in flows]
        changed = [planted.flow if number == mutated else flow for number, flow in enumerate(flows)]
        found = replayed(record, shape(changed, again))

        expected = steps_of(record, flows[mutated])[planted.at]
        assert found.verdict == "diverged"
        assert found.divergence is not None
        assert (found.code, found.divergence.expected_step) == (planted.code, expected), (seed, found.report)
        assert planted.told in found.report, seed
        assert all(a == s[: len(a)] for a, s in zip(again, seen, strict=True)), "every answer is the recorded one"


def steps_of(record: RunRecord, flow: Flow) -> list[int]:
    """The recorded steps of the calls of a flow, and 0 for what would come behind them."""
    by_number = {
        record.values.json(step.dispatched.input)["given"]["number"]: step.id
        for step in record.trace.steps.values()
        if step.kind == "tool"
    }
    return [*(by_number[call.number] for call in flow), 0]


def test_what_is_not_changed_is_exact() -> None:
    for seed in range(CASES // 3):
        flows = flows_of(random.Random(seed))
        seen: list[list[int]] = [[] for _ in flows]
        again: list[list[int]] = [[] for _ in flows]
        _, record = record_of(one_after_the_other(flows, seen))

        found = replayed(record, one_after_the_other(flows, again))

        assert (found.verdict, again) == ("exact", seen)
