"""What ``import agentrace`` loads and costs, because every program that records pays for it at its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ALLOWED = {"agentrace", "msgspec", "blake3", "typing_extensions"}
"""msgspec imports typing_extensions when it is installed; it is no dependency of ours."""
CPU_MS = 60.0
TRIES = 7

PROBE = """
import json, sys, time
before = set(sys.modules)
start = time.process_time()
{statement}
cost = time.process_time() - start
print(json.dumps([cost * 1000, sorted(set(sys.modules) - before)]))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_ms: float
    foreign: set[str]
    """Top-level modules that are neither the standard library's nor allowed."""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An interpreter as users have it: it keeps compiled files, for which the first try pays."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTRACE_", "PYTHON"))}
    source = Path(__file__).parents[2] / "src"
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled")), "PYTHONPATH": str(source)}


def cost(statement: str, environ: dict[str, str]) -> Cost:
    """The least of several fresh interpreters: what the statement needs, without the machine's noise."""
    tries = [_once(statement, environ) for _ in range(TRIES)]
    loaded = {name.split(".")[0] for name in tries[-1][1]}
    return Cost(min(ms for ms, _ in tries), loaded - sys.stdlib_module_names - ALLOWED)


def _once(statement: str, environ: dict[str, str]) -> tuple[float, list[str]]:
    probe = PROBE.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", probe], env=environ, capture_output=True, text=True, check=True)
    ms, modules = json.loads(done.stdout)
    return ms, modules


@pytest.mark.parametrize("statement", ["import agentrace", "import agentrace; agentrace.init"])
def test_starting_loads_little_and_is_quick(statement: str, environ: dict[str, str]) -> None:
    measured = cost(statement, environ)

    assert measured.foreign == set()
    assert measured.cpu_ms < CPU_MS


def test_the_commands_are_loaded_only_by_the_command_line(environ: dict[str, str]) -> None:
    _, modules = _once("import agentrace; agentrace.init", environ)

    assert [name for name in modules if name.startswith(("agentrace.cli", "agentrace.testing", "click"))] == []


def test_a_foreign_module_is_found(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "heavy.py").write_text("")

    measured = cost("import heavy, json", environ | {"PYTHONPATH": str(tmp_path)})

    assert measured.foreign == {"heavy"}


def test_time_is_found(environ: dict[str, str]) -> None:
    spin = f"while time.process_time() - start < {CPU_MS / 1000}: pass"

    assert cost(spin, environ).cpu_ms >= CPU_MS
