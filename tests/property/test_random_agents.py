"""Whatever an agent does: replayed under another schedule it sees what it saw, and nothing is asked again."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import pytest

from agentrace.query import RunRecord
from agentrace.replay.offline import refuse_network
from tests.contract.recording import Recording, recording
from tests.property.random_agents import DOES, DOES_ASYNC, Node
from tests.property.random_loops import seen
from tests.property.random_maker import Maker
from tests.property.random_world import World, reaching
from tests.unit.replays import KNOWN, Replayed, replayed

PROGRAMS = int(os.environ.get("AGENTRACE_PROGRAMS", "100"))
AT_ONCE = 100

MOST_OTHER = 1
"""Of a hundred."""

pytestmark = pytest.mark.usefixtures("never_hangs")


class WentOut(BaseException):
    """A replay reached for the network."""


def recorded(seed: int) -> tuple[Any, Recording]:
    """What a program saw when it was recorded, and what was recorded."""
    with reaching(World(seed)), KNOWN, recording() as made:
        saw = seen(Maker(seed).program(), seed)
    return saw, made


@contextmanager
def offline() -> Iterator[list[str]]:
    """Without a world and without a network; what was tried all the same."""
    tried: list[str] = []

    def refused(what: str) -> BaseException:
        tried.append(what)
        return WentOut(what)

    allow = refuse_network(refused)
    try:
        with reaching(None):
            yield tried
    finally:
        allow()


@contextmanager
def switching(seed: int) -> Iterator[None]:
    """Threads take turns more or less often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(random.Random(seed).choice([1e-5, 1e-3, interval]))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def replays(record: RunRecord, seed: int) -> tuple[Replayed, Replayed]:
    """How the replay of a program went, and how the replay of that went."""
    program = Maker(seed).program()
    with offline() as tried, switching(seed):
        again = replayed(record, lambda: seen(program, seed + 1))
        third = replayed(again.record, lambda: seen(program, seed + 2))
    assert tried == []
    return again, third


def other_than_recorded(seed: int) -> str:
    """What is other in a replay of a program, or in the replay of that; empty if nothing is."""
    saw, made = recorded(seed)
    chain, everything = made.record.chain, made.memory.everything()
    try:
        both = replays(made.record, seed)
    except (BaseExceptionGroup, asyncio.CancelledError) as error:  # a divergence, in a task
        return f"raised {error!r}"
    finally:
        assert (made.record.chain, made.memory.everything()) == (chain, everything)
    for name, one in zip(("the replay", "its replay"), both, strict=True):
        if (one.verdict, one.caveats) != ("exact", []):
            return f"{name} is {one.verdict} {one.caveats} {one.divergence}"
        if one.seen != saw:
            return f"{name} is exact, and saw\n{one.seen}\ninstead of\n{saw}"
    return ""


@pytest.mark.parametrize("first", range(0, PROGRAMS, AT_ONCE))
def test_a_replay_sees_what_was_seen(first: int) -> None:
    """Races in these programs are a matter of microseconds, and not all that decides them is in the record: when the
    result of a thread comes into an event loop, for instance. The bound says how many may come out otherwise.
    """
    seeds = range(first, min(first + AT_ONCE, PROGRAMS))
    failed = {seed: told for seed in seeds if (told := other_than_recorded(seed))}
    assert len(failed) <= len(seeds) * MOST_OTHER // 100, failed


# --- the programs are what they claim to be -----------------------------------------------------------------------


def kinds(node: Node) -> set[str]:
    """All that a program does."""
    return {node.do}.union(*map(kinds, node.parts))


def test_programs_do_all_that_they_may_do() -> None:
    assert set.union(*(kinds(Maker(seed).program()) for seed in range(100))) == set(DOES) | set(DOES_ASYNC)


def test_most_equal_calls_at_the_same_time_are_answered_differently() -> None:
    pairs = []
    for seed in range(100):
        with reaching(World(seed)) as world:
            seen(Maker(seed).program(), seed)
        assert world is not None
        equal = ((one, two) for one, two in combinations(world.asked, 2) if one.signature == two.signature)
        pairs += [(one, two) for one, two in equal if one.beside(two)]

    assert len(pairs) > 100
    assert sum(repr(one.answer) != repr(two.answer) for one, two in pairs) > len(pairs) / 2


def test_a_replay_that_opens_a_socket_is_told() -> None:
    program = Maker(7).program()

    with socket.create_server(("127.0.0.1", 0)) as server:

        def connecting() -> Any:
            saw = seen(program, 7)
            socket.create_connection(server.getsockname()).close()
            return saw

        with reaching(World(7)), KNOWN, recording() as made:
            connecting()
        server.accept()[0].close()
        server.setblocking(False)
        with offline() as tried, pytest.raises(WentOut, match="socket"):
            replayed(made.record, connecting)
        with pytest.raises(BlockingIOError):
            server.accept()

    assert len(tried) == 1
