"""What stands twice because tools demand it stays the same, and what a fresh clone needs is there."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a terminal, whatever make it was that started the tests."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_extra_dev_is_the_dependency_group_dev(project: dict[str, Any]) -> None:
    assert project["project"]["optional-dependencies"]["dev"] == project["dependency-groups"]["dev"]


def test_dev_holds_what_the_other_extras_need(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]

    needed = {requirement for name, requirements in extras.items() if name != "dev" for requirement in requirements}
    assert needed <= set(extras["dev"])


def test_ci_runs_the_pythons_that_are_promised(project: dict[str, Any]) -> None:
    promised = [c.rpartition(" ")[2] for c in project["project"]["classifiers"] if "Python :: 3." in c]

    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    tested = re.findall(r'"(3\.\d+)"', workflow)
    assert tested == promised
    assert project["project"]["requires-python"] == f">={promised[0]}"
    assert project["tool"]["mypy"]["python_version"] == promised[0]


def test_ci_runs_make_check() -> None:
    script = ROOT / ".ci/run"

    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("make --no-print-directory check")
    assert "- run: make check\n" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_make_help_lists_what_there_is() -> None:
    shown = make("help").stdout

    for target in ("demo", "check", "test", "bench", "soak", "mutants", "docs", "clean"):
        assert re.search(rf"^  make {target} +[A-Z]", shown, re.MULTILINE), target


def test_every_target_that_uses_a_tool_makes_the_environment_first() -> None:
    rules = re.findall(r"^([a-z]+):(.*)\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)

    assert {target for target, needs, recipe in rules if "$(BIN)" in recipe and "$(STAMP)" not in needs} == set()


@pytest.mark.parametrize(
    "module", sorted(set(re.findall(r"python -m ([a-z_.]+)", MAKEFILE)) - {"pip", "pytest", "venv"})
)
def test_a_module_that_make_runs_exists(module: str) -> None:
    path = ROOT / module.replace(".", "/")

    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize("script", sorted(set(re.findall(r"python ([a-z_/]+\.py)", MAKEFILE))))
def test_a_script_that_make_runs_exists(script: str) -> None:
    assert (ROOT / script).exists()


def test_an_old_python_is_refused_with_a_way_out(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18 || exit 1\n')
    old.chmod(0o755)

    refused = make("test", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")

    assert refused.returncode != 0
    assert "needs Python 3.11 or newer" in refused.stderr
    assert "make PYTHON=python3.12 test" in refused.stderr
    assert not (tmp_path / "venv").exists()
