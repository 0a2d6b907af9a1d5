"""An agent that calls a model, then many tools one after the other, then as many in groups, and tells what each took.

python -m benchmarks.programs.answered MODEL_CALLS TOOL_CALLS
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

import openai

import agentrace
from benchmarks.programs.model_calls import MESSAGES, MODEL
from benchmarks.programs.traced_calls import State, look_up, state

GROUP = 10


def main(models: int, tools: int) -> None:
    """Print, as JSON: CPU of a model call and time of a tool call (medians, µs), and seconds for all tool calls."""
    model = statistics.median(_models(models))
    tool, each = agentrace.tool(look_up), [0] * tools
    began = time.perf_counter_ns()
    for number in range(tools):
        start = time.perf_counter_ns()
        tool(state(number))
        each[number] = time.perf_counter_ns() - start
    one_by_one = time.perf_counter_ns() - began
    groups = asyncio.run(_in_groups(tools))
    told = {"model": model, "tool": statistics.median(each) / 1e3, "tools": one_by_one / 1e9, "groups": groups / 1e9}
    print(json.dumps(told))


def _models(calls: int) -> list[float]:
    """Microseconds of CPU of each call."""
    took: list[float] = []
    with openai.OpenAI(max_retries=0) as client:
        for _ in range(calls):
            start = time.thread_time_ns()
            client.chat.completions.create(model=MODEL, messages=MESSAGES)
            took.append((time.thread_time_ns() - start) / 1e3)
    return took


async def _in_groups(calls: int) -> int:
    """Nanoseconds for all calls, ten at a time."""

    @agentrace.tool
    async def looked_up(state: State) -> State:
        await asyncio.sleep(0)
        return look_up(state)

    began = time.perf_counter_ns()
    for first in range(0, calls, GROUP):
        await asyncio.gather(*(looked_up(state(number)) for number in range(first, min(first + GROUP, calls))))
    return time.perf_counter_ns() - began


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
