"""How long the command line takes to list and to show a run of ten thousand steps."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks.children import environment, run, store
from benchmarks.command import agentrace_command
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.programs.traced_calls import WARM_UP
from benchmarks.reading import expect_calls


def measure(effort: Effort) -> list[Figure]:
    """Wall time of ``agentrace show`` and ``agentrace ls``, from the command to the prompt."""
    calls = effort.calls(10_000, 100)
    shown: list[float] = []
    listed: list[float] = []
    with store() as home:
        task = {"recorded": True, "calls": calls - WARM_UP, "pause": 0, "threads": 1}
        run("traced_calls", task, home, effort.environ)
        expect_calls(home, calls)
        for _ in range(effort.rounds(7)):
            shown.append(_once(effort, home, "show", "@last"))
            listed.append(_once(effort, home, "ls"))
    return [
        Figure(
            promise=f"`agentrace show` of a run of {calls:,} steps",
            unit="ms",
            below=300,
            values=shown,
            how="wall time of the command, store sealed",
        ),
        Figure(
            promise="`agentrace ls` of the same store",
            unit="ms",
            below=300,
            values=listed,
            how="the same",
        ),
    ]


def _once(effort: Effort, home: Path, *arguments: str) -> float:
    command = [agentrace_command(), *arguments]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=environment(home, effort.environ), cwd=home.parent, capture_output=True, text=True, check=False
    )
    took = (time.perf_counter() - start) * 1e3
    if done.returncode or "traced-calls" not in done.stdout:
        raise Unsound(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    return took
