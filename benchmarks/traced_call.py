"""What a traced function costs its caller: one call after the other, with pauses, and from busy threads."""

from __future__ import annotations

from typing import Any

from benchmarks.children import run, store
from benchmarks.figures import Effort, Figure
from benchmarks.programs.traced_calls import WARM_UP
from benchmarks.reading import expect_calls

THREADS = 4


def measure(effort: Effort) -> list[Figure]:
    """Median and 99th percentile of what tracing adds; the same after pauses; what four busy threads change."""
    calls, paused = effort.calls(20_000, 40), effort.calls(500, 10)
    rounds = range(effort.rounds(5))
    tight = [_added(effort, calls=calls) for _ in rounds]
    after_pauses = [_added(effort, calls=paused, pause=0.001) for _ in rounds]
    busy = [_of_threads(effort, effort.calls(40_000, 40)) for _ in rounds]
    return [
        Figure(
            promise="a traced call costs its caller, median",
            unit="µs",
            below=15,
            values=[added["median"] for added in tight],
            how=f"{calls:,} calls, less the same calls untraced",
        ),
        Figure(
            promise="a traced call costs its caller, 99th percentile",
            unit="µs",
            below=100,
            values=[added["p99"] for added in tight],
            how="the same calls",
        ),
        Figure(
            promise="a traced call after 1 ms of waiting, median",
            unit="µs",
            below=40,
            values=[added["median"] for added in after_pauses],
            how=f"{paused:,} calls, each after a pause, less the same untraced",
        ),
        Figure(
            promise="a traced call from four busy threads, against one thread",
            unit="times",
            below=2,
            values=busy,
            how="time per traced call, less the same untraced, of 4 threads over 1",
        ),
    ]


def _added(effort: Effort, *, calls: int, pause: float = 0.0) -> dict[str, float]:
    bare = _once(effort, recorded=False, calls=calls, pause=pause, threads=0)
    traced = _once(effort, recorded=True, calls=calls, pause=pause, threads=0)
    return {name: traced[name] - bare[name] for name in ("median", "p99")}


def _of_threads(effort: Effort, calls: int) -> float:
    """What a call of one of four threads takes, over what a call of one thread takes, untraced time taken off."""
    added: list[float] = [
        _once(effort, recorded=True, calls=calls, pause=0, threads=threads)["each"]
        - _once(effort, recorded=False, calls=calls, pause=0, threads=threads)["each"]
        for threads in (1, THREADS)
    ]
    return added[1] / added[0]


def _once(effort: Effort, **task: Any) -> dict[str, Any]:
    with store() as home:
        told = run("traced_calls", task, home, effort.environ)
        if task["recorded"]:
            expect_calls(home, WARM_UP + task["calls"])
    return told
