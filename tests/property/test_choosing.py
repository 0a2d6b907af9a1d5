"""What ``agentrace ls`` lists with a filter is what a command that removes or moves runs takes with it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace.cli import execute
from agentrace.ids import format_run_id
from agentrace.query import Runs
from tests.unit.asked_runs import fill


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose runs differ, and one that is damaged."""
    root = tmp_path_factory.mktemp("chosen") / "store"
    fill(root)
    victim = root / "segments" / Runs(root).ids[2].hex() / "000001.seg"
    victim.write_bytes(b"no segment at all" * 100)
    return root


_WORDS = [
    "checkout",
    "REF",
    "*",
    "r*",
    "[cm]*",
    "odd",
    "none",
    "mail",
    "shop",
    "web",
    "seller",
    "s-1",
    "gpt-5-mini",
    "a",
]
_MOMENTS = ["2026-11-20", "2026-11-21T12:00", "2026-11-20T13:06:40.150000+00:00", "1h", "36h", "today", "2000-01-01"]
_STATUSES = ["completed", "failed", "unreadable", "running", "failed,completed", "interrupted,aborted"]
_FILTERS = {
    **dict.fromkeys(["--since", "--until"], _MOMENTS),
    "--older-than": ["1s", "2d", "40h", "9999w"],
    "--status": _STATUSES,
    "--kind": ["tool", "model", "retriever,agent", "planner"],
    **dict.fromkeys(["--name", "--model", "--workflow", "--agent", "--session", "--project"], _WORDS),
    "--tag": ["a", "b", "none"],
    "--tokens": [">100", "0..60", "=0", "1500"],
    "--duration": ["<100ms", ">1s", "20ms..400ms"],
    "--text": ["rome", "insufficient", "SERVER", "nowhere"],
    "--failed": [""],
    "--replayable": [""],
    "--not-replayable": [""],
    "--replays": [""],
    "--no-replays": [""],
}


@st.composite
def filters(draw: st.DrawFn) -> list[str]:
    """One to three options, of which no two say the same thing."""
    names = draw(st.lists(st.sampled_from(sorted(_FILTERS)), min_size=1, max_size=3, unique=True))
    if "--failed" in names:
        names = [name for name in names if name != "--status"]
    return [word for name in names for word in (name, draw(st.sampled_from(_FILTERS[name]))) if word]


def listed(root: Path, *arguments: str) -> list[str]:
    """The ids that a command tells."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = execute([*arguments, "--json", "--home", str(root)])
    assert code == 0, err.getvalue()
    return [json.loads(line)["run_id"] for line in out.getvalue().splitlines()]


def with_all_below(root: Path, ids: Sequence[str]) -> set[str]:
    """These runs, and those that they started."""
    runs = Runs(root)
    found, waiting = set(ids), [bytes.fromhex(one.replace("-", "")) for one in ids]
    while waiting:
        below = runs.started_by(waiting.pop())
        found |= {format_run_id(one) for one in below}
        waiting += below
    return found


@settings(max_examples=50, deadline=None)
@given(wanted=filters())
def test_what_is_listed_is_what_is_taken(shop: Path, wanted: list[str]) -> None:
    shown = listed(shop, "ls", "-n", "1000", *wanted)

    assert sorted(listed(shop, "rm", "--dry-run", *wanted)) == sorted(with_all_below(shop, shown))
    assert sorted(listed(shop, "archive", "--dry-run", "--to", str(shop.parent / "archive"), *wanted)) == sorted(
        with_all_below(shop, shown)
    )
