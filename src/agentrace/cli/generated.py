"""The Python file that ``agentrace to-test`` writes: short, without a dependency but pytest, and for people to keep."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from agentrace.ids import format_run_id
from agentrace.query import RunRecord

_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*(\.exe)?")
_WIDTH: Final = 100


class Program(Struct, frozen=True):
    """What a test starts."""

    name: str
    """Part of an identifier."""
    argv: Sequence[str]
    directory: Path
    """Where it is started, absolute."""
    exit_code: int
    """How the recorded one ended."""


def source_of_test(program: Program, place: Path, record: RunRecord) -> str:
    """The text of the test that stands at ``place``."""
    directory = os.path.relpath(program.directory, place.parent)
    where = "HERE" if directory == "." else f"(HERE / {_quoted(directory)}).resolve()"
    told = " ".join([os.path.basename(program.argv[0]), *program.argv[1:]])
    heading = _plain(told if len(told) <= _WIDTH else f"{told[:_WIDTH]}...")
    return _TEXT.format(
        heading=heading,
        run=format_run_id(record.run_id),
        trace=_quoted(f"{program.name}.agentrace"),
        directory=where,
        command=", ".join(_command(program.argv, program.directory)),
        name=program.name,
        exit_code=program.exit_code,
    )


_TEXT: Final = '''\
"""`{heading}`, as it was recorded.

Written by `agentrace to-test` from run {run}; it is yours to edit.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRACE = HERE / "traces" / {trace}
DIRECTORY = {directory}
COMMAND = [{command}]


def test_{name}(tmp_path: Path) -> None:
    """The program makes the recorded calls, which the trace answers without a network, and ends as it did."""
    replay = [sys.executable, "-m", "agentrace", "replay", "--home", str(tmp_path), str(TRACE), "--"]
    done = subprocess.run(
        [*replay, *COMMAND], cwd=DIRECTORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if "agentrace: replay exact" not in done.stderr or done.returncode != {exit_code}:
        pytest.fail(done.stderr, pytrace=False)
'''


def _command(argv: Sequence[str], directory: Path) -> list[str]:
    """The command line as expressions."""
    first, *rest = argv
    if first.endswith(".py"):
        return ["sys.executable", *map(_quoted, argv)]
    if _PYTHON.fullmatch(os.path.basename(first)):
        return ["sys.executable", *(_argument(part, directory) for part in rest)]
    return [_quoted(part) for part in argv]


def _argument(text: str, directory: Path) -> str:
    """An argument; a path of this project or environment so that it holds elsewhere."""
    path = Path(text)
    if path.is_absolute():
        if path.is_relative_to(directory):
            return _quoted(str(path.relative_to(directory)))
        if path.parent == Path(sys.executable).parent or path.parent.name in ("bin", "Scripts"):
            return f"str(Path(sys.executable).parent / {_quoted(path.name)})"
    return _quoted(text)


def _quoted(text: str) -> str:
    """A literal in double quotes where that is possible, as formatters write it."""
    literal = repr(text)
    return f'"{literal[1:-1]}"' if literal.startswith("'") and '"' not in literal else literal


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() and c != "\\" else "?" for c in text).replace('"', "'")
