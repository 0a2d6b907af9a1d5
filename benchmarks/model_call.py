"""What recording adds to a model call through the real client: whole, streamed, and beside a model that takes 20 ms."""

from __future__ import annotations

from typing import Any

from benchmarks.children import run, store
from benchmarks.figures import Effort, Figure
from benchmarks.reading import expect_calls
from benchmarks.stub import CHUNKS, provider

SLOW = 0.02


def measure(effort: Effort) -> list[Figure]:
    """CPU of the calling thread for a whole and for a streamed answer, of the other threads, and latency."""
    with provider() as quick, provider(SLOW) as slow:
        kinds = [
            {"name": "whole", "url": quick, "pairs": effort.calls(300, 4), "chunks": 0},
            {"name": "streamed", "url": quick, "pairs": effort.calls(60, 2), "chunks": CHUNKS},
            {"name": "slow", "url": slow, "pairs": effort.calls(100, 2), "chunks": 0},
        ]
        told = [_once(effort, kinds) for _ in range(effort.rounds(5))]
    return [
        Figure(
            promise="added to a model call",
            unit="µs of CPU",
            below=150,
            values=[_added(one["whole"], "cpu") for one in told],
            how="calling thread, recorded and unrecorded calls in turn",
        ),
        Figure(
            promise=f"added to a streamed call of {CHUNKS} chunks",
            unit="ms of CPU",
            below=0.3,
            values=[_added(one["streamed"], "cpu") / 1e3 for one in told],
            how="the same",
        ),
        Figure(
            promise="latency added to a call of a 20 ms model",
            unit="%",
            below=1,
            values=[100 * _added(one["slow"], "wall") / one["slow"]["bare"]["wall"] for one in told],
            how="wall time, recorded and unrecorded calls in turn",
        ),
        Figure(
            promise="the client's own cost of a model call, for comparison",
            unit="µs of CPU",
            values=[one["whole"]["bare"]["cpu"] for one in told],
            how="the unrecorded calls",
        ),
        Figure(
            promise="sealing, for each of these calls",
            unit="µs of CPU",
            values=[one["behind"] for one in told],
            how="all other threads, and shutdown()",
        ),
    ]


def _once(effort: Effort, kinds: list[dict[str, Any]]) -> dict[str, Any]:
    with store() as home:
        told = run("model_calls", {"kinds": kinds}, home, effort.environ)
        expect_calls(home, told["calls"])
    return told


def _added(told: dict[str, Any], what: str) -> float:
    added: float = told["recorded"][what] - told["bare"][what]
    return added
