"""Whatever an agent does: replayed under another schedule it sees what it saw, and nothing is asked again."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from agentrace.query import RunRecord
from tests.property.random_agents import Flow, Node, run
from tests.property.random_maker import Maker
from tests.property.random_world import World, reaching
from tests.unit.replays import Replayed, record_of, replayed

PROGRAMS = int(os.environ.get("AGENTRACE_PROGRAMS", "500"))


def noise(seed: int) -> Callable[[], None]:
    """Holds whoever calls it up now and then, so that another schedule comes about."""
    chance = random.Random(seed)

    def held_up() -> None:
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0, 0.001))

    return held_up


def seen(program: Node, schedule: int) -> Any:
    """What a program sees."""
    random.seed(20)
    flow = Flow(noise=noise(schedule))
    run(program, flow)
    return flow.seen


def both(seed: int) -> tuple[Any, Replayed, Replayed, World]:
    """What a program saw when it was recorded, how its replay went, and how the replay of that went."""
    program = Maker(seed).program()
    with reaching(World(seed)) as world:
        first, record = record_of(lambda: seen(program, seed))
    assert world is not None
    return first, *_replays(program, record, seed), world


def _replays(program: Node, record: RunRecord, seed: int) -> tuple[Replayed, Replayed]:
    interval = sys.getswitchinterval()
    with reaching(None):
        try:
            sys.setswitchinterval(random.Random(seed).choice([1e-5, 1e-3, interval]))
            again = replayed(record, lambda: seen(program, seed + 1))
            return again, replayed(again.record, lambda: seen(program, seed + 2))
        finally:
            sys.setswitchinterval(interval)


@pytest.mark.parametrize("first", range(0, PROGRAMS, 10))
def test_a_replay_sees_what_was_seen(first: int) -> None:
    for seed in range(first, min(first + 10, PROGRAMS)):
        saw, again, third, _ = both(seed)
        assert (seed, again.verdict, again.caveats) == (seed, "exact", []), again.divergence
        assert (seed, again.seen) == (seed, saw)
        assert (seed, third.verdict, third.caveats, third.seen) == (seed, "exact", [], saw), third.divergence
