"""An agent that tells on stdout when its first model call was answered, and then calls many tools.

python -m benchmarks.programs.first_answer TOOL_CALLS
"""

from __future__ import annotations

import sys
import time

import openai

import agentrace
from benchmarks.programs.model_calls import MESSAGES, MODEL
from benchmarks.programs.traced_calls import look_up, state


def main(calls: int) -> None:
    """Print the machine's monotonic clock, in nanoseconds, after the first answer."""
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    print(time.monotonic_ns(), flush=True)
    tool = agentrace.tool(look_up)
    for number in range(calls):
        tool(state(number))


if __name__ == "__main__":
    main(int(sys.argv[1]))
