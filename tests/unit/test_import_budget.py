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
"""On the machine of docs/benchmarks.md, which sums up 200,000 squares in ``PACE_MS``."""
PACE_MS = 10.9
TRIES = 9

FOR_READERS = (
    *("agentrace.canonical.decoding", "agentrace.journal.reading", "agentrace.journal.lane_reading"),
    *("agentrace.journal.recovery", "agentrace.journal.verification"),
    *("agentrace.fold", "agentrace.store", "agentrace.query", "agentrace.replay"),
)
"""A program that is recorded writes, and reads nothing back."""
LATE = {
    *("asyncio", "base64", "dataclasses", "difflib", "hashlib", "http", "importlib.metadata", "logging"),
    *("random", "secrets", "shutil", "subprocess", "tempfile", "tomllib", "zoneinfo"),
}
"""Modules of the standard library that take milliseconds and that only few programs, or only the end of one, need."""
NEEDED = "import inspect, msgspec, pathlib, signal, threading, traceback"
"""What recording cannot do without; what these load differs with the version of Python."""

COMPILED = f"""
import json, re
{NEEDED}
sizes, real = [0], re.compile
def noted(source, flags=0):
    sizes.append(len(source))
    return real(source, flags)
re.compile = noted
import agentrace
{{statement}}
print(json.dumps([sum(sizes), []]))
"""

PROBE = """
import json, sys, time
before = set(sys.modules)
start = time.process_time()
{statement}
cost = time.process_time() - start
loaded = sorted(set(sys.modules) - before)
start = time.process_time()
sum(number * number for number in range(200_000))
pace = (time.process_time() - start) * 1000
print(json.dumps([cost * 1000 * min(1.0, {PACE_MS} / pace), loaded]))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_ms: float
    """Less on a machine that is slower at the moment, by as much as it is slower."""
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


def _once(statement: str, environ: dict[str, str], probe: str = PROBE) -> tuple[float, list[str]]:
    probe = probe.format(statement=statement, PACE_MS=PACE_MS)
    outside = environ["PYTHONPYCACHEPREFIX"]  # no pyproject.toml of ours has to be read there
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environ, cwd=outside, capture_output=True, text=True, check=True
    )
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


def test_init_loads_nothing_that_only_readers_need(tmp_path: Path, environ: dict[str, str]) -> None:
    _, modules = _once("import agentrace; agentrace.init()", environ | {"AGENTRACE_HOME": str(tmp_path)})

    assert "agentrace.journal.process" in modules
    assert [name for name in modules if name.startswith(FOR_READERS)] == []


def test_init_loads_what_listens_only_where_it_is_asked_for(tmp_path: Path, environ: dict[str, str]) -> None:
    listening = {"agentrace.capture.log_records", "agentrace.capture.output", "agentrace.capture.spoken_notes"}
    home = environ | {"AGENTRACE_HOME": str(tmp_path)}

    _, modules = _once("import agentrace; agentrace.init()", home)
    _, asked = _once("import agentrace; agentrace.init(logs='info', output='both')", home)

    assert [name for name in modules if name.startswith("agentrace.canonical.foreign.")] == []
    assert listening & set(modules) == set()
    assert listening <= set(asked)
    assert "logging" not in asked


def test_init_loads_no_heavy_module_of_the_standard_library(tmp_path: Path, environ: dict[str, str]) -> None:
    _, needed = _once(NEEDED, environ)
    _, modules = _once("import agentrace; agentrace.init()", environ | {"AGENTRACE_HOME": str(tmp_path)})

    assert LATE & set(modules) - set(needed) == set()


def test_the_command_run_loads_no_heavy_module(environ: dict[str, str]) -> None:
    _, needed = _once(f"{NEEDED}; import click", environ)
    _, modules = _once("import agentrace.cli.run", environ)

    assert LATE & set(modules) - set(needed) == set()
    assert {"msgspec", "agentrace.runtime"} & set(modules) == set()


def test_no_large_pattern_is_compiled_before_there_is_a_text(tmp_path: Path, environ: dict[str, str]) -> None:
    plain = {name: environ[name] for name in ("PYTHONPYCACHEPREFIX", "PYTHONPATH")}

    assert _compiled("agentrace.init()", plain | {"AGENTRACE_HOME": str(tmp_path)}) < 200
    searching = "agentrace.redact.redactor().text('key: value')"
    assert _compiled(f"import agentrace.redact; {searching}", plain) > 1000


def _compiled(statement: str, environ: dict[str, str]) -> int:
    """Characters of all the regular expressions that the statement compiles."""
    size, _ = _once(statement, environ, COMPILED)
    return int(size)


def test_a_foreign_module_is_found(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "heavy.py").write_text("")

    measured = cost("import heavy, json", environ | {"PYTHONPATH": str(tmp_path)})

    assert measured.foreign == {"heavy"}


def test_time_is_found(environ: dict[str, str]) -> None:
    spin = f"while time.process_time() - start < {CPU_MS / 250}: pass"

    assert cost(spin, environ).cpu_ms >= CPU_MS
