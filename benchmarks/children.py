"""Every measurement is made in a fresh process with a known environment and a store of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Unsound

ROOT: Final = Path(__file__).resolve().parent.parent
"""The repository: what is measured is its ``src``, whatever is installed."""
TIMEOUT: Final = 300.0
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


@contextlib.contextmanager
def store() -> Generator[Path, None, None]:
    """A directory for one measurement; the store is made in it, as a new one."""
    with tempfile.TemporaryDirectory(prefix="agentrace-bench-") as scratch:
        yield Path(scratch) / "store"


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a measured process finds: this source tree, a fixed hash seed, the default settings."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(home.parent),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PYTHONHASHSEED": "0",
        "AGENTRACE_HOME": str(home),
        "OPENAI_API_KEY": "sk-benchmark",
        **extra,
    }


def program(name: str) -> list[str]:
    """The command that runs one of ``benchmarks.programs``."""
    return [sys.executable, "-m", f"benchmarks.programs.{name}"]


def run(name: str, task: Mapping[str, Any], home: Path, extra: Mapping[str, str]) -> dict[str, Any]:
    """The answer of one of ``benchmarks.programs`` to ``task``. Raises ``Unsound`` if it gives none."""
    try:
        done = subprocess.run(
            program(name),
            input=json.dumps(task),
            env=environment(home, extra),
            cwd=home.parent,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise Unsound(f"{name} did not end within {TIMEOUT:.0f} s") from slow
    told: dict[str, Any] = last_line(name, done)
    if told.get("faults"):
        raise Unsound(f"{name} met {told['faults']} fault(s) of agentrace:\n{done.stderr[-2000:]}")
    return told


def last_line(name: str, done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a program printed last. Raises ``Unsound`` unless it ended well."""
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise Unsound(f"{name} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])
