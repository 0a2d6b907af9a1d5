"""What the commands that look at many runs print, as whole files, and how they refuse what they cannot do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from agentrace.capture.step import Kind
from agentrace.cli import execute
from agentrace.cli.words import KINDS
from tests.unit.asked_runs import DAY_MS, fill
from tests.unit.golden import expect
from tests.unit.recorded_runs import MODEL, START_MS, Process, completion

NOW = (START_MS + 4 * DAY_MS) * 1_000_000


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A reader in Greenwich, four days after the first run began, whose output goes into a file."""
    for name, value in {"TZ": "UTC", "COLUMNS": "100", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose runs differ."""
    root = tmp_path_factory.mktemp("asked") / "store"
    fill(root)
    return root


def printed(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What a command prints about this store, its place left out."""
    code = execute([*arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    assert err == ""
    assert code == 0
    return out.replace(str(root), "/store")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ls-filtered.txt", ["ls", "--sort", "tokens", "--no-replays"]),
        ("ls-filtered-children.txt", ["ls", "--tag", "b", "--reverse"]),
        ("ls-filtered.jsonl", ["ls", "--failed", "--json"]),
        ("search.txt", ["search", "rome"]),
        ("search-some.txt", ["search", "insufficient", "-n", "2"]),
        ("search-hostile.txt", ["search", '"quoted" \\ back\nline 100%_*[']),
        ("search.jsonl", ["search", "--regex", "order [0-9]", "--kind", "tool", "--json"]),
        ("top.txt", ["top"]),
        ("top-tokens.txt", ["top", "tokens"]),
        ("top-failing.txt", ["top", "failing"]),
        ("top-steps.txt", ["top", "slowest", "--by", "step", "-n", "4"]),
        ("top-failing-steps.txt", ["top", "failing", "--by", "step"]),
        ("top-runs.txt", ["top", "tokens", "--by", "run", "--model", "gpt*"]),
        ("top.jsonl", ["top", "failing", "--by", "kind", "--json"]),
        ("sql.txt", ["sql", "select name, status, started, duration_s, models, tags, exit_code from runs order by started"]),
        ("sql.jsonl", ["sql", "select name, name, started, input_tokens, health, 'nan'::double as n from runs order by 3", "--json"]),
        ("sql.csv", ["sql", "select run_name, part, text from texts where run_name like 'odd%' order by all", "--csv"]),
    ],
)  # fmt: skip
def test_the_output_is_the_golden_file(
    shop: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    expect(name, printed(capsys, shop, *arguments))


def test_the_sums_of_a_store_are_the_golden_file(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, shop, "stats").splitlines()

    assert lines[0].startswith("/store  ")  # its sizes are those of the file system
    assert "index" in lines[1]
    expect("stats.txt", "\n".join(lines[2:]) + "\n")


def test_sums_are_those_of_the_runs_that_are_meant(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(printed(capsys, shop, "stats", "--json", "--project", "web"))

    assert (told["runs"], told["by_status"]) == (2, {"completed": 1, "failed": 1})
    assert [(one["input_tokens"], one["output_tokens"]) for one in told["by_model"]] == [(1250, 305)]
    assert [one["day"] for one in told["by_day"]] == ["2026-11-20", "2026-11-21"]
    assert told["bytes"] == sum(told["bytes_by_part"].values())


def test_a_list_that_is_only_sorted_holds_what_it_holds_without(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_ever = [json.loads(line) for line in printed(capsys, shop, "ls", "--json").splitlines()]
    everything = [json.loads(line) for line in printed(capsys, shop, "ls", "--json", "--all").splitlines()]

    started = [json.loads(line) for line in printed(capsys, shop, "ls", "--json", "--sort", "started").splitlines()]
    turned = [json.loads(line) for line in printed(capsys, shop, "ls", "--json", "--reverse", "-a").splitlines()]

    assert started == as_ever
    assert [one["run_id"] for one in turned] == [one["run_id"] for one in reversed(everything)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--status", "finished"],
            "Possible are pending, running, completed, failed, aborted, interrupted, unreadable.",
        ),
        (["--kind", "llm"], "Possible are model, embedding, tool,"),
        (["--since", "soon"], "Possible are 2h, 3d, today, yesterday, 2026-11-20 or 2026-11-20T14:30 (local time)."),
        (["--until", "20"], "'20' is no time."),
        (["--tokens", "many"], "Possible are '>1000', '<=2k', '1000..5000'."),
        (["--tokens", "5..1"], "'5..1' is no range."),
        (["--tokens", ">>5"], "'>>5' is no range."),
        (["--duration", "5"], "Possible are '>5s', '<200ms', '1s..5s'."),
        (["--sort", "age"], "'started', 'duration', 'tokens', 'steps'"),
    ],
)
def test_a_filter_that_is_not_understood_says_what_is_possible(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    code = execute(["ls", *arguments, "--home", str(shop)])

    assert code == 2
    assert says in capsys.readouterr().err


def test_the_index_is_made_again(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, shop, "stats")
    (shop / "index.duckdb").write_bytes(b"no index")

    assert printed(capsys, shop, "reindex").startswith("6 runs and ")
    assert "checkout" in printed(capsys, shop, "sql", "from runs")


def test_there_is_no_index_of_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = execute(["reindex", "--home", str(tmp_path / "none")])

    assert code == 2
    assert "there is no store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_while_another_program_holds_the_index_is_dated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path)
    printed(capsys, tmp_path, "stats")
    program = (
        "import duckdb, sys\n"
        "held = duckdb.connect(sys.argv[1] + '/index.duckdb')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"

        code = execute(["ls", "--name", "refund", "--json", "--home", str(tmp_path)])

        other.stdin.close()
    out, err = capsys.readouterr()
    assert code == 0
    assert json.loads(out)["name"] == "refund"
    assert err.startswith("note: as of ")
    assert f"(process {other.pid}) holds the index open" in err


def test_every_kind_of_step_can_be_asked_for() -> None:
    assert set(get_args(Kind)) == set(KINDS)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["ls", "--name", "nobody"], 0, "none of 6 runs in /store is like that\n"),
        (["search", "nowhere to be found"], 1, "nothing found\n"),
        (["top", "--name", "nobody"], 0, "no steps\n"),
        (["top", "tokens", "--kind", "tool"], 0, "no tokens were used\n"),
        (["top", "failing", "--by", "step", "--name", "render"], 0, "nothing failed\n"),
    ],
)
def test_that_there_is_nothing_is_said_beside_the_output(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert execute([*arguments, "--home", str(shop)]) == code
    out, err = capsys.readouterr()
    assert (out, err.replace(str(shop), "/store")) == ("", says)

    assert execute([*arguments, "--json", "--home", str(shop)]) == code
    assert capsys.readouterr() == ("", "")


def test_calls_that_do_not_tell_their_tokens_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    for turn in range(2):
        call = run.step("model", "openai.chat.completions", turn, {"messages": []}, **MODEL)
        run.exchange(call, turn, turn + 0.5, 200, completion("x", usage=(100, 20)))
        run.answered(call, turn + 0.5)
    for turn in range(2, 5):
        run.failed(run.step("model", "openai.chat.completions", turn, {"messages": []}, **MODEL), turn + 0.5, "Gone")
    run.end(9)
    process.close()

    by_name = printed(capsys, tmp_path, "top", "tokens", "--by", "name").splitlines()
    by_step = printed(capsys, tmp_path, "top", "tokens", "--by", "step").splitlines()
    told = [
        json.loads(line) for line in printed(capsys, tmp_path, "top", "tokens", "--by", "name", "--json").splitlines()
    ]

    assert [line.split() for line in by_name] == [
        ["name", "kind", "count", "in", "cached", "out", "each", "no", "count"],
        ["openai.chat.completions", "model", "5", "200", "0", "40", "120", "3"],
    ]
    assert by_step[-1] == "tokens are not told by 3 more calls"
    assert [(one["steps"], one["uncounted"], one["input_tokens"]) for one in told] == [(5, 3, 200)]
