"""The environment and command line with which ``run`` and ``replay`` start a program.

The program waits for all that is loaded here, so it is little: no pathlib, no shutil, no random.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agentrace.errors import ConfigError

BOOT: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "boot")
_ISOLATING: Final = {"E": "PYTHONPATH is ignored", "I": "the interpreter is isolated", "S": "site is not imported"}
_WITH_VALUE: Final = frozenset({"W", "X"})


def command_line(command: Sequence[str]) -> list[str]:
    """``command`` as it is started: a Python file by itself is run with this interpreter."""
    if command and command[0] == "--":
        command = command[1:]
    if not command:
        raise ConfigError("there is no command to run", do="write it at the end: agentrace run python agent.py")
    if command[0].endswith(".py") and not _starts_by_itself(command[0]):
        return [sys.executable, *command]
    return list(command)


def _starts_by_itself(name: str) -> bool:
    """Whether a shell would start the file: by its path if it is executable, else from PATH."""
    if os.sep in name:
        return os.access(name, os.X_OK)
    if os.path.exists(name):
        return False
    import shutil

    return shutil.which(name) is not None


def environment(environ: Mapping[str, str], settings: Mapping[str, str], hash_seed: str = "") -> dict[str, str]:
    """``environ`` with recording switched on: the boot directory, the settings, and a known hash seed."""
    env = {**environ, **settings}
    paths = environ.get("PYTHONPATH")
    env["PYTHONPATH"] = f"{BOOT}{os.pathsep}{paths}" if paths else BOOT
    env["AGENTRACE_BOOT"] = BOOT
    if env.get("AGENTRACE_PARENT", "").startswith("unsampled:"):  # as capture.runs writes it, which is not loaded here
        del env["AGENTRACE_PARENT"]  # somebody asks for this run, whatever became of the one around it
    if hash_seed:
        env["PYTHONHASHSEED"] = hash_seed
    elif not environ.get("PYTHONHASHSEED", "").isdigit():
        env["PYTHONHASHSEED"] = str(1 + int.from_bytes(os.urandom(8), "big") % (2**32 - 1))
    return env


def not_recorded_because(command: Sequence[str]) -> str:
    """Why the interpreter flags of ``command`` keep it from being recorded; empty if they do not."""
    if not os.path.basename(command[0]).startswith("python"):
        return ""
    return next((f"-{letter}: {_ISOLATING[letter]}" for letter in _flags(command[1:]) if letter in _ISOLATING), "")


def _flags(arguments: Sequence[str]) -> Iterator[str]:
    """The letters of the interpreter's own options, which end at the script, module or command."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            return
        if argument == "--check-hash-based-pycs":
            next(rest, None)
        for position, letter in enumerate("" if argument.startswith("--") else argument[1:], 2):
            if letter in ("c", "m"):
                return
            yield letter
            if letter in _WITH_VALUE:
                if position == len(argument):
                    next(rest, None)
                break
