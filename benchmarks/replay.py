"""How much later a replayed program has its first answer than the same program without us."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.children import environment, program, store
from benchmarks.command import agentrace_command
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.reading import expect_calls
from benchmarks.stub import provider


def measure(effort: Effort) -> list[Figure]:
    """From the start of the command to the first answer in the program, replayed less plain."""
    calls = effort.calls(5_000, 20)
    agent = [*program("first_answer"), str(calls)]
    values: list[float] = []
    with store() as home:
        with provider() as url:
            extra = {**effort.environ, "OPENAI_BASE_URL": f"{url}/v1"}
            _first_answer([agentrace_command(), "run", *agent], home, extra)
            expect_calls(home, 1 + calls)
            plain = [_first_answer(agent, home, extra) for _ in range(effort.rounds(5))]
        # The provider is gone: only the record can answer now.
        for without in plain:
            replay = [agentrace_command(), "replay", "@last", "--", *agent]
            values.append(_first_answer(replay, home, effort.environ, verdict="replay exact") - without)
    return [
        Figure(
            promise="replay start, beyond what the program takes without us",
            unit="s",
            below=1,
            values=values,
            how=f"to the first answer, from a record of {calls + 1:,} calls",
        )
    ]


def _first_answer(command: list[str], home: Path, extra: Mapping[str, str], verdict: str = "") -> float:
    """Seconds from the start of a command to the first answer that its program told."""
    start = time.monotonic_ns()
    done = subprocess.run(
        command, env=environment(home, extra), cwd=home.parent, capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout.strip().isdigit() or verdict not in done.stderr:
        raise Unsound(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr[-2000:]}")
    return (int(done.stdout) - start) / 1e9
