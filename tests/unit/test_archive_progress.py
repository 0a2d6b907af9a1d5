"""Exporting and importing tell how far they are: what they tell adds up to one for each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.archive import TraceFile, export, import_file
from agentrace.query import Runs
from agentrace.store import Store
from tests.unit.recorded_runs import Process


def test_what_is_told_adds_up_to_the_runs(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    for number, steps in enumerate((0, 2000, 3)):
        run = process.run("agent", after_ms=number)
        for step in range(steps):
            run.done(run.step("tool", "fetch", step, {"n": step}), step + 0.5, step)
        run.end(steps + 1)
    process.close()
    runs, file = Runs(tmp_path / "store"), tmp_path / "all.agentrace"
    exported: list[float] = []
    imported: list[float] = []

    export(runs, runs.ids, file, watch=exported.append)
    import_file(TraceFile(file), Store(tmp_path / "other"), imported.append)

    assert sum(exported) == pytest.approx(3)
    assert sum(imported) == pytest.approx(3)
    assert min(exported + imported) >= 0
    assert len(exported) > 10
