"""Runs the code fences of a page as its reader would: python as a program, console as typed commands.

What follows the language on a fence's first line says how it is run:

- nothing: in an empty directory and a fresh process, with a store of its own
- ``continues``: after the fences before it. Python goes on as the same program; a console, and a file, in the
  same directory
- ``file=NAME``: the text, in any language, is laid down as a file there, for fences that continue
- ``no-run: REASON``: not run, for the reason given

A console fence has commands on lines that begin with ``$ ``, continued by lines that begin with ``> ``. A
command must end with status 0. If lines follow, they are its output, stderr included; ``...`` in them stands
for anything: within a line, or as a line of its own for any number of lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUN = {"python", "console"}
SHOWN = {"", "diff", "ini", "json", "make", "mermaid", "sql", "text", "toml", "yaml"}
SECONDS = 120

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)``` *$", re.DOTALL | re.MULTILINE)


_FILE = re.compile(r"file=\.?\w[\w.-]*(/\.?\w[\w.-]*)*")


class BrokenFence(AssertionError):
    """A fence that does not do what the page says, or that says what the runner does not know."""


@dataclass(frozen=True, slots=True)
class Fence:
    """One fence: ``line`` is the page's line of its first line of code."""

    page: str
    line: int
    language: str
    code: str
    continues: bool
    file: str | None
    runs: bool


@dataclass(frozen=True, slots=True)
class Example:
    """A fence with those that continue it: one directory, one store."""

    fences: tuple[Fence, ...]

    @property
    def name(self) -> str:
        return f"{self.fences[0].page}:{self.fences[0].line}"

    @property
    def runs(self) -> bool:
        return any(fence.runs for fence in self.fences)


def fences(page: str, text: str) -> Iterator[Fence]:
    """The fences of a page's text; raises BrokenFence for a first line that is not understood."""
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("body")) + 1
        code = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        yield _fence(page, line, match["info"].strip(), code)


def _fence(page: str, line: int, info: str, code: str) -> Fence:
    language, _, rest = info.partition(" ")
    skipped = re.fullmatch(r"no-run: \w.+", rest)
    words = [] if skipped else rest.split()
    files = [word.removeprefix("file=") for word in words if _FILE.fullmatch(word)]
    unknown = [word for word in words if word != "continues" and not word.startswith("file=")]
    if language not in RUN | SHOWN or unknown or len(files) != sum(w.startswith("file=") for w in words):
        raise BrokenFence(f"{page}:{line}: not understood: ```{info}")
    runs = language in RUN and not skipped and not files
    return Fence(page, line, language, code, "continues" in words, files[0] if files else None, runs)


def examples(page: str, text: str) -> list[Example]:
    """The fences of a page in groups that run together; raises BrokenFence where a group makes no sense."""
    groups: list[list[Fence]] = []
    for fence in fences(page, text):
        if fence.continues and not groups:
            raise BrokenFence(f"{page}:{fence.line}: continues nothing")
        if fence.continues:
            groups[-1].append(fence)
        elif fence.runs or fence.file:
            groups.append([fence])
    found = [Example(tuple(group)) for group in groups]
    for example in found:
        if not example.runs:
            raise BrokenFence(f"{example.name}: a file that no fence uses")
    return found


def run(example: Example, directory: Path) -> None:
    """Run an example in an empty directory; raises BrokenFence, with the output, if it does otherwise."""
    work = directory / "work"
    work.mkdir()
    environ = _environment(directory)
    program: list[Fence] = []
    for position, fence in enumerate(example.fences):
        if fence.file:
            file = work / fence.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fence.code)
        elif fence.language == "python" and fence.runs:
            program.append(fence)
            if not any(f.language == "python" and f.runs for f in example.fences[position + 1 :]):
                _run_python(program, work, environ)
        elif fence.runs:
            _run_console(fence, work, environ)


def _environment(directory: Path) -> dict[str, str]:
    """A reader's terminal: this project's commands on PATH, none of the caller's settings."""
    home = directory / "home"
    home.mkdir()
    passed = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
    return passed | {
        "AGENTRACE_HOME": str(directory / "store"),
        "COLUMNS": "100",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "TZ": "UTC",
    }


def _run_python(program: list[Fence], work: Path, environ: dict[str, str]) -> None:
    lines: list[str] = []
    for fence in program:
        # Each fence keeps the page's line numbers, so that a traceback points into the page.
        lines += [""] * (fence.line - 1 - len(lines)) + fence.code.splitlines()
    script = work.parent / Path(program[-1].page).name
    script.write_text("\n".join(lines) + "\n")
    # The program stands beside the directory, which stays empty, and imports as if it stood in it.
    path = os.pathsep.join(filter(None, [str(work), environ.get("PYTHONPATH")]))
    status, output = _execute([sys.executable, str(script)], work, environ | {"PYTHONPATH": path})
    if status != 0:
        raise BrokenFence(f"{program[-1].page}:{program[-1].line}: python ended with status {status}\n{output}")


def _run_console(fence: Fence, work: Path, environ: dict[str, str]) -> None:
    for line, command, expected in commands(fence):
        status, output = _execute(["bash", "-c", command], work, environ)
        where = f"{fence.page}:{line}: {command}"
        if status != 0:
            raise BrokenFence(f"{where}\nended with status {status}\n{output}")
        if expected and not matches(expected, output):
            raise BrokenFence(f"{where}\n--- the page says\n{expected}\n--- it printed\n{output}")


def _execute(command: list[str], work: Path, environ: dict[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            cwd=work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return -1, f"still running after {SECONDS} s\n{late.output or ''}"
    return done.returncode, done.stdout


def commands(fence: Fence) -> Iterator[tuple[int, str, str]]:
    """The commands of a console fence: the line in the page, the command, the output that the page shows."""
    lines = fence.code.splitlines()
    if not lines or not lines[0].startswith("$ "):
        raise BrokenFence(f"{fence.page}:{fence.line}: a console fence begins with a line that begins with `$ `")
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        command, output = [lines[start][2:]], start + 1
        while output < end and lines[output].startswith("> "):
            command.append(lines[output][2:])
            output += 1
        yield fence.line + start, "\n".join(command), "\n".join(lines[output:end]).strip()


def matches(expected: str, output: str) -> bool:
    """Whether the output is what the page shows, apart from space at the ends of lines."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    return re.fullmatch(pattern, output.strip("\n") + "\n") is not None
