"""A replay from a file that is cut or damaged answers as long as it can, and never with anything but what was."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import agentrace
from agentrace import events
from agentrace.archive import TraceFile, export
from agentrace.archive.layout import END
from agentrace.errors import AgentraceError, ReplayDivergence
from agentrace.journal import Journal
from agentrace.query import RunRecord, Runs
from tests.contract.recording import Recording, recording
from tests.unit.replays import KNOWN, replayed

CALLS = 60


class Agent:
    """A program that asks the same again and again, and is told something else each time."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._count = itertools.count()
        noise = random.Random(7)
        self._poll = agentrace.tool(lambda queue: f"{queue} {next(self._count)} {noise.randbytes(120).hex()}")

    def __call__(self) -> None:
        for _ in range(CALLS):
            self.seen.append(self._poll("main"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[str]]:
    """The file of a recorded agent, and what the agent saw."""
    place = tmp_path_factory.mktemp("recorded")
    agent = Agent()
    with KNOWN, recording() as made:
        agent()
    store = _stored(made, place / "store")
    export(store, store.ids, place / "x.agentrace")
    return (place / "x.agentrace").read_bytes(), agent.seen


def _stored(made: Recording, root: Path) -> Runs:
    journal = Journal(root, tombstone=events.tombstone, on_failure=lambda *_: None)
    writer = journal.writer(made.memory.run_id)
    for digest, data in made.memory.payloads.items():
        writer.payload(digest, data)
    for body in made.memory.written:
        writer.event(body)
    journal.close(timeout=30)
    return Runs(root)


def answered(path: Path, data: bytes) -> tuple[list[str], str]:
    """What the agent sees when it is replayed from these bytes, and the code with which that ends."""
    path.write_bytes(data)
    agent, code = Agent(), "refused"
    with suppress(AgentraceError):
        file = TraceFile(path)
        record: RunRecord = file.record(file.manifest.runs[0].run_id)
        again = replayed(record, _stopping(agent))
        code = again.code or again.verdict
    assert path.read_bytes() == data
    return agent.seen, code


def _stopping(agent: Agent) -> Callable[[], None]:
    def program() -> None:
        with suppress(ReplayDivergence):  # it is latched in the tape
            agent()

    return program


def test_a_whole_file_replays_exactly(recorded: tuple[bytes, list[str]], tmp_path: Path) -> None:
    data, seen = recorded

    assert answered(tmp_path / "x.agentrace", data) == (seen, "exact")


def test_a_cut_file_replays_up_to_where_it_is_cut(recorded: tuple[bytes, list[str]], tmp_path: Path) -> None:
    data, seen = recorded
    reached = []
    for kept in range(0, len(data) - 60, len(data) // 24):
        got, code = answered(tmp_path / "x.agentrace", data[:kept])

        assert got == seen[: len(got)]
        assert code in ("refused", "RECORD_INCOMPLETE") or (code == "exact_with_caveats" and got == seen), kept
        reached.append(len(got))
    assert reached == sorted(reached)
    assert len(set(reached)) >= 3
    assert reached[-1] > CALLS // 2


def test_a_damaged_file_replays_up_to_the_damage(recorded: tuple[bytes, list[str]], tmp_path: Path) -> None:
    data, seen = recorded
    codes = set()
    for at in range(3, len(data), len(data) // 36):
        got, code = answered(tmp_path / "x.agentrace", data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])

        assert got == seen[: len(got)], at
        assert code in ("refused", "RECORD_INCOMPLETE") or got == seen, at
        assert code != "exact" or at >= len(data) - END.size, "only the end mark is no part of a run"
        codes.add(code)
    assert "RECORD_INCOMPLETE" in codes
