"""``agentrace sql``: what it refuses, how it tells errors, what it writes, and that an interrupt ends it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from agentrace.cli import execute
from agentrace.cli.sql import table_lines
from agentrace.cli.terminal import Terminal
from agentrace.index.asking import Answer, Column
from tests.unit.asked_runs import HOSTILE, fill


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose runs are indexed."""
    root = tmp_path_factory.mktemp("asked") / "store"
    fill(root)
    assert execute(["reindex", "--home", str(root)]) == 0
    return root


def asked(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What a query prints."""
    code = execute(["sql", *arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def refused(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What is said of a query that is not answered."""
    code = execute(["sql", *arguments, "--home", str(root)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO run_rows SELECT * FROM run_rows",
        "UPDATE run_rows SET name = 'x'",
        "DELETE FROM step_rows",
        "DROP VIEW runs",
        "DROP TABLE run_rows",
        "ALTER TABLE run_rows ADD COLUMN x INTEGER",
        "CREATE TABLE x AS SELECT 1",
        "CREATE TEMP TABLE x AS SELECT 1",
        "TRUNCATE run_rows",
        "COPY run_rows TO 'made.csv'",
        "COPY (SELECT 1) TO 'made.parquet' (FORMAT parquet)",
        "EXPORT DATABASE 'made'",
        "ATTACH 'made.duckdb'",
        "DETACH index",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA memory_limit='1GB'",
        "PRAGMA enable_profiling",
        "SET threads = 1",
        "RESET threads",
        "CALL enable_logging(storage='file', storage_path='made')",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "USE memory",
        "PREPARE x AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM run_rows",
    ],
)
def test_what_is_no_question_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], query: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.read_bytes() for path in shop.iterdir() if path.is_file()}

    said = refused(capsys, shop, query)

    assert "is refused: the index can only be read" in said
    assert "docs/errors.md#sql-read-only" in said
    assert {path.name: path.read_bytes() for path in shop.iterdir() if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{outside}')",
        "FROM '{outside}'",
        "FROM read_csv('{outside}')",
        "FROM glob('/*')",
        "FROM enable_logging(storage='file', storage_path='made')",
        "FROM query('COPY (SELECT 1) TO ''made.csv''')",
    ],
)
def test_a_question_reaches_nothing_but_the_index(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], query: str
) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\n1\n")
    monkeypatch.chdir(tmp_path)

    said = refused(capsys, shop, query.format(outside=outside))

    assert "docs/errors.md#sql" in said
    assert [path.name for path in tmp_path.iterdir()] == ["outside.csv"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select nme from runs", '  Candidate bindings: "name", "mode"'),
        ("select nme from runs", "    select nme from runs\n           ^^^\n"),
        ("select name\nfrom stps", 'Did you mean "steps"?'),
        ("select name\nfrom stps", "    line 2: from stps\n                 ^^^^\n"),
        ("selec 1", "    selec 1\n    ^^^^^\n"),
        ("select name::int from runs", "error: Could not convert string"),
        ("select 1; select 2", "these are 2 queries"),
        ("/* nothing */", "there is no query"),
        ("select $x", "the query has a parameter $x and no value"),
        ("select ?", "the query has a parameter without a name"),
    ],
)
def test_an_error_says_where_it_is(shop: Path, capsys: pytest.CaptureFixture[str], query: str, says: str) -> None:
    said = refused(capsys, shop, query)

    assert says in said
    assert said.endswith("  see docs/errors.md#sql\n")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("five", "five"),
        ('"5"', "5"),
        ("' or 1=1 --", "' or 1=1 --"),
    ],
)
def test_a_parameter_is_a_value_and_never_sql(
    shop: Path, capsys: pytest.CaptureFixture[str], value: str, told: object
) -> None:
    out = asked(capsys, shop, "select $x as x", "-p", f"x={value}", "--json")

    assert json.loads(out) == {"x": told}


def test_the_query_may_come_from_a_file_or_from_stdin(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "select count(*) as runs from runs; -- all of them\n"
    (tmp_path / "q.sql").write_text(query)
    monkeypatch.setattr(sys, "stdin", io.StringIO(query))

    assert asked(capsys, shop, "--file", str(tmp_path / "q.sql"), "--json") == '{"runs":6}\n'
    assert asked(capsys, shop, "-", "--json") == '{"runs":6}\n'


def test_what_is_written_is_what_is_there(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select name, started, tags from runs order by started"
    made = tmp_path / "it's.parquet"

    code = execute(["sql", query, "--parquet", "-o", str(made), "--home", str(shop)])

    assert code == 0
    assert "6 rows in " in capsys.readouterr().err
    rows = duckdb.connect().execute("SELECT name, tags FROM read_parquet($path)", {"path": str(made)}).fetchall()
    assert rows[0] == ("checkout", ["a", "b"])
    assert rows[-1] == (f"odd {HOSTILE}", None)
    asked(capsys, shop, query, "--json", "-o", str(tmp_path / "runs.jsonl"))
    assert [json.loads(line)["name"] for line in (tmp_path / "runs.jsonl").open()] == [name for name, _ in rows]


def test_what_fails_leaves_no_file(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("--json", "--csv", "--parquet"):
        refused(capsys, shop, "select name::int from runs", form, "-o", str(tmp_path / "made"))

    assert list(tmp_path.iterdir()) == []


def test_rows_come_in_the_order_that_is_asked_for(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = asked(capsys, shop, "select range as n from range(300000) order by hash(range), range", "--csv")
    ours = [int(line) for line in out.splitlines()[1:]]

    theirs = duckdb.connect().execute("select range from range(300000) order by hash(range), range").fetchall()
    assert ours == [n for (n,) in theirs]


def test_only_a_terminal_cuts_a_table() -> None:
    answer = Answer([Column("a", "INTEGER"), Column("long\x1b", "VARCHAR")], iter(()))
    rows = [("1", "x" * 200), ("22", "é\x1b[2J")]

    for to in (Terminal(width=60), Terminal(width=60, unicode=False)):
        cut = list(table_lines(answer, rows, iter(rows), to, to.width))
        assert [len(line) <= 60 for line in cut] == [True] * 4
        assert cut[1].endswith(to.either("…", "~"))
    whole = list(table_lines(answer, rows, iter(rows), Terminal(width=60), None))
    assert whole == [" a  long\\x1b", " 1  " + "x" * 200, "22  é\\x1b[2J"]


def test_the_views_are_told_without_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    views = {
        view["view"]: view
        for line in asked(capsys, tmp_path, "--schema", "--json").splitlines()
        if (view := json.loads(line))
    }

    assert {"runs", "steps", "events", "messages", "texts", "costs", "daily", "step_failed"} <= views.keys()
    promised = [view for view in views.values() if view["columns"][0]["comment"]]
    assert len(promised) >= 11
    silent = [f"{view['view']}.{c['name']}" for view in promised for c in view["columns"] if not c["comment"]]
    assert silent == []
    assert "session_id" in asked(capsys, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_a_query(shop: Path) -> None:
    program = (
        "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from agentrace.cli import main\n"
        "sys.argv[1:] = ['sql', '-', '--home', sys.argv[1]]\n"
        "sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(shop)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdin is not None
    process.stdin.write(b"select count(*) from range(10000000) a, range(10000000) b where (a.range * b.range) % 7 = 3")
    process.stdin.close()
    _wait_until_it_works(process)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=20) == 130
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


def _wait_until_it_works(process: subprocess.Popen[bytes]) -> None:
    """Until it has used more of the processor than it takes to start: from then on the query runs."""
    ticks = 2 * os.sysconf("SC_CLK_TCK")
    stat, deadline = Path(f"/proc/{process.pid}/stat"), time.monotonic() + 60
    while sum(map(int, stat.read_text().rpartition(") ")[2].split()[11:13])) < ticks:
        assert process.poll() is None
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--json", "--csv"], "--json and --csv: say one of them."),
        (["--csv", "--parquet", "-o", "{}.parquet"], "--csv and --parquet: say one of them."),
        (["--json", "-o", "{}.csv"], "--json and a file that ends in .csv: say one of them."),
        (["--parquet", "-o", "{}.JSON"], "--parquet and a file that ends in .JSON: say one of them."),
    ],
)
def test_two_formats_are_one_too_many(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    options = [option.format(tmp_path / "made") for option in options]

    assert says in " ".join(refused(capsys, shop, "select 1", *options).split())
    assert not list(tmp_path.iterdir())


def test_a_file_is_written_as_its_name_says(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select name, steps from runs order by started, name"
    read = {
        "csv": "read_csv",
        "json": "read_json",
        "jsonl": "read_json",
        "ndjson": "read_json",
        "parquet": "read_parquet",
    }
    rows = []
    for suffix, function in read.items():
        made = tmp_path / f"made.{suffix}"
        assert execute(["sql", query, "-o", str(made), "--home", str(shop)]) == 0
        rows.append(
            duckdb.connect().execute(f"SELECT name, steps FROM {function}($path)", {"path": str(made)}).fetchall()
        )
    capsys.readouterr()

    assert len(rows[0]) == 6
    assert rows == [rows[0]] * len(read)
    asked(capsys, shop, query, "-o", str(tmp_path / "made.txt"))
    assert (tmp_path / "made.txt").read_text().split()[:2] == ["name", "steps"]
    asked(capsys, shop, query, "--csv", "-o", str(tmp_path / "csv.txt"))
    assert (tmp_path / "csv.txt").read_text() == (tmp_path / "made.csv").read_text()
