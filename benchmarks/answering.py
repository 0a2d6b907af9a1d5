"""What an answered call takes on a replay, and what ten thousand of them take."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.children import TIMEOUT, environment, last_line, program, store
from benchmarks.command import agentrace_command
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.reading import expect_calls
from benchmarks.stub import provider


def measure(effort: Effort) -> list[Figure]:
    """Calls of tools and of a model, as the replayed program sees them."""
    models, tools = effort.calls(300, 5), effort.calls(10_000, 20)
    agent = [*program("answered"), str(models), str(tools)]
    rounds = effort.rounds(5)
    with store() as home:
        with provider() as url:
            extra = {**effort.environ, "OPENAI_BASE_URL": f"{url}/v1"}
            _told([agentrace_command(), "run", *agent], home, extra)
            expect_calls(home, models + 2 * tools)
            plain = [_told(agent, home, extra) for _ in range(rounds)]
        # The provider is gone: only the record can answer now.
        replay = [agentrace_command(), "replay", "@last", "--", *agent]
        told = [_told(replay, home, effort.environ, verdict="replay exact") for _ in range(rounds)]
    return [
        Figure(
            promise="an answered call of a tool",
            unit="µs",
            below=500,
            values=[one["tool"] for one in told],
            how=f"median of {tools:,} calls of the replayed program",
        ),
        Figure(
            promise="an answered model call, beyond the client's own cost",
            unit="µs of CPU",
            below=500,
            values=[one["model"] - without["model"] for one, without in zip(told, plain, strict=True)],
            how=f"median of {models:,} calls, less that of the same calls without us, which also use the network",
        ),
        Figure(
            promise=f"{tools:,} answered steps, one after the other",
            unit="s",
            below=10,
            values=[one["tools"] for one in told],
            how="calls of a tool",
        ),
        Figure(
            promise=f"{tools:,} answered steps, ten at a time",
            unit="s",
            below=10,
            values=[one["groups"] for one in told],
            how="asyncio.gather, in the recorded order",
        ),
    ]


def _told(command: list[str], home: Path, extra: Mapping[str, str], verdict: str = "") -> dict[str, float]:
    done = subprocess.run(
        command,
        env=environment(home, extra),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    told: dict[str, float] = last_line(" ".join(command), done)
    if verdict not in done.stderr:
        raise Unsound(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return told
