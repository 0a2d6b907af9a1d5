"""A record that is cut at any byte, as a power failure cuts it: a replay answers what is whole and then stops."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest

import agentrace
from agentrace.errors import ReplayDivergence
from agentrace.fold import boundaries
from agentrace.query import RunRecord, Runs
from agentrace.replay.calls import flow_of
from agentrace.testing import StubProvider
from tests.unit.openai_clients import HELLO, MODEL, client
from tests.unit.replays import KNOWN, replayed

SOAK = int(os.environ.get("AGENTRACE_SOAK", "0"))
PLACES = 60
"""Cuts that are tried where not every byte is."""
_noise = random.Random(20)
_answers = itertools.count()


@agentrace.tool
def ask(given: Any) -> str:
    return f"{given}: {next(_answers)} {_noise.randbytes(40).hex()}"


@agentrace.tool
def words(count: int) -> Any:
    for _ in range(count):
        yield f"word {next(_answers)}"


class Agent:
    """A program with a stream, two threads and a model call that is tried twice."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: dict[str, list[Any]] = {"main": [], "0": [], "1": []}
        """What each flow saw, in its order."""
        self.drawn: list[float] = []

    def __call__(self) -> None:
        with suppress(ReplayDivergence):  # it is latched in the tape
            main = self.seen["main"]
            main.append(ask("first"))
            self.drawn.append(agentrace.random())
            main.append(list(words(4)))
            main.append(self._model())
            threads = [threading.Thread(target=self._work, args=(str(number),)) for number in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            main.append(ask("x" * 5000))  # kept beside the events
            main.append(ask("last"))

    def _work(self, name: str) -> None:
        with suppress(ReplayDivergence):
            for number in range(2):
                self.seen[name].append(ask([name, number]))

    def _model(self) -> Any:
        model: openai.OpenAI = client(self.url, retries=1)
        return model.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Agent]:
    """The store of an agent's process that is gone, with the one file of its journal, and what the agent saw."""
    home = tmp_path_factory.mktemp("cut") / "store"
    with KNOWN, StubProvider(seed=20).error(429, retry_after_ms=1).reply("yes").serve() as url:
        agentrace.init(home=home, seal=False)
        agent = Agent(url)
        agent()
        agentrace.shutdown()
    return home, agent


def lane(home: Path) -> Path:
    (path,) = home.glob("journal/*/*.lane")
    return path


def record_cut(home: Path, copy: Path, at: int) -> RunRecord | None:
    """The run in a copy of a store whose journal ends at a byte; ``None`` if nothing of it is left."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    os.truncate(lane(copy), at)
    runs = Runs(copy)
    return runs.record(runs.ids[0]) if runs.ids else None


def check_cut(home: Path, copy: Path, recorded: Agent, at: int) -> int:
    """Replay what is left; how many calls were answered."""
    record = record_cut(home, copy, at)
    if record is None:
        return 0
    agent = Agent(recorded.url)
    found = replayed(record, agent)

    for flow, seen in agent.seen.items():
        assert seen == recorded.seen[flow][: len(seen)], (at, "never a wrong value")
    assert agent.drawn == recorded.drawn[: len(agent.drawn)], at
    if found.divergence is None:
        # Nothing of a run is lost by a cut right behind its end, before what else the journal writes.
        complete = record.trace.run.ended is not None and not record.damage
        assert (agent.seen, found.verdict) == (recorded.seen, "exact" if complete else "exact_with_caveats"), at
    else:
        assert found.code == "RECORD_INCOMPLETE", (at, found.report)
    assert reaches_its_end(record, agent), at
    return sum(map(len, agent.seen.values()))


def reaches_its_end(record: RunRecord, agent: Agent) -> bool:
    """Whether one flow was answered all that is whole of it; the others were stopped by that."""
    whole: dict[str, int] = {}
    stopped: set[str] = set()
    for step in boundaries(record.trace.steps):
        flow = flow_of(step)
        if step.ended is None:
            stopped.add(flow)
        elif flow not in stopped:
            whole[flow] = whole.get(flow, 0) + 1
    main = whole.pop("|", 0)
    if len(agent.seen["main"]) == main:
        return True
    reached = [len(agent.seen[name]) for name in "01"]
    return len(agent.seen["main"]) == 3 and any(map(int.__eq__, reached, whole.values()))


def test_the_whole_record_is_replayed_exactly(recorded: tuple[Path, Agent], tmp_path: Path) -> None:
    home, before = recorded
    agent = Agent(before.url)
    record = record_cut(home, tmp_path / "copy", lane(home).stat().st_size)

    assert record is not None
    found = replayed(record, agent)

    assert (found.verdict, agent.seen) == ("exact", before.seen)


def test_a_cut_record_is_replayed_up_to_the_cut(recorded: tuple[Path, Agent], tmp_path: Path) -> None:
    home, agent = recorded
    size = lane(home).stat().st_size
    places = random.Random(7).sample(range(size), PLACES)

    answered = [check_cut(home, tmp_path / "copy", agent, at) for at in sorted(places)]

    assert answered[-1] == 9
    assert len(set(answered)) >= 4


@pytest.mark.skipif(not SOAK, reason="set AGENTRACE_SOAK to cut at every byte")
def test_a_record_that_is_cut_anywhere(recorded: tuple[Path, Agent], tmp_path: Path) -> None:
    home, agent = recorded
    for at in range(lane(home).stat().st_size):
        check_cut(home, tmp_path / "copy", agent, at)
