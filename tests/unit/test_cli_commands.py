"""The command line itself: what it loads, how it answers mistakes, and how it behaves in a pipeline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from agentrace.cli import COMMANDS, agentrace, execute
from agentrace.events import Logged
from agentrace.ids import format_run_id
from tests.unit.recorded_runs import Process
from tests.unit.travel_run import travel

SOURCE = Path(__file__).parents[2] / "src"
MAIN = "import sys; from agentrace.cli import main; sys.exit(main())"


def command(*arguments: str, home: Path, **environ: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTRACE_")}
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        env=kept | {"PYTHONPATH": str(SOURCE), "AGENTRACE_HOME": str(home), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one run, which the environment names."""
    root = tmp_path / "store"
    process = Process(root)
    travel(process)
    process.close()
    monkeypatch.setenv("AGENTRACE_HOME", str(root))
    return root


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lss"], "No such command 'lss'. Did you mean 'ls'?"),
        (
            ["frobnicate"],
            f"No such command 'frobnicate'. The commands are {', '.join(COMMANDS)}.",
        ),
        (["doctor", "--jsn"], "No such option '--jsn'. Did you mean '--json'?"),
        (["ls", "-n", "0"], "0 is not in the range x>=1."),
        (["verify", "@last", "--all"], "or say --all: one of these."),
        (["show", "a", "b"], "Got unexpected extra argument"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    code = execute(arguments)

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert says in err


def test_an_error_says_what_happened_and_what_to_do(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = execute(["show", "travle"])

    assert code == 2
    assert capsys.readouterr().err == (
        "error: no run of the store is called 'travle', and no id begins like that\n"
        "  what to do: did you mean travel?\n"
        "  see docs/errors.md#run-not-found\n"
    )


def test_a_store_that_is_a_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no store")
    monkeypatch.setenv("AGENTRACE_HOME", str(tmp_path / "file"))

    assert execute(["ls"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_step_that_is_not_there_is_an_error(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["show", "travel:0"]) == 2
    assert "steps are numbered from 1" in capsys.readouterr().err

    code = execute(["show", "travel:99"])

    assert code == 2
    assert "has no step 99\n  what to do: it has 10 steps" in capsys.readouterr().err


def test_a_setting_that_cannot_be_used_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTRACE_DURABILITY", "forever")

    assert execute(["path"]) == 2
    assert "docs/errors.md#config-value" in capsys.readouterr().err


def test_what_an_error_quotes_cannot_speak_to_the_terminal(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(["show", "\x1b]0;title\x07\u202egnp"])

    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\x07" not in err
    assert "\u202e" not in err


def test_a_damaged_record_is_found_and_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (segment,) = next(path for path in (store / "segments").iterdir() if "4d" not in path.name[-2:]).glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 0xFF
    segment.write_bytes(content)

    code = execute(["verify", "--all", "--json"])

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [(one["name"], one["ok"]) for one in told if one["ok"]] == [("render", True)]
    assert [one["problems"] for one in told if not one["ok"]] != [[]]


# --- the table of commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert execute([name, "--help"]) == 0

    told = capsys.readouterr().out
    assert f"Usage: agentrace {name}" in told
    assert "Example:" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    found = agentrace.get_command(click.Context(agentrace), name)

    assert found is not None
    assert [o.name for o in found.params if isinstance(o, click.Option) and not o.help] == []


def test_only_the_command_that_is_meant_is_loaded() -> None:
    probe = "import sys, agentrace.cli; print([m for m in sys.modules if m.startswith('agentrace')])"
    done = subprocess.run(
        [sys.executable, "-c", probe], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )

    assert set(json.loads(done.stdout.replace("'", '"'))) == {
        "agentrace",
        "agentrace.cli",
        "agentrace.cli.tab",
        "agentrace.errors",
        "agentrace.version",
    }


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out.startswith("agentrace 0.")


def test_the_store_is_where_the_setting_says(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["path"]) == 0
    assert capsys.readouterr().out == f"{store}\n"


# --- as a process -------------------------------------------------------------------------------------------


def test_a_reader_who_leaves_early_is_no_error(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("long")
    for number in range(20_000):
        run.event(Logged, 0, number, "a line that fills the pipe")
    run.end(20_000)
    process.close()
    showing = command("show", "--events", home=tmp_path)
    assert showing.stdout is not None
    assert showing.stderr is not None

    showing.stdout.readline()
    showing.stdout.close()
    code = showing.wait(timeout=60)

    assert (code, showing.stderr.read()) == (-signal.SIGPIPE, "")
    showing.stderr.close()


def test_an_interrupt_is_quiet(tmp_path: Path) -> None:
    waiting = (
        "import os, signal, sys, click\n"
        "from agentrace import cli\n"
        "@click.command()\n"
        "def wait():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.pause()\n"
        "cli.agentrace.get_command = lambda ctx, name: wait\n"
        "sys.exit(cli.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", waiting, "ls"],
        env={"PYTHONPATH": str(SOURCE), "AGENTRACE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_a_misspelt_variable_is_told_without_a_traceback(tmp_path: Path) -> None:
    out, err = command("path", home=tmp_path, AGENTRACE_DURABILTY="power").communicate(timeout=60)

    assert out == f"{tmp_path}\n"
    assert err == (
        "warning: the environment variable AGENTRACE_DURABILTY is no setting: did you mean AGENTRACE_DURABILITY?\n"
    )


def test_looking_at_records_is_not_recorded(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.end(1)
    process.close()
    before = sorted((tmp_path / "segments").iterdir())

    parent = f"{format_run_id(run.id)}:0:process:0"
    out, err = command("ls", "--json", "--all", home=tmp_path, AGENTRACE_PARENT=parent).communicate(timeout=60)

    assert (err, [json.loads(line)["name"] for line in out.splitlines()]) == ("", ["agent"])
    assert sorted((tmp_path / "segments").iterdir()) == before
    assert list((tmp_path / "journal").iterdir()) == []
