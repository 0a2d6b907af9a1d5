"""How long the command line takes to list and to show large runs, and what it costs to follow one that waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.children import environment, run, store
from benchmarks.command import agentrace_command
from benchmarks.figures import Effort, Figure, NotPossible, Unsound
from benchmarks.programs.traced_calls import WARM_UP
from benchmarks.reading import expect_calls


def measure(effort: Effort) -> list[Figure]:
    """Wall time of ``agentrace show`` and ``ls``, from the command to the prompt; CPU of ``agentrace tail``."""
    return [*_ten_thousand(effort), *_hundred_thousand(effort), *_following(effort)]


def _ten_thousand(effort: Effort) -> list[Figure]:
    calls = effort.calls(10_000, 100)
    with _recorded(effort, calls) as home:
        shown = [_first(effort, home, "show", "@last") for _ in range(effort.rounds(7))]
        all_of_it = [_first(effort, home, "show", "@last", "--all") for _ in range(effort.rounds(7))]
        once(effort, home, "ls")
        listed = [once(effort, home, "ls")[0] for _ in range(effort.rounds(7))]
    return [
        _time(f"`agentrace show` of a run of {calls:,} steps", shown, 300, "wall time of the command, store sealed"),
        _time("the same with `--all`", all_of_it, None, "the same"),
        _time("`agentrace ls` of the same store", listed, 300, "the same"),
    ]


def _hundred_thousand(effort: Effort) -> list[Figure]:
    calls = effort.calls(100_000, 600)
    with _recorded(effort, calls) as home:
        shown = [_first(effort, home, "show", "@last") for _ in range(effort.rounds(7))]
    return [
        _time(f"`agentrace show` of a run of {calls:,} steps", shown, 1500, "the same, never shown before"),
        Figure(
            promise="memory for it",
            unit="MB",
            below=400,
            values=[memory for _, memory in shown],
            how="peak of the process",
        ),
    ]


def _time(promise: str, values: list[tuple[float, float]] | list[float], below: float | None, how: str) -> Figure:
    times = [value[0] if isinstance(value, tuple) else value for value in values]
    return Figure(promise=promise, unit="ms", below=below, values=times, how=how)


@contextmanager
def _recorded(effort: Effort, calls: int) -> Generator[Path, None, None]:
    """A store with one run of so many steps."""
    with store() as home:
        task = {"recorded": True, "calls": calls - WARM_UP, "pause": 0, "threads": 1}
        run("traced_calls", task, home, effort.environ)
        expect_calls(home, calls)
        yield home


def _first(effort: Effort, home: Path, *arguments: str) -> tuple[float, float]:
    """The same as ``once``, where nothing is kept of an earlier look."""
    shutil.rmtree(home / "derived", ignore_errors=True)
    return once(effort, home, *arguments)


def once(effort: Effort, home: Path, *arguments: str, expects: str = "traced-calls") -> tuple[float, float]:
    """Milliseconds that a command takes, and megabytes at its peak; its output has to hold what is expected."""
    command = [agentrace_command(), *arguments]
    with open(home.parent / "out", "w+") as out, open(home.parent / "err", "w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment(home, effort.environ), cwd=home.parent, stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        took = (time.perf_counter() - start) * 1e3
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text = out.read()
        if status or expects not in text:
            raise Unsound(f"{' '.join(command)} ended with {process.returncode}:\n{text[-500:]}{err.read()[-2000:]}")
    return took, used.ru_maxrss / 1e3


# --- following ----------------------------------------------------------------------------------------------

WAITING = """
import agentrace, sys
agentrace.init()
with agentrace.run("waiting"):
    agentrace.trace(len)("begun")
    print("begun", flush=True)
    sys.stdin.read()
"""


def _following(effort: Effort) -> list[Figure]:
    seconds = effort.calls(5_000, 200) / 1e3
    with store() as home:
        options: dict[str, Any] = {
            "env": environment(home, effort.environ),
            "cwd": home.parent,
            "stdout": subprocess.PIPE,
        }
        with (
            subprocess.Popen([sys.executable, "-c", WAITING], stdin=subprocess.PIPE, **options) as waiting,
            subprocess.Popen([agentrace_command(), "tail"], **options) as tail,
        ):
            try:
                assert waiting.stdout is not None
                assert tail.stdout is not None
                if waiting.stdout.readline() != b"begun\n" or b"waiting" not in tail.stdout.readline():
                    raise Unsound("the run that waits was not followed")
                values = [_share_of_a_core(tail.pid, seconds) for _ in range(effort.rounds(5))]
            finally:
                tail.kill()
                waiting.kill()
    return [
        Figure(
            promise="`agentrace tail` of a run that waits",
            unit="% of a core",
            below=1,
            values=values,
            how=f"CPU of the process over {seconds:g} s",
        )
    ]


def _share_of_a_core(pid: int, seconds: float) -> float:
    before, start = _cpu_ns(pid), time.perf_counter_ns()
    time.sleep(seconds)
    return 100 * (_cpu_ns(pid) - before) / (time.perf_counter_ns() - start)


def _cpu_ns(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise NotPossible("this system does not tell what CPU a process has used") from error
