"""A store and a trace file with the same runs, opened for tests of reading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import agentrace
from agentrace import Recordings, events
from agentrace.archive import export
from agentrace.query import Runs
from tests.unit.recorded_runs import MODEL, START_MS, Process, completion
from tests.unit.travel_run import travel

START = datetime.fromtimestamp(START_MS / 1000, UTC)
QUOTED = 'she said "Łódź"\n\N{SNOWMAN}'


def written(root: Path) -> Path:
    """A store with a run of every kind of step, a failed run with notes and scores, and one whose process died."""
    process = Process(root)
    travel(process)
    failed = process.run("failed", after_ms=100, number=7, tags=["nightly", "eu"], workflow="refunds")
    lookup = failed.step("tool", "lookup", 1, {"city": QUOTED, "pages": list(range(3))})
    fields, _ = failed.encoder.encode({"page": 4})
    failed.event(events.Logged, lookup, 2, "looked it up", "warning", fields, "shop")
    failed.event(events.Scored, lookup, 2, "grounded", 0.5, "page 4", "judge")
    failed.event(events.Scored, 0, 2, "helpful", 1.0)
    failed.failed(lookup, 3, "builtins:ValueError", "no such city")
    failed.end_badly(5, "builtins:ValueError", "no such city")
    asked = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello?"}]}
    again = process.run("travel", after_ms=150, number=9)
    model = again.step("model", "openai.chat.completions", 1, asked, **MODEL)
    again.exchange(model, 2, 3, 200, completion("Hello!", usage=(7, 5)))
    again.answered(model, 4)
    again.end(6)
    process.close()
    dead = Process(root)
    dead.run("dead", after_ms=200, number=8).step("tool", "lookup", 1, {"text": "x" * 5_000})
    dead.die()
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reading")
    store = written(root / "store")
    runs = Runs(store)
    export(runs, runs.ids, root / "all.agentrace")
    return {"store": store, "trace file": root / "all.agentrace"}


@pytest.fixture(params=["store", "trace file"])
def recordings(request: pytest.FixtureRequest, places: dict[str, Path]) -> Iterator[Recordings]:
    with agentrace.open(places[request.param]) as opened:
        yield opened
