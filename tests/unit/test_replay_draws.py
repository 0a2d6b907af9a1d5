"""What tools draw from the program's own generator of random numbers is drawn on a replay, too."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import agentrace
from agentrace.capture.chance import generator, standing
from agentrace.replay.draws import Draws
from tests.unit.replays import exact, record_of, replayed


@agentrace.tool
def dice(count: int) -> list[int]:
    return [random.randint(1, 6) for _ in range(count)]


@agentrace.tool
def fails(count: int) -> None:
    random.getrandbits(32 * count)
    raise ValueError(count)


@agentrace.model
async def later(count: int) -> list[float]:
    await asyncio.sleep(0.001 * random.random())
    return [random.random() for _ in range(count)]


@agentrace.tool
def rolls(count: int) -> Iterator[int]:
    for _ in range(count):
        yield random.randint(1, 6)


@agentrace.tool
async def flips(count: int) -> AsyncIterator[bool]:
    for _ in range(count):
        await asyncio.sleep(0)
        yield random.random() < 0.5


def test_a_seeded_program_draws_what_it_drew() -> None:
    def program() -> Any:
        random.seed(20)
        seen: list[Any] = [random.random()]
        for count in (1, 0, 400, 3):
            seen += [dice(count), random.random()]
            try:
                fails(count + 1)
            except ValueError:
                seen.append(random.randint(0, 99))
        for number in rolls(5):
            seen += [number, random.random()]
            if number == 6:
                break
        return seen, random.getstate()

    exact(program)


def test_a_seeded_program_draws_what_it_drew_though_others_draw_beside_it() -> None:
    async def program() -> Any:
        random.seed(20)
        seen: list[Any] = []

        async def work(count: int) -> None:
            for _ in range(4):
                seen.append((count, await later(count), random.random()))
                async for flip in flips(count):
                    seen.append((count, flip, random.random()))

        await asyncio.gather(*map(work, range(4)))
        return seen

    for _ in range(3):
        exact(program)


def test_values_that_are_recorded_are_drawn_again() -> None:
    def program() -> Any:
        random.seed(20)
        return [agentrace.random(), random.random(), dice(1), random.random()]

    exact(program)


def test_a_generator_that_nobody_seeds_stays_as_it_is() -> None:
    def program() -> Any:
        for _ in range(6):
            dice(2)
        return random.getstate()

    random.seed()
    _, record = record_of(program)
    random.seed()
    before = random.getstate()
    assert replayed(record, program).seen == before


def test_steps_that_run_again_tell_nothing_of_it() -> None:
    @agentrace.trace
    def thinking() -> float:
        return random.random()

    def program() -> Any:
        random.seed(20)
        return thinking(), dice(1), dice(0)

    _, record = record_of(program)
    told = [step.ended.random > 0 for step in record.trace.steps.values() if step.ended is not None]
    assert told == [False, True, False]


@given(st.integers(0, 2**32), st.lists(st.integers(0, 2000), max_size=4))
@example(0, [624])
@example(0, [0, 624, 0, 1248])
@settings(max_examples=60, deadline=None)
def test_the_generator_comes_to_where_it_stood(seed: int, words: list[int]) -> None:
    draws = Draws()
    random.seed(seed)
    stood: list[tuple[int, Any]] = []
    for count in words:
        if count:
            random.getrandbits(32 * count)
        stood.append((standing(generator()), random.getstate()))

    random.seed(seed)
    for stands, state in stood:
        draws.until(stands)
        assert random.getstate() == state


@pytest.mark.parametrize("stands", [0, 1, 624, 1 << 41 | 7])
def test_where_it_never_stood_nothing_is_drawn(stands: int) -> None:
    random.seed(20)
    before = random.getstate()
    Draws().until(stands)
    assert random.getstate() == before


def test_a_program_without_the_module_is_not_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "random")
    assert standing(generator()) == 0
    unchanged: Callable[[int], None] = Draws().until
    unchanged(7)
    assert "random" not in sys.modules
