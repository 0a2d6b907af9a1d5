"""An agent that resends its growing history: CPU at turn 200, bytes on the disk, memory, its messages read back."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.children import run, store
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.reading import disk_bytes, expect_calls, inputs, messages_told
from benchmarks.stub import provider

TURNS = 200
PAIRS = 20


def measure(effort: Effort) -> list[Figure]:
    """CPU added at the last turns, of a history that is kept and of one that is made anew; disk; memory; reading."""
    turns = effort.calls(TURNS, 6)
    task: dict[str, Any] = {"turns": turns, "pairs": min(PAIRS, turns // 2)}
    kept: list[dict[str, Any]] = []
    rebuilt: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    with provider() as url:
        for _ in range(effort.rounds(3)):
            kept.append(_once(effort, {**task, "url": url, "rebuilt": False, "recorded": True}))
            rebuilt.append(_once(effort, {**task, "url": url, "rebuilt": True, "recorded": True}))
            bare.append(_once(effort, {**task, "url": url, "rebuilt": False, "recorded": False}))
    megabytes = kept[0]["json_bytes"] / 1e6
    return [
        Figure(
            promise=f"added to turn {turns} of a loop that resends its history",
            unit="µs of CPU",
            below=500,
            values=[told["recorded"] - told["bare"] for told in kept],
            how=f"calling thread, last {task['pairs']} turns recorded and unrecorded in turn",
        ),
        Figure(
            promise="the same where each turn makes its history anew",
            unit="µs of CPU",
            below=500,
            values=[told["recorded"] - told["bare"] for told in rebuilt],
            how="the same",
        ),
        Figure(
            promise="disk for these turns, of their JSON",
            unit="%",
            below=1,
            values=[100 * told["disk"] / told["json_bytes"] for told in [*kept, *rebuilt]],
            how=f"sealed store over {megabytes:,.1f} MB of requests",
        ),
        Figure(
            promise="memory for these turns",
            unit="MB",
            below=64,
            values=[told["peak_mb"] - plain["peak_mb"] for told, plain in zip(kept, bare, strict=True)],
            how="peak of the process, less that of one without agentrace",
        ),
        Figure(
            promise="telling the messages of such a loop, each once, for each turn",
            unit="ms",
            below=1,
            values=[told["messages_ms"] / turns for told in [*kept, *rebuilt]],
            how="sealed store, everything read that the turn is told by",
        ),
    ]


def _once(effort: Effort, task: dict[str, Any]) -> dict[str, Any]:
    """What the program told, with the size of its store."""
    with store() as home:
        told = run("history", task, home, effort.environ)
        if task["recorded"]:
            _check(home_inputs=list(inputs(home, "model")), last=told["last"])
            if not expect_calls(home, task["turns"]).sealed:
                raise Unsound("the run was not sealed when its process ended")
            told["disk"] = disk_bytes(home)
            messages, told["messages_ms"] = messages_told(home)
            if messages != 2 * task["turns"] + 1:
                raise Unsound(f"{messages:,} messages were told of {task['turns']:,} turns")
    return told


def _check(home_inputs: list[Any], last: list[Any]) -> None:
    """The last request of the record is the last that was sent, word for word."""
    read = home_inputs[-1]["messages"] if home_inputs else []
    if read != last:
        raise Unsound(f"{len(json.dumps(last)):,} bytes were sent last, {len(json.dumps(read)):,} are in the record")
