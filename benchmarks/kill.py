"""Processes killed with SIGKILL at any moment: no call that had returned may be missing from the record."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path

from benchmarks.children import environment, program, store
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.reading import inputs

WAYS = {
    "main_thread": "the main thread",
    "four_threads": "four threads",
    "forked_child": "a forked child and its parent",
    "spawned_child": "a spawned child",
    "c_code_with_the_gil": "C code holding the GIL",
}
KILLS = 40
"""Of each way."""
READ = 1 << 16


def measure(effort: Effort) -> list[Figure]:
    """Acknowledged calls that are missing, for each way of running; and how many were acknowledged."""
    chance = random.Random(9)
    kills = effort.calls(KILLS)
    missing = dict.fromkeys(WAYS, 0)
    acknowledged = dict.fromkeys(WAYS, 0)
    for number in range(kills * len(WAYS)):
        way = list(WAYS)[number % len(WAYS)]
        with store() as home:
            calls = _killed(way, home, int(10 ** chance.uniform(0.5, 3.0)), effort)
            missing[way] += len(calls - _kept(home))
        acknowledged[way] += len(calls)
    return [
        Figure(
            promise=f"finished calls that {kills * len(WAYS)} kill -9 lose",
            unit="",
            exactly=0,
            values=[float(count) for count in missing.values()],
            how=f"of {sum(acknowledged.values()):,} acknowledged; in {', '.join(WAYS.values())}",
        )
    ]


def _killed(way: str, home: Path, enough: int, effort: Effort) -> set[str]:
    """Start the program, kill it and its children after that many acknowledgements; all that it acknowledged."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*program("killed"), way, str(writing)],
        env=environment(home, effort.environ),
        cwd=home.parent,
        pass_fds=[writing],
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    told = b""
    try:
        while told.count(b"\n") < enough and (more := os.read(reading, READ)):
            told += more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, err = process.communicate()
    while more := os.read(reading, READ):
        told += more
    os.close(reading)
    calls = told.decode().splitlines()
    if process.returncode != -signal.SIGKILL or len(calls) < enough:
        raise Unsound(f"{way} ended by itself with {process.returncode} after {len(calls)} calls:\n{err.decode()}")
    return set(calls)


def _kept(home: Path) -> set[str]:
    """The names of the completed calls in the record."""
    return {told["name"] for told in inputs(home, "task") if isinstance(told, dict)}
