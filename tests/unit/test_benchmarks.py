"""Every benchmark yields figures, and none of them can pass when nothing was recorded."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import peer_adapter, peers
from benchmarks.__main__ import BENCHMARKS, main, outcome_of
from benchmarks.children import environment
from benchmarks.figures import Benchmark, Effort, Figure, NotPossible, Unsound
from benchmarks.peer_table import HEAD, errors, table
from benchmarks.report import Outcome, fill, terminal
from benchmarks.starting import foreign

ROOT = Path(__file__).parents[2]
TINY = Effort(name="tiny", share=0.0, most_rounds=1)
"""The least of everything: figures without meaning, made in the same way."""
UNRECORDED = Effort(name="tiny", share=0.0, most_rounds=1, environ={"AGENTRACE_DISABLED": "1"})


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_yields_figures(name: str) -> None:
    outcome = outcome_of(BENCHMARKS[name], TINY)

    assert (outcome.unsound, outcome.skipped) == ("", "")
    assert all(math.isfinite(value) for figure in outcome.figures for value in figure.values)
    assert min(len(figure.values) for figure in outcome.figures) > 0
    assert any(figure.verdict for figure in outcome.figures) or name == "command"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_cannot_pass_when_nothing_is_recorded(name: str) -> None:
    assert not outcome_of(BENCHMARKS[name], UNRECORDED).kept


def test_a_foreign_package_is_found() -> None:
    assert foreign(["agentrace.capture", "json.decoder", "msgspec", "heavy.parts"]) == {"heavy"}


# --- figures ------------------------------------------------------------------------------------------------


def figure(*values: float, below: float | None = None, exactly: float | None = None) -> Figure:
    return Figure(promise="p", unit="ms", values=list(values), how="h", below=below, exactly=exactly)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (figure(1, 2, 9, below=3), "met"),
        (figure(1, 3, 9, below=3), "MISSED"),
        (figure(0, 0, exactly=0), "met"),
        (figure(0, 0, 1, exactly=0), "MISSED"),
        (figure(1, 2), ""),
    ],
)
def test_a_figure_is_judged(measured: Figure, verdict: str) -> None:
    assert measured.verdict == verdict


def test_the_table_tells_value_and_spread() -> None:
    shown = terminal({"a": Outcome(figures=[figure(1, 22.5, 1234, below=30), figure(0, 2, exactly=0)])})

    _, first, second = (line.split("  ") for line in shown.splitlines())
    assert [cell.strip() for cell in first if cell] == ["p", "< 30 ms", "22.5 ms", "1 to 1,234", "met", "h"]
    assert [cell.strip() for cell in second if cell] == ["p", "0 ms", "2 ms", "0 to 2", "MISSED", "h"]


# --- the command --------------------------------------------------------------------------------------------


def good(effort: Effort) -> list[Figure]:
    return [figure(1, below=2)]


def slow(effort: Effort) -> list[Figure]:
    return [figure(3, below=2)]


def unsound(effort: Effort) -> list[Figure]:
    raise Unsound("half of the calls are missing")


def impossible(effort: Effort) -> list[Figure]:
    raise NotPossible("there is no disk")


@pytest.mark.parametrize(
    ("benchmark", "code", "says"),
    [(good, 0, "met"), (slow, 1, "MISSED"), (unsound, 1, "half of the calls"), (impossible, 0, "no disk")],
)
def test_the_exit_code_says_whether_promises_are_kept(
    benchmark: Benchmark, code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], benchmarks={"one": benchmark}, kept=tmp_path / "kept.json") == code
    assert says in capsys.readouterr().out


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    def interrupted(effort: Effort) -> list[Figure]:
        raise KeyboardInterrupt

    kept = tmp_path / "kept.json"
    with pytest.raises(KeyboardInterrupt):
        main([], benchmarks={"a": good, "b": interrupted}, kept=kept)
    told = tmp_path / "told.json"

    assert main(["--resume", "--json", str(told)], benchmarks={"a": unsound, "b": good}, kept=kept) == 0
    assert set(json.loads(told.read_text())["outcomes"]) == {"a", "b"}
    assert main(["--resume", "--quick"], benchmarks={"a": unsound}, kept=kept) == 1


def test_the_page_is_filled_from_a_full_run_only(tmp_path: Path) -> None:
    page, readme = tmp_path / "page.md", tmp_path / "readme.md"
    page.write_text("Above\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nbelow\n")
    readme.write_text(page.read_text())
    both: Mapping[str, Benchmark] = {"a": good, "b": good}

    with pytest.raises(SystemExit, match="full run"):
        main(["--write-docs", "--only", "a"], benchmarks=both, kept=tmp_path / "kept.json", page=page, readme=readme)
    with pytest.raises(SystemExit, match="full run"):
        main(["--write-docs", "--quick"], benchmarks=both, kept=tmp_path / "kept.json", page=page, readme=readme)
    main(["--write-docs"], benchmarks=both, kept=tmp_path / "kept.json", page=page, readme=readme)

    filled = page.read_text()
    assert filled.count("| p | < 2 ms | 1 ms | 1 to 1 | met | h |") == 2
    assert filled.startswith("Above\n<!-- figures: begin -->\n")
    assert filled.endswith("<!-- figures: end -->\nbelow\n")
    assert "old" not in filled + readme.read_text()
    assert readme.read_text().count("| p | < 2 ms | 1 ms | met |") == 2


def test_a_page_without_marks_is_not_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(ValueError, match="has no marks"):
        fill(page, "figures", "text")
    assert page.read_text() == "nothing"


def test_the_page_tells_every_benchmark_and_can_be_filled(tmp_path: Path) -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    page = tmp_path / "benchmarks.md"
    page.write_text(text)

    for name in ("figures", "peers"):
        fill(page, name, "filled")

    assert page.read_text().count("-->\nfilled\n<!--") == 2
    assert [name for name in BENCHMARKS if f"| `{name}` |" not in text] == []


# --- beside other libraries ---------------------------------------------------------------------------------


def test_without_the_comparison_nothing_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.main(["--comparison", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 0

    assert f"skipped: the comparison is not there ({tmp_path})" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_the_packages_of_a_peer_are_those_of_the_comparison() -> None:
    assert peers.packages('declare -A P=(\n  [baseline]=""\n  [otel]="a b==1"\n)') == {
        "baseline": "",
        "otel": "a b==1",
    }


CALLS = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmarks import peer_adapter as ours
ours.init({})
look_up = ours.trace(lambda told, texts: None)
with ours.root("calls"):
    look_up({"key": "Mid000001x"}, ["Mid000002x and Mid000001x"])
    look_up("Cid000001x", [])
ours.flush()
ours.shutdown()
"""


def test_our_adapter_counts_what_was_recorded(tmp_path: Path) -> None:
    home = tmp_path / "store"
    subprocess.run([sys.executable, "-c", CALLS, str(ROOT)], env=environment(home, {}), check=True)

    found = peer_adapter.recover(str(home))

    assert (found["mid_unique"], found["mid_total"]) == (2, 3)
    assert (found["cid_unique"], found["cid_total"]) == (1, 1)
    assert (found["rid_unique"], found["rid_total"]) == (0, 0)


def test_peers_are_compared_with_the_baseline_of_their_round() -> None:
    def run(adapter: str, number: int, cpu: float) -> dict[str, object]:
        return {"workload": "w2_0ms", "adapter": adapter, "round": number, "host_cpu_ms": cpu}

    failed = {"workload": "w4_tight", "adapter": "ours", "round": 0, "error": "no space left"}
    runs = [run("baseline", 0, 2), run("ours", 0, 2.5), run("baseline", 1, 8), run("ours", 1, 8.5), failed]

    rows = [dict(zip(HEAD, row, strict=True)) for row in table(runs)]

    assert [(row["peer"], row["model call"]) for row in rows] == [("baseline", "0 ms"), ("ours", "0.50 ms")]
    assert errors(runs, "ours") == ["w4_tight: no space left"]
