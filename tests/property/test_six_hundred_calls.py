"""Six hundred calls of a busy agent, recorded once, come out the same in every replay."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from functools import partial
from typing import Any

import pytest

from agentrace.fold import boundaries
from agentrace.query import RunRecord
from tests.property.random_agents import SEEN, Node
from tests.property.random_loops import seen
from tests.property.random_world import World, reaching
from tests.unit.replays import record_of, replayed

REPLAYS = 60 if os.environ.get("AGENTRACE_SOAK") else 20
WORKERS = 8

pytestmark = pytest.mark.usefixtures("never_hangs")


def program() -> Node:
    """A loop that takes thirty calls as they complete, again and again, while eight threads work."""
    alike, other = Node("call", name="think", given=0), Node("call", name="look", given=SEEN)
    rounds = Node("loop", [Node("rounds", [alike, other, alike] * 10)], number=10)
    last = Node("gather", [other, other])
    work = Node("loop", [Node("call", name="ask", given=SEEN), Node("call", name="fetch", given=0)], number=18)
    return Node("threads", [Node("asyncio", [Node("call", name="look"), rounds, last]), *[work] * WORKERS])


def digest(saw: Any) -> str:
    """Of all that the program saw."""
    return hashlib.sha256(repr(saw).encode()).hexdigest()


def recorded(seed: int) -> tuple[Any, RunRecord, Counter[str]]:
    """What the program saw, its record, and how often what was asked."""
    with reaching(World(seed)) as world:
        saw, record = record_of(partial(seen, program(), seed))
    assert world is not None
    return saw, record, Counter(one.signature for one in world.asked)


def replays(record: RunRecord, count: int) -> list[tuple[str, list[str], str]]:
    """The verdict of each replay, its caveats and the digest of what the program saw, under another schedule each."""
    with reaching(None):
        made = [replayed(record, partial(seen, program(), 1000 + schedule)) for schedule in range(count)]
    return [(one.verdict, one.caveats, digest(one.seen)) for one in made]


def test_every_replay_is_the_same() -> None:
    saw, record, asked = recorded(600)

    assert len(boundaries(record.trace.steps)) == sum(asked.values()) == 600
    assert asked[repr(("think", 0))] == 200
    assert replays(record, REPLAYS) == [("exact", [], digest(saw))] * REPLAYS


def test_replays_of_other_records_are_the_same() -> None:
    """What threads do between the calls of the loop is another thing in each record."""
    for seed in range(6 if os.environ.get("AGENTRACE_SOAK") else 3):
        saw, record, _ = recorded(seed)
        assert (seed, replays(record, 2)) == (seed, [("exact", [], digest(saw))] * 2)
