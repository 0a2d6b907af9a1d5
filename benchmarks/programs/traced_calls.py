"""Calls of a small function, traced or not, one after the other: what a call takes, as its caller sees it.

Task: ``calls``, ``recorded``, ``pause`` (seconds before each call), ``threads`` (0: one, and each call is timed).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.programs import answer, quantile, settle

WARM_UP = 50

State = dict[str, Any]
Function = Callable[[State], State]


def look_up(state: State) -> State:
    """What is called: next to nothing, so that what is added is what is seen."""
    return {"key": state["key"], "score": state["n"] * 2, "ok": True}


def state(number: int) -> State:
    """An argument that no other call has."""
    return {"key": f"order-{number:07d}", "n": number, "kind": "lookup"}


def main(task: dict[str, Any]) -> dict[str, Any]:
    """Times in microseconds, and the faults of agentrace."""
    if not task["recorded"]:
        return _measured(look_up, task)
    import agentrace

    agentrace.init()
    with agentrace.run("traced-calls"):
        told = _measured(agentrace.trace(look_up), task)
    return {**told, "faults": agentrace.status().faults}


def _measured(function: Function, task: dict[str, Any]) -> dict[str, Any]:
    for number in range(WARM_UP):
        function(state(number))
    states = [state(WARM_UP + number) for number in range(task["calls"])]
    settle()
    if task["threads"]:
        return {"each": _together(function, states, task["threads"])}
    return _one_by_one(function, states, task["pause"])


def _one_by_one(function: Function, states: list[State], pause: float) -> dict[str, Any]:
    took, clock, sleep = [0] * len(states), time.perf_counter_ns, time.sleep
    for index, one in enumerate(states):
        if pause:
            sleep(pause)
        start = clock()
        function(one)
        took[index] = clock() - start
    took.sort()
    return {"median": quantile(took, 0.5) / 1e3, "p99": quantile(took, 0.99) / 1e3}


def _together(function: Function, states: list[State], threads: int) -> float:
    """Microseconds per call while so many threads share the calls and never wait."""
    begin = threading.Barrier(threads + 1)

    def work(share: list[State]) -> None:
        begin.wait()
        for one in share:
            function(one)

    workers = [threading.Thread(target=work, args=(states[number::threads],)) for number in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    start = time.perf_counter_ns()
    for worker in workers:
        worker.join()
    return (time.perf_counter_ns() - start) / 1e3 / len(states)


if __name__ == "__main__":
    answer(main)
