"""Killed at any moment, a recorder loses no event that had been written: sets of acknowledged seqs are compared."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentrace import events
from agentrace.journal import Snapshot, open_record, recover, verify
from agentrace.journal.filesystem import judge
from agentrace.journal.frames import TORN_TAIL
from agentrace.journal.lanes import lanes
from tests.chaos.victims import ACKNOWLEDGEMENT, RUNS, VICTIMS, text_of
from tests.unit.journal_samples import digest, event, lost, seq_of

KILLS = int(os.environ.get("AGENTRACE_SOAK") or 3)
REPOSITORY = Path(__file__).parents[2]
MOST = {"c_code_holds_the_gil": 200, "payloads": 2000}
"""After how many acknowledgements a victim is killed at the latest, if not after 10,000."""
BY_THEMSELVES = {"exits_at_once", "ends_without_closing"}

Acknowledged = set[tuple[int, int]]


def acknowledged_by(victim: str, store: Path, rng: random.Random) -> Acknowledged:
    """Run a victim, kill it (and its children) after some number of acknowledgements; all of them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.victims", victim, str(store)],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process:
        data = process.stdout.read(ACKNOWLEDGEMENT.size * int(MOST.get(victim, 10_000) ** rng.random()))
        if victim not in BY_THEMSELVES:
            os.killpg(process.pid, signal.SIGKILL)
        data += process.stdout.read()
    return {ACKNOWLEDGEMENT.unpack_from(data, at) for at in range(0, len(data), ACKNOWLEDGEMENT.size)}  # type: ignore[misc]


def check(store: Path, acknowledged: Acknowledged) -> None:
    """Every acknowledged event is there, before and after recovery, and nothing is there that was not written."""
    runs = {run for run, _ in acknowledged}
    before = {run: kept(store, run) for run in runs}
    recover(store, tombstone=events.tombstone)
    after = {run: kept(store, run) for run in runs}

    assert before == after
    assert {(run, seq) for run, seqs in after.items() for seq in seqs} >= acknowledged
    for run in after:
        record = open_record(store, RUNS[run])
        assert (record.state, record.holes) == ("sealed", [])
        assert [problem.kind for problem in verify(store, RUNS[run])] == ["damage"] * len(record.damage)
        assert {spot.what for spot in record.damage} <= {TORN_TAIL}
    assert lanes(store) == []


def kept(store: Path, run: int) -> set[int]:
    record = Snapshot(store).record(RUNS[run])
    bodies = [body for body in record.events() if lost(body) is None]
    assert bodies == [event(seq_of(body), text_of(seq_of(body))) for body in bodies]
    return {seq_of(body) for body in bodies}


@pytest.mark.skipif(not judge(Path.cwd()).safe, reason=judge(Path.cwd()).why)
@pytest.mark.parametrize("victim", VICTIMS)
def test_what_was_acknowledged_survives(victim: str, tmp_path: Path) -> None:
    rng = random.Random(victim)
    for number in range(1 if victim in BY_THEMSELVES else KILLS):
        acknowledged = acknowledged_by(victim, tmp_path / str(number), rng)

        check(tmp_path / str(number), acknowledged)


def test_the_payloads_of_acknowledged_events_survive(tmp_path: Path) -> None:
    acknowledged = acknowledged_by("payloads", tmp_path, random.Random(2))

    recover(tmp_path, tombstone=events.tombstone)

    record = open_record(tmp_path, RUNS[0])
    for _, seq in sorted(acknowledged):
        data = seq.to_bytes(4, "little") * 5000
        assert record.payload(digest(data)) == data
