"""Calls through the real client, in turn recorded and not recorded, in one process: what recording adds to each.

Task: ``kinds``, each with ``name``, ``url``, ``pairs``, and ``chunks`` (0: the answer comes in one piece).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import openai

import agentrace
from benchmarks.programs import answer, settle
from benchmarks.programs.unrecorded import unrecorded

WARM_UP = 10
MODEL = "gpt-4o-mini"
MESSAGES: Any = [
    {"role": "system", "content": "You are a terse assistant."},
    {"role": "user", "content": "Summarise the shipping ledger for the last quarter in two sentences."},
]

Took = tuple[float, float]
"""CPU of the thread, and wall time, both in microseconds."""


def main(task: dict[str, Any]) -> dict[str, Any]:
    """Medians of CPU and wall time for each kind, recorded and bare; CPU behind the caller's back, for each call."""
    agentrace.init()
    before = _behind()
    with agentrace.run("model-calls"):
        kinds = {kind["name"]: _measured(kind) for kind in task["kinds"]}
    calls = sum(kind["calls"] for kind in kinds.values())
    ending = time.thread_time()
    agentrace.shutdown()
    behind = _behind() - before + time.thread_time() - ending
    return {**kinds, "calls": calls, "behind": behind * 1e6 / calls, "faults": agentrace.status().faults}


def _behind() -> float:
    """Seconds of CPU of all other threads."""
    return time.process_time() - time.thread_time()


def _measured(kind: dict[str, Any]) -> dict[str, Any]:
    client = openai.OpenAI(base_url=f"{kind['url']}/v1", max_retries=0)
    call = _streamed(client, kind["chunks"]) if kind["chunks"] else _whole(client)
    for _ in range(WARM_UP):
        call()
    settle()
    recorded, bare = _in_pairs(call, kind["pairs"])
    return {"recorded": _medians(recorded), "bare": _medians(bare), "calls": WARM_UP + len(recorded)}


def _whole(client: openai.OpenAI) -> Callable[[], None]:
    def call() -> None:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0.2)

    return call


def _streamed(client: openai.OpenAI, chunks: int) -> Callable[[], None]:
    def call() -> None:
        came = sum(1 for _ in client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        if came != chunks:
            raise SystemExit(f"{came} chunks came, {chunks} were expected")

    return call


def _in_pairs(call: Callable[[], None], pairs: int) -> tuple[list[Took], list[Took]]:
    """What recorded and unrecorded calls took; which one is first changes from pair to pair."""
    recorded: list[Took] = []
    bare: list[Took] = []
    for number in range(pairs):
        if number % 2:
            recorded.append(_timed(call))
        with unrecorded():
            bare.append(_timed(call))
        if not number % 2:
            recorded.append(_timed(call))
    return recorded, bare


def _timed(call: Callable[[], None]) -> Took:
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    call()
    return (time.thread_time_ns() - cpu) / 1e3, (time.perf_counter_ns() - wall) / 1e3


def _medians(took: list[Took]) -> dict[str, float]:
    return {
        "cpu": statistics.median(cpu for cpu, _ in took),
        "wall": statistics.median(wall for _, wall in took),
    }


if __name__ == "__main__":
    answer(main)
