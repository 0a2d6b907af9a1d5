"""Killed at any moment, an indexer leaves an index that the next one goes on with: nothing is lost, nothing is twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from agentrace.index import database
from tests.unit.indexes import made_anew, of_store
from tests.unit.recorded_runs import MODEL, Process, completion

KILLS = int(os.environ.get("AGENTRACE_SOAK") or 5)
REPOSITORY = Path(__file__).parents[2]

INDEXER = """
import pathlib, sys
from agentrace.index import indexing, opened, rebuild
from agentrace.store import Store
indexing.ROWS_AT_ONCE = 200  # many transactions, so that a kill meets each of their moments
root = pathlib.Path(sys.argv[1])
print("ready", flush=True)
with opened(Store(root)):
    pass
while True:
    rebuild(Store(root))
"""


def recorded(root: Path, first: int, runs: int) -> None:
    """Add some runs to a store."""
    process = Process(root)
    for number in range(first, first + runs):
        run = process.run(f"agent-{number % 3}", after_ms=number * 10, number=number)
        for at in range(8):
            model = run.step("model", "openai.chat.completions", at, {"model": "gpt-5", "messages": [at]}, **MODEL)
            run.exchange(model, at, at + 0.5, body=completion(f"answer {at} of {number}"))
            run.answered(model, at + 0.5)
        run.end(9)
    process.close()


def killed_after(root: Path, seconds: float) -> None:
    """Start an indexer, and kill it so long after it began."""
    with subprocess.Popen(
        [sys.executable, "-c", INDEXER, str(root)], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as indexer:
        assert indexer.stdout is not None
        assert indexer.stdout.readline() == b"ready\n"
        time.sleep(seconds)  # the moment of the kill is what is tried out
        os.kill(indexer.pid, signal.SIGKILL)


def left_whole(root: Path) -> bool:
    """Whether what the killed one left is, run by run, all or nothing; ``False`` if it left no index."""
    if not (root / database.FILE).exists():
        return False
    try:
        connection = database.readable(root / database.FILE)
    except database.Outdated:
        return False
    with connection:
        torn = connection.execute(
            "SELECT count(*) FROM progress p FULL JOIN run_rows r USING (run_key)"
            " LEFT JOIN (SELECT run_key, count(*) AS events FROM event_rows GROUP BY run_key) e USING (run_key)"
            " WHERE p.run_key IS NULL OR r.run_key IS NULL OR r.events <> e.events OR p.last_seq <> e.events"
        ).fetchone()
    assert torn == (0,)
    return True


def test_an_indexer_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    rng = random.Random("index")
    whole = 0
    for number in range(KILLS):
        recorded(tmp_path, number * 20, 20)

        killed_after(tmp_path, rng.random() * 1.5)

        whole += left_whole(tmp_path)
        if number % 4 == 3:
            assert of_store(tmp_path) == made_anew(tmp_path)
    assert whole > KILLS // 4, "most kills came before there was anything to spoil"
    assert of_store(tmp_path) == made_anew(tmp_path)
