"""A burst of calls, as fast as they go: none may be missing from the record."""

from __future__ import annotations

from benchmarks.children import run, store
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.programs.traced_calls import WARM_UP
from benchmarks.reading import recorded


def measure(effort: Effort) -> list[Figure]:
    """Calls that are missing from the record, and what a call of the burst took."""
    calls = effort.calls(200_000, 100)
    missing: list[float] = []
    each: list[float] = []
    for _ in range(effort.rounds(2)):
        with store() as home:
            task = {"recorded": True, "calls": calls, "pause": 0, "threads": 1}
            told = run("traced_calls", task, home, effort.environ)
            found = recorded(home).calls
        if found > calls + WARM_UP:
            raise Unsound(f"{calls + WARM_UP:,} calls were made, {found:,} are in the record")
        missing.append(calls + WARM_UP - found)
        each.append(told["each"])
    return [
        Figure(
            promise=f"calls that a burst of {calls:,} drops",
            unit="",
            exactly=0,
            values=missing,
            how="calls made, less calls read back",
        ),
        Figure(
            promise="a call of that burst, all in all",
            unit="µs",
            values=each,
            how="time of the burst over its calls, sealing in the background included",
        ),
    ]
