"""``python -m benchmarks``: measure the promises of the README and say which are met.

Results are kept as they come, so that an interrupted run can go on with ``--resume``. Ends with 1 when a promise was
missed or a measurement did not do what it was to measure.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from benchmarks import (
    answering,
    burst,
    command,
    history,
    indexing,
    kill,
    leaving,
    model_call,
    opening,
    replay,
    starting,
    traced_call,
)
from benchmarks.children import ROOT
from benchmarks.figures import FULL, QUICK, Benchmark, Effort, NotPossible, Unsound
from benchmarks.machine import pace, source, this_machine
from benchmarks.report import Measured, Outcome, fill, markdown, markdown_in_short, terminal

KEPT = ROOT / "build" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "traced_call": traced_call.measure,
        "burst": burst.measure,
        "model_call": model_call.measure,
        "history": history.measure,
        "kill": kill.measure,
        "starting": starting.measure,
        "leaving": leaving.measure,
        "command": command.measure,
        "replay": replay.measure,
        "answering": answering.measure,
        "opening": opening.measure,
        "indexing": indexing.measure,
    }
)


def main(
    arguments: Sequence[str] | None = None,
    *,
    benchmarks: Mapping[str, Benchmark] = BENCHMARKS,
    kept: Path = KEPT,
    page: Path = PAGE,
    readme: Path = README,
) -> int:
    """0 if every promise was met. ``kept``: where results are kept as they come; ``page`` and ``readme`` are filled."""
    options = _parser(benchmarks).parse_args(arguments)
    effort = QUICK if options.quick else FULL
    measured = Measured(machine=this_machine(), source=source(), effort=effort.name)
    outcomes = dict(_earlier(kept, measured)) if options.resume else {}
    for name in options.only or benchmarks:
        if name not in outcomes or options.only:
            outcomes[name] = _measured(name, benchmarks[name], effort)
            _keep(kept, msgspec.structs.replace(measured, outcomes=outcomes))
    outcomes = {name: outcomes[name] for name in benchmarks if name in outcomes}
    print(f"\n{terminal(outcomes)}")
    done = msgspec.structs.replace(measured, outcomes=outcomes)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
    if options.write_docs:
        _fill(page, readme, done, benchmarks)
    return 0 if all(outcome.kept for outcome in outcomes.values()) else 1


def _measured(name: str, benchmark: Benchmark, effort: Effort) -> Outcome:
    load, speed, start = os.getloadavg()[0], pace(), time.monotonic()
    print(f"{name} ... ", end="", file=sys.stderr, flush=True)
    outcome = outcome_of(benchmark, effort)
    took = time.monotonic() - start
    print(
        outcome.unsound or outcome.skipped or f"{took:.0f} s; before: load {load:.1f}, pace {speed:.1f} ms",
        file=sys.stderr,
        flush=True,
    )
    return msgspec.structs.replace(outcome, seconds=took, load=load, pace=speed)


def outcome_of(benchmark: Benchmark, effort: Effort) -> Outcome:
    """What becomes of a benchmark."""
    try:
        return Outcome(figures=list(benchmark(effort)))
    except NotPossible as reason:
        return Outcome(skipped=str(reason))
    except Unsound as reason:
        return Outcome(unsound=str(reason))


def _earlier(kept: Path, measured: Measured) -> Mapping[str, Outcome]:
    """What an earlier run measured of the same source with the same effort."""
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=Measured)
    except (OSError, msgspec.MsgspecError):
        return {}
    same = (found.source, found.effort) == (measured.source, measured.effort)
    return found.outcomes if same else {}


def _keep(kept: Path, measured: Measured) -> None:
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(msgspec.json.encode(measured))


def _fill(page: Path, readme: Path, measured: Measured, benchmarks: Mapping[str, Benchmark]) -> None:
    if measured.effort != FULL.name or measured.outcomes.keys() != benchmarks.keys():
        raise SystemExit(f"{page.name} is filled from a full run of all benchmarks, perhaps with --resume")
    fill(page, "figures", markdown(measured))
    fill(readme, "figures", markdown_in_short(measured))


def _parser(benchmarks: Mapping[str, Benchmark]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(benchmarks), help="measure this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, two rounds: to see that it works")
    parser.add_argument("--resume", action="store_true", help="keep what was measured of this same source already")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures with their rounds")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md and README.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
