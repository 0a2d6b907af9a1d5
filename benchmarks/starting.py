"""What a program pays before its first line: the import, and ``init()``."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.children import environment, last_line, store
from benchmarks.figures import Effort, Figure, Unsound

ALLOWED = {"agentrace", "msgspec", "blake3", "typing_extensions"}
"""msgspec imports typing_extensions where it is installed; it is no dependency of ours."""

PROBE = """
import json, sys, time
before = set(sys.modules)
cpu = time.process_time()
import agentrace
cpu = time.process_time() - cpu
start = time.perf_counter()
recording = agentrace.init().recording
init = time.perf_counter() - start
print(json.dumps([cpu * 1e3, init * 1e3, recording, sorted(set(sys.modules) - before)]))
"""


def measure(effort: Effort) -> list[Figure]:
    """CPU of the import, time of ``init()``, and the modules that both load."""
    _once(effort)  # the first interpreter compiles what is new
    told = [_once(effort) for _ in range(effort.rounds(15))]
    return [
        Figure(
            promise="`import agentrace`",
            unit="ms of CPU",
            below=60,
            values=[cpu for cpu, _, _ in told],
            how="fresh interpreter, compiled files there",
        ),
        Figure(
            promise="`agentrace.init()`",
            unit="ms",
            below=50,
            values=[init for _, init, _ in told],
            how="the first in its process, with all that it imports",
        ),
        Figure(
            promise="third-party packages that both load, but msgspec and blake3",
            unit="",
            exactly=0,
            values=[float(len(foreign(modules))) for _, _, modules in told],
            how="sys.modules before and after",
        ),
    ]


def foreign(modules: list[str]) -> set[str]:
    """The packages among ``modules`` that are neither the standard library's nor allowed."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - ALLOWED


def _once(effort: Effort) -> tuple[float, float, list[str]]:
    with store() as home:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=environment(home, effort.environ),
            cwd=home.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    cpu, init, recording, modules = last_line("the probe", done)
    if not recording:
        raise Unsound("init() recorded nothing")
    return cpu, init, modules
