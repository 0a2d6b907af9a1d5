"""Paging: what is longer than the screen goes through the user's pager, and only on a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.large_runs import crawl
from tests.unit.recorded_runs import Process
from tests.unit.test_cli_commands import MAIN, SOURCE
from tests.unit.travel_run import travel

COPYING = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read()); print('paged')"
"""A pager that leaves a copy of what it was given."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    crawl(process)
    travel(process)
    process.close()
    return root


@contextmanager
def on_a_terminal(
    store: Path, *arguments: str, lines: int = 24, **environ: str
) -> Generator[tuple[subprocess.Popen[bytes], int], None, None]:
    """``show`` in a process of its own on a terminal of so many lines, and the terminal's other end."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTRACE_", "PAGER", "LESS"))}
    size = {"LINES": str(lines), "COLUMNS": "100", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "show", *arguments],
        env=kept | size | {"PYTHONPATH": str(SOURCE), "AGENTRACE_HOME": str(store), **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    with process:
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def all_of(terminal: int) -> str:
    """What is written on a terminal until its last writer is gone."""
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end was closed
            piece = b""
        if not piece:
            return b"".join(pieces).decode()
        pieces.append(piece)


def copying(copy: Path) -> str:
    """The command line of a pager that leaves a copy."""
    return f'{sys.executable} -c "{COPYING}" {copy}'


def shown(store: Path, *arguments: str, lines: int = 24, **environ: str) -> tuple[int, str]:
    """Exit code, and what stands on the terminal."""
    with on_a_terminal(store, *arguments, lines=lines, **environ) as (process, terminal):
        out = all_of(terminal)
        return process.wait(30), out


def test_what_is_longer_than_the_screen_goes_through_the_pager(store: Path, tmp_path: Path) -> None:
    code, out = shown(store, "crawl", PAGER=copying(tmp_path / "copy"))

    copy = (tmp_path / "copy").read_text()
    assert (code, out.split()) == (0, ["paged"])
    assert "\x1b[1mcrawl\x1b[0m" in copy
    assert "1,090 steps" in copy


def test_our_own_variable_goes_before_the_general_one(store: Path, tmp_path: Path) -> None:
    _, out = shown(store, "crawl", PAGER="false", AGENTRACE_PAGER=copying(tmp_path / "copy"))

    assert out.split() == ["paged"]


@pytest.mark.parametrize(
    ("arguments", "lines", "pager"),
    [
        (["travel"], 40, "false"),
        (["crawl", "--no-pager"], 24, "false"),
        (["crawl"], 24, ""),
        (["crawl"], 24, "cat"),
        (["crawl"], 24, "/nowhere/no-such-pager"),
        (["crawl"], 24, "less 'unfinished"),
    ],
    ids=["it fits", "not wanted", "empty", "cat", "no such program", "no command line"],
)
def test_otherwise_it_is_printed(store: Path, arguments: list[str], lines: int, pager: str) -> None:
    code, out = shown(store, *arguments, lines=lines, PAGER=pager)

    assert code == 0
    assert "replayable: " in out


def test_a_pager_that_is_left_early_leaves_nothing_behind(store: Path) -> None:
    code, out = shown(
        store, "crawl", "--all", PAGER=f'{sys.executable} -c "import sys; print(sys.stdin.readline()[:9])"'
    )

    assert (code, "Traceback" in out, "roken" in out) == (0, False, False)


def test_an_interrupt_is_the_pagers_to_answer(store: Path) -> None:
    waiting = "import signal,sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(print('left'))); sys.stdin.read(); print('ready', flush=True); signal.pause()"

    with on_a_terminal(store, "crawl", PAGER=f'{sys.executable} -c "{waiting}"') as (process, terminal):
        while b"ready" not in os.read(terminal, 4096):
            pass
        os.killpg(process.pid, signal.SIGINT)
        out = all_of(terminal)
        code = process.wait(30)

    assert (code, out.split()) == (0, ["left"])


def test_a_pipe_sees_no_pager(store: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "show", "crawl"],
        env=os.environ | {"PYTHONPATH": str(SOURCE), "AGENTRACE_HOME": str(store), "PAGER": copying(tmp_path / "copy")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "1,090 steps" in done.stdout
    assert not (tmp_path / "copy").exists()
