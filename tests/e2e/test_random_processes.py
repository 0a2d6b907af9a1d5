"""Random agents that start child processes: through the real commands a replay prints what was printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.place import PYTHON, Place
from tests.e2e.random_process import CHILDREN, SCHEDULE, WORLD

PROGRAMS = max(6, int(os.environ.get("AGENTRACE_PROGRAMS", "0")) // 50)
ROOT = Path(__file__).parents[2]
PROGRAM = [PYTHON, "-m", "tests.e2e.random_process"]


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_replay_prints_what_was_printed(seed: int, tmp_path: Path) -> None:
    place = Place(tmp_path, {"PYTHONPATH": str(ROOT)})

    recorded = place.run(*PROGRAM, seed, env={WORLD: "1"})
    sources = place.runs()
    before = [place.digest(source) for source in sources]
    replay = place.replay("@last", "--", *PROGRAM, seed, env={SCHEDULE: "1"})
    replays = place.runs()[len(sources) :]

    assert (recorded.code >= 10, len(recorded.out)) == (True, 65), recorded.err
    assert (replay.out, replay.code) == (recorded.out, recorded.code), replay.err
    assert "agentrace: replay exact: " in replay.err
    assert all(source.trace.steps for source in sources)
    assert len(sources) == (3 if CHILDREN[seed % len(CHILDREN)].__name__ == "_processes" else 2)
    assert [place.digest(source) for source in sources] == before
    origins = sorted(run.trace.run.origin.source_run_id for run in replays)
    assert origins == sorted(source.run_id for source in sources)
    ends = [run.trace.run.ended for run in replays]
    assert [end and (end.replay, end.caveats) for end in ends] == [("exact", [])] * len(sources)


def test_without_its_record_a_program_reaches_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, {"PYTHONPATH": str(ROOT)})

    done = place.do(*PROGRAM, 0)

    assert done.code == 1
    assert "a tool was executed on a replay" in done.err
