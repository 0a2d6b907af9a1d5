"""What ``show`` prints of runs that are too large to be poured over a terminal, and of parts of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace import events
from agentrace.cli import execute
from agentrace.cli.folding import MOST, Where, folded, page
from agentrace.cli.rows import FoldedRow, Picked, Shown, status_of, step_of
from agentrace.cli.selecting import in_range, selected
from agentrace.fold import Place, StepState
from agentrace.query import StepRow
from tests.unit.golden import expect
from tests.unit.large_runs import crawl
from tests.unit.recorded_runs import Process, failure
from tests.unit.travel_run import travel

RUN = bytes(range(16))


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A reader in Greenwich, whose output goes into a file."""
    for name, value in {"TZ": "UTC", "COLUMNS": "100", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of more than a thousand steps, and an ordinary one."""
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    crawl(process)
    travel(process)
    process.close()
    return root


def printed(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What ``show`` prints about this store."""
    code = execute(["show", *arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out.replace(f" --home {root}", "")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("show-folded.txt", ["crawl"]),
        ("show-folded-depth.txt", ["crawl", "--depth", "1"]),
        ("show-folded-step.txt", ["crawl:1"]),
        ("show-range.txt", ["crawl:48..54"]),
        ("show-find.txt", ["crawl", "--find", "WORD 3 of 350"]),
        ("show-filters.txt", ["crawl", "--failed", "--kind", "tool", "--find", "page/6"]),
        ("show-find-model.txt", ["crawl", "--kind", "model", "--find", "page 450"]),
        ("show-depth.txt", ["travel", "--depth", "2"]),
        ("show-find-travel.txt", ["travel", "--search", "rome"]),
    ],
)
def test_the_output_is_the_golden_file(
    crawled: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    expect(name, printed(capsys, crawled, *arguments))


def test_all_shows_every_row(crawled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, crawled, "crawl", "--all")

    assert "folded" not in out
    assert out.count(" tool fetch ") + out.count(" tool look_up ") == 891 + 9 * 20


def test_json_leaves_out_what_is_deeper_and_says_how_much(crawled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(printed(capsys, crawled, "crawl", "--json"))

    for depth in (1, 2, 3):
        told = json.loads(printed(capsys, crawled, "crawl", "--json", "--depth", str(depth)))
        kept = [row for row in whole["rows"] if row["depth"] < depth]
        assert told == {**whole, "rows": kept, "folded_rows": len(whole["rows"]) - len(kept)}
    some = json.loads(printed(capsys, crawled, "crawl", "--json", "--depth", "2", "--kind", "model"))
    assert {row["depth"] for row in some["rows"]} == {0, 1}
    assert (some["matches"], some["folded_rows"]) == (9, 9)


def test_json_has_every_row_that_is_asked_for(crawled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(printed(capsys, crawled, "crawl", "--json"))
    some = json.loads(printed(capsys, crawled, "crawl:360..370", "--failed", "--json"))

    assert len(whole["rows"]) == whole["steps"] == 1090
    assert [(row["step_id"], row["matched"]) for row in some["rows"]] == [(1, False), (364, True)]
    assert some["matches"] == 1


def test_a_long_range_is_shown_page_by_page(crawled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = printed(capsys, crawled, "crawl:2..").splitlines()
    second = printed(capsys, crawled, "crawl:502..1090").splitlines()

    assert "1,089 rows of 1,090: steps 2 to 1,090" in first
    assert [line for line in first if "folded" in line or "agentrace show" in line] == [
        "       ⋯ 589 rows folded                        4.86 s                           ╺━━━━━━━━━━━━━━━━━━",
        "          agentrace show 01a1f910-f300-7000-8000-000000000001:502..1090",
    ]
    assert any(line.split()[:1] == ["502"] for line in second)


def test_the_command_of_a_folded_stretch_shows_it(crawled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = next(line for line in printed(capsys, crawled, "crawl").splitlines() if "agentrace show" in line)
    reference = command.partition("agentrace show ")[2]

    out = printed(capsys, crawled, *reference.split())

    assert reference.rpartition(":")[2].split("..")[0] in out
    assert "folded" not in out


@pytest.mark.parametrize("reference", ["crawl:7..3", "crawl:0..3"])
def test_a_range_that_is_none_is_an_error(crawled: Path, capsys: pytest.CaptureFixture[str], reference: str) -> None:
    assert execute(["show", reference, "--home", str(crawled)]) == 2
    assert "steps are numbered from 1" in capsys.readouterr().err


# --- the rule of folding ------------------------------------------------------------------------------------


def row(number: int, depth: int, status: str) -> StepRow:
    """A step; whether a sibling follows makes no difference to what is folded."""
    sent = events.StepDispatched(number, number, number, "tool", "work")
    ended = events.StepFailed(0, number, 0, "error", failure("builtins:ValueError")) if status == "failed" else None
    return StepRow(depth, True, RUN, StepState(number, Place(None, ""), sent, ended), status, number, 1)


@st.composite
def trees(draw: st.DrawFn) -> list[Picked]:
    """A tree with up to a few thousand rows: levels of siblings, more or less of them inside of each."""
    seed = draw(st.randoms(use_true_random=False))
    widths = draw(st.lists(st.sampled_from([1, 2, 3, 20, 700]), min_size=1, max_size=7))
    rows: list[Picked] = []

    def grow(depth: int) -> None:
        for _ in range(widths[depth]):
            if len(rows) == 3_000:
                return
            status = seed.choices(["ok", "failed", "running"], [50, 1, 1])[0]
            rows.append(Picked(row(len(rows) + 1, depth, status)))
            if depth + 1 < len(widths) and seed.random() < 0.7:
                grow(depth + 1)

    grow(0)
    return rows


def typed(where: Where) -> str:
    """A folded stretch as a test reads it."""
    return f"{where.first}..{where.last}"


def numbers(shown: Sequence[Shown]) -> list[int]:
    """The steps that have a row of their own."""
    return [step_of(one.row) for one in shown if isinstance(one, Picked) and not one.context]


def has_failed(one: Picked) -> bool:
    """Whether a row tells a failure."""
    return status_of(one.row) == "failed"


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 4))
def test_a_folded_tree_is_small_and_accounts_for_every_row(rows: list[Picked], depth: int) -> None:
    shown = folded(rows, RUN, typed, depth=depth)

    assert len(shown) <= max(MOST, 1)
    assert sum(one.count if isinstance(one, FoldedRow) else 1 for one in shown) == len(rows)
    kept = numbers(shown)
    assert kept == sorted(set(kept))
    failed = sum(one.failed if isinstance(one, FoldedRow) else has_failed(one) for one in shown)
    assert failed == sum(map(has_failed, rows))


@settings(max_examples=30, deadline=None)
@given(trees())
def test_a_tree_of_ordinary_size_is_shown_whole(rows: list[Picked]) -> None:
    assert folded(rows[:MOST], RUN, typed) == rows[:MOST]


def test_pages_lead_through_a_run() -> None:
    rows = [Picked(row(number, 0, "ok")) for number in range(1, 1201)]
    first, seen = 1, 0

    for _ in range(3):
        shown = page(rows[first - 1 :], RUN, 1200, typed)
        seen += sum(isinstance(one, Picked) for one in shown)
        last = shown[-1]
        first = int(last.command.partition("..")[0]) if isinstance(last, FoldedRow) else 0

    assert (seen, first) == (1200, 0)


@settings(max_examples=40, deadline=None)
@given(trees(), st.randoms(use_true_random=False))
def test_pages_lead_through_any_run(rows: list[Picked], seed: Random) -> None:
    """Also where steps ran side by side, so that the numbers of what is inside of one are scattered."""
    given: list[int] = []
    free = list(range(1, len(rows) + 1))
    for _ in rows:  # a step is numbered after the one that it is inside of
        given.append(free.pop(seed.randrange(min(40, len(free)))))
    tree = [row(number, one.row.depth, "ok") for number, one in zip(given, rows, strict=True)]
    first, seen = 1, list[int]()

    while first:
        picked = selected(tree, [in_range(tree, RUN, first, len(tree))]).rows
        shown = page(picked, RUN, len(tree), typed)
        seen += numbers(shown)
        last = shown[-1]
        first = int(last.command.partition("..")[0]) if isinstance(last, FoldedRow) else 0

    assert sorted(seen) == sorted(given)


def test_what_failed_stays_and_the_rest_is_counted() -> None:
    rows = [Picked(row(number, 0, "failed" if number % 40 == 0 else "ok")) for number in range(1, 2001)]

    shown = folded(rows, RUN, typed)

    visible = [number for number in numbers(shown) if number % 40 == 0]
    assert visible == [*range(40, 401, 40), 2000]
    assert sum(one.failed for one in shown if isinstance(one, FoldedRow)) == 50 - len(visible)


# --- what is new --------------------------------------------------------------------------------------------


def test_new_shows_what_came_since_the_last_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    top = run.step("agent", "plan", 1)
    run.done(run.step("tool", "first", 2, parent=top), 3)
    waiting = run.step("tool", "second", 4, parent=top)

    printed(capsys, tmp_path, "agent")
    nothing = printed(capsys, tmp_path, "agent", "--new")
    run.done(waiting, 5)
    run.step("tool", "third", 6, parent=top)
    new = json.loads(printed(capsys, tmp_path, "agent", "--new", "--json"))
    again = json.loads(printed(capsys, tmp_path, "agent", "--new", "--json"))
    process.close()

    assert "nothing is new since the last look, 0 s ago" in nothing
    assert [(one["name"], one["matched"], one["found"]) for one in new["rows"]] == [
        ("plan", False, []),
        ("second", True, ["ended"]),
        ("third", True, ["begun"]),
    ]
    assert new["new_since"]
    assert (again["rows"], again["matches"]) == ([], 0)


def test_a_look_at_a_part_is_no_look_at_the_run(
    crawled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Process(tmp_path)
    travel(process)
    process.close()

    for part in (
        ["travel:3"],
        ["travel:2..4"],
        ["travel", "--failed"],
        ["travel", "--find", "x"],
        ["travel", "--events"],
    ):
        printed(capsys, tmp_path, *part)

    assert "nothing is kept of an earlier look at this run: all of it is new" in printed(
        capsys, tmp_path, "travel", "--new"
    )
    assert "nothing is new since" in printed(capsys, tmp_path, "travel", "--new")


def test_a_look_is_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    travel(process)
    process.close()

    printed(capsys, tmp_path, "travel")

    (look,) = (tmp_path / "derived").glob("*.seen-by-*")
    assert look.stat().st_mode & 0o777 == 0o600
    assert execute(["gc", "--home", str(tmp_path)]) == 0
    assert look.name not in capsys.readouterr().out


def test_a_store_that_keeps_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    travel(process)
    process.close()
    (tmp_path / "derived").write_text("in the way")

    for _ in range(2):
        out = printed(capsys, tmp_path, "travel", "--new")
        assert "all of it is new; a look cannot be kept here" in " ".join(out.split())
