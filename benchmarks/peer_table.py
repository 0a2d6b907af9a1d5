"""What the comparison with peers measured, as one row for each peer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from benchmarks.figures import number

Run = dict[str, Any]

HEAD = (
    "peer",
    "traced call, p50",
    "p99",
    "delivered of a burst",
    "async call, p50",
    "model call",
    "stream of 60",
    "20 ms model, latency",
    "turn 200",
    "stored or sent for 200 turns",
    "found after kill -9",
    "import and init",
)
NOTE = (
    "Times of a traced call are wall time. `model call`, `stream of 60` and `turn 200` are CPU of the calling thread,"
    " less the untraced baseline's of the same round; `20 ms model` is wall time over the baseline's. What is stored is"
    " on the disk (ours), what is sent is on the wire. `import and init` is wall time of a fresh interpreter; for the"
    " baseline it is that of the model client. Medians of the rounds."
)


def errors(runs: Sequence[Run], peer: str) -> list[str]:
    """What went wrong with a peer, or with reading what it kept, each with its workload."""
    found = [(run, run.get("error") or run.get("store", {}).get("recover_error")) for run in runs]
    return [f"{run['workload']}: {error}" for run, error in found if error and run["adapter"] == peer]


def results(data: bytes) -> tuple[list[Run], str]:
    """All measurements of a results file, and the versions that were measured."""
    found = msgspec.json.decode(data)
    versions = {name: version for told in found["meta"]["versions"].values() for name, version in told.items()}
    return found["runs"], ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def table(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """One row for each peer, in the order in which they were measured."""
    peers = dict.fromkeys(run["adapter"] for run in runs)
    return [_row(Peer(runs, name)) for name in peers]


class Peer:
    """What was measured of one peer; ``over`` takes the baseline of the same round off."""

    def __init__(self, runs: Sequence[Run], name: str) -> None:
        self.name = name
        self._runs = {(run["workload"], run["round"]): run for run in runs if run["adapter"] == name}
        self._bare = {(run["workload"], run["round"]): run for run in runs if run["adapter"] == "baseline"}

    def median(self, workload: str, value: Callable[[Run], float]) -> float | None:
        """The median over the rounds of a workload; None if there is none without an error."""
        values = [value(run) for (kind, _), run in self._runs.items() if kind == workload and "error" not in run]
        return statistics.median(values) if values else None

    def over(self, workload: str, value: Callable[[Run], float], *, percent: bool = False) -> float | None:
        """The median of what is added to the baseline."""
        added: list[float] = []
        for key, run in self._runs.items():
            bare = self._bare.get(key, run)
            if key[0] == workload and "error" not in run and "error" not in bare:
                more = value(run) - value(bare)
                added.append(100 * more / value(bare) if percent else more)
        return statistics.median(added) if added else None


def _row(peer: Peer) -> tuple[str, ...]:
    ours = [
        peer.median("w1", lambda run: run["us_per_call"]["p50"]),
        peer.median("w1", lambda run: run["us_per_call"]["p99"]),
        peer.median("w1", lambda run: 100 * _kept(run, "mid") / run["n"]),
        peer.median("w1_async", lambda run: run["us_per_call"]["p50"]),
        peer.over("w2_0ms", lambda run: run["host_cpu_ms"]),
        peer.over("w2_stream", lambda run: run["host_cpu_ms"]),
        peer.over("w2_20ms", lambda run: run["ms_per_call"]["p50"], percent=True),
        peer.over("w3", lambda run: run["host200"]),
        peer.median("w3", _megabytes),
        peer.median("w4_tight", lambda run: 100 * _kept(run, "cid") / run["n"]),
        peer.median("w5", lambda run: run["import_ms"] + run["init_ms"]),
    ]
    if peer.name == "baseline":
        ours[2] = ours[8] = ours[9] = None
    units = (" µs", " µs", " %", " µs", " ms", " ms", " %", " ms", " MB", " %", " ms")
    cells = ["" if value is None else f"{number(value)}{unit}" for value, unit in zip(ours, units, strict=True)]
    return (peer.name, *cells)


def _kept(run: Run, kind: str) -> int:
    """How many different calls can be read back."""
    return int(run["store"][f"{kind}_unique"])


def _megabytes(run: Run) -> float:
    stored: float = run["store"].get("wire_bytes") or run["store"].get("disk_bytes") or 0
    return stored / 1e6
