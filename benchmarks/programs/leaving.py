"""A program that makes traced calls and then ends; it tells when its last line was over.

Task: ``calls``, ``recorded``.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.programs import answer
from benchmarks.programs.traced_calls import look_up, state


def main(task: dict[str, Any]) -> dict[str, Any]:
    """The monotonic clock of the machine when the calls were over, in nanoseconds."""
    function = look_up
    if task["recorded"]:
        import agentrace

        agentrace.init()
        function = agentrace.trace(look_up)
    for number in range(task["calls"]):
        function(state(number))
    return {"over": time.monotonic_ns()}


if __name__ == "__main__":
    answer(main)
