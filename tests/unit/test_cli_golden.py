"""What the commands print of known runs, as whole files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrace import events
from agentrace.cli import execute
from agentrace.cli.ls import footer, list_lines
from agentrace.cli.run_table import unique_digits
from agentrace.cli.show import shown_run
from agentrace.cli.terminal import Terminal
from agentrace.query import Runs
from tests.unit.golden import expect
from tests.unit.recorded_runs import MODEL, START_MS, Process, completion, result
from tests.unit.travel_run import travel


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
def trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the run that has everything in it."""
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    travel(process)
    process.close()
    return root


def printed(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What a command prints about this store."""
    code = execute([*arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize(
    ("name", "columns", "arguments"),
    [
        ("show.txt", 100, ["show", "travel"]),
        ("show-narrow.txt", 70, ["show", "travel"]),
        ("show-narrowest.txt", 40, ["show", "travel"]),
        ("show-wide.txt", 160, ["show", "travel"]),
        ("show-io.txt", 100, ["show", "travel", "--io"]),
        ("show-step-model.txt", 100, ["show", "travel:10"]),
        ("show-step-agent.txt", 100, ["show", "travel:6"]),
        ("show-events.txt", 100, ["show", "travel", "--events"]),
        ("show-events-of-a-step.jsonl", 100, ["show", "travel:4", "--events", "--json"]),
        ("show.json", 100, ["show", "travel", "--json"]),
        ("show-step.json", 100, ["show", "travel:2", "--json"]),
        ("show-process.txt", 100, ["show", "render"]),
        ("ls.jsonl", 100, ["ls", "--json", "--all"]),
        ("verify.txt", 100, ["verify", "--all"]),
    ],
)
def test_the_output_is_the_golden_file(
    trip: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    columns: int,
    arguments: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    expect(name, printed(capsys, trip, *arguments))


@pytest.mark.parametrize(
    ("name", "terminal"),
    [
        ("show-colour.txt", Terminal(width=100, colour=True)),
        ("show-ascii.txt", Terminal(width=100, unicode=False)),
    ],
)
def test_a_terminal_gets_what_it_can_draw(trip: Path, name: str, terminal: Terminal) -> None:
    runs = Runs(trip)

    expect(name, "\n".join(shown_run(runs.tree(runs.find("travel")), runs.record, terminal)) + "\n")


def test_a_row_is_never_wider_than_the_terminal(trip: Path) -> None:
    runs = Runs(trip)
    tree = runs.tree(runs.find("travel"))

    for width in range(40, 180):
        lines = list(shown_run(tree, runs.record, Terminal(width=width)))
        rows = lines[lines.index("") + 1 : lines.index("", lines.index("") + 1)]
        assert len(rows) > 13
        assert [line for line in rows if len(line) > width] == []


# --- runs that went otherwise -------------------------------------------------------------------------------


def interrupted(process: Process) -> None:
    run = process.run("interrupted")
    agent = run.step("agent", "plan", 5)
    model = run.step("model", "openai.chat.completions", 10, {"model": "gpt-5-mini"}, parent=agent, **MODEL)
    run.event(events.ExchangeStarted, model, 11, 1, "httpx2", "POST", "https://api.example.org/v1/chat/completions")
    run.event(events.Logged, agent, 700, "waiting")
    process.die()


def failed(process: Process) -> None:
    run = process.run("failed", hash_seed="")
    agent = run.step("agent", "sell", 5)
    tool = run.step("tool", "charge_card", 10, {"amount": 12}, parent=agent, effects="write")
    run.failed(tool, 30, "shop.payments:CardDeclined", "the card was declined:\ninsufficient funds")
    run.failed(agent, 31, "shop.payments:CardDeclined", "the card was declined:\ninsufficient funds")
    run.end_badly(35, "shop.payments:CardDeclined", "the card was declined:\ninsufficient funds")
    process.close()


def aborted(process: Process) -> None:
    run = process.run("aborted")
    run.step("tool", "sleep", 5)
    run.event(events.ExecutionAborted, 0, 40, "signal", "SIGTERM", "the process was told to end")
    run.end_badly(41, exit_code=143)
    process.close()


def empty(process: Process) -> None:
    process.run("empty").end(20)
    process.close()


def lossy(process: Process) -> None:
    run = process.run("lossy")
    run.step("agent", "plan", 1)
    run.lose(4)
    run.event(events.StepCompleted, 3, 20, duration_ns=5_000_000)
    run.steps = 3
    run.done(run.step("tool", "inner", 30, parent=2), 35)
    run.done(1, 40)
    run.end(50, lost=4, health=["privacy_risk"])
    process.close()


def replayed(process: Process) -> None:
    origin = events.Origin("replay", bytes(range(16)))
    run = process.run("replayed", origin=origin)
    run.step("tool", "lookup", 5, {"order": 8})
    report = "the program calls lookup with other arguments than the recorded run"
    run.event(events.ReplayDiverged, 1, 6, "CALL_CHANGED", 1, report=report)
    run.end(9, replay="diverged", caveats=["CALL_CHANGED"])
    process.close()


@pytest.mark.parametrize("write", [interrupted, failed, aborted, empty, lossy, replayed], ids=lambda w: w.__name__)
def test_a_run_that_went_otherwise_says_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write: Callable[[Process], None]
) -> None:
    write(Process(tmp_path))

    expect(f"show-{write.__name__}.txt", printed(capsys, tmp_path, "show"))


def test_a_list_shows_how_each_run_went(tmp_path: Path) -> None:
    dead, process = Process(tmp_path), Process(tmp_path)
    dead.run("dead").step("tool", "lookup", 1)
    dead.die()
    _several(process)
    living = Process(tmp_path)
    living.run("a run whose name is longer than there is room for", after_ms=9_000_000, number=40).step("tool", "t")
    runs = Runs(tmp_path)

    for name, terminal in (("ls.txt", Terminal(100, now_ns=_NOW)), ("ls-colour.txt", Terminal(120, True, now_ns=_NOW))):
        shown = list(runs.listed())
        below = footer(shown, len(shown), "in /store (12.3 MB)")
        lines = list_lines([(one, "") for one in shown], below, unique_digits(runs.ids), terminal)
        expect(name, "\n".join(lines) + "\n")
    living.close()


_NOW = (START_MS + 86_400_000) * 1_000_000


def _several(process: Process) -> None:
    """Runs that ended well, badly, as a replay, with a child process and with jobs."""
    root = process.run("checkout", after_ms=60_000, number=31)
    process.run("worker", after_ms=60_100, number=32, parent=root.parent(0)).end(5)
    for at in range(2):
        process.run("pay", after_ms=60_200 + at, number=36 + at, parent=root.parent(0, f"/send#0/job:{at}")).end(5)
    told: list[dict[str, str]] = []
    for turn in range(2):
        model = root.step("model", "openai.chat.completions", turn, {"messages": told}, **MODEL)
        root.exchange(model, turn, turn + 0.5, 200, completion("", [("c1", "lookup", {})][turn:], (1200, 30)))
        root.answered(model, turn + 0.6)
        told = [result("c1", "x")]
    root.end(61_000)
    process.run("broken", after_ms=120_000, number=33).end_badly(10, "builtins:ValueError", "no such city: Rōma")
    origin = events.Origin("replay", root.id)
    process.run("checkout", after_ms=180_000, number=34, origin=origin).end(4, replay="exact_with_caveats")
    process.close()


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["ls", "--home", str(tmp_path)]) == 0

    said = ("", f"no runs in {tmp_path}\n  record one: agentrace run python agent.py\n")
    assert capsys.readouterr() == said
