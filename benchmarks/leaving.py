"""How long a program takes to end that has just recorded ten thousand events."""

from __future__ import annotations

import time

from benchmarks.children import run, store
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.reading import expect_calls

EVENTS_OF_A_CALL = 2


def measure(effort: Effort) -> list[Figure]:
    """From the last line of the program until its process is gone, less the same without recording."""
    calls = effort.calls(5_000, 20)
    values: list[float] = []
    for _ in range(effort.rounds(7)):
        bare = _once(effort, calls, recorded=False)
        values.append(_once(effort, calls, recorded=True) - bare)
    return [
        Figure(
            promise=f"exit after {calls * EVENTS_OF_A_CALL:,} events",
            unit="s",
            below=0.5,
            values=values,
            how="from the last line to the end of the process, all sealed, less the same unrecorded",
        )
    ]


def _once(effort: Effort, calls: int, *, recorded: bool) -> float:
    with store() as home:
        told = run("leaving", {"calls": calls, "recorded": recorded}, home, effort.environ)
        seconds: float = (time.monotonic_ns() - told["over"]) / 1e9
        if recorded and not expect_calls(home, calls).sealed:
            raise Unsound("the run was not sealed when its process ended")
    return seconds
