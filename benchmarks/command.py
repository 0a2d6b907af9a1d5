"""What ``agentrace run`` adds to the start and end of a program that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.children import environment, store
from benchmarks.figures import Effort, Figure, NotPossible, Unsound
from benchmarks.reading import recorded

PYTHON = [sys.executable, "-c", "pass"]


def measure(effort: Effort) -> list[Figure]:
    """Wall time of the command with and without ``agentrace run`` before it."""
    script = agentrace_command()
    _once(effort, [script, "run", *PYTHON], recording=True)
    values: list[float] = []
    for _ in range(effort.rounds(15)):
        bare = _once(effort, PYTHON, recording=False)
        values.append(_once(effort, [script, "run", *PYTHON], recording=True) - bare)
    return [
        Figure(
            promise="`agentrace run` before a program that does nothing",
            unit="ms",
            values=values,
            how="wall time of the command, less that of plain python",
        )
    ]


def agentrace_command() -> str:
    """The command beside this interpreter. Raises ``NotPossible`` if there is none."""
    script = Path(sys.executable).with_name("agentrace")
    if not script.exists():
        raise NotPossible("the command `agentrace` is not installed beside this interpreter")
    return str(script)


def _once(effort: Effort, command: list[str], *, recording: bool) -> float:
    with store() as home:
        start = time.perf_counter()
        done = subprocess.run(
            command, env=environment(home, effort.environ), cwd=home.parent, capture_output=True, text=True, check=False
        )
        took = (time.perf_counter() - start) * 1e3
        if done.returncode or done.stdout:
            raise Unsound(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        if recording and recorded(home).durability != {"process"}:
            raise Unsound("the command recorded nothing")
    return took
