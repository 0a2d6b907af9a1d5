"""What a run is told to have run in: command line, platform, code, libraries. Only what costs nothing is taken at the
start; the rest is looked at when the run ends, and nothing is ever executed to learn it."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType

from blake3 import blake3

OWN = str(Path(__file__).resolve().parent.parent) + os.sep
MOST_INPUT = 64 << 20
"""Bytes of standard input that are hashed."""
MOST_MODULES = 500
"""Modules of the program whose source is hashed."""


class Looked:
    """What takes time to know, looked at once for a process in which many runs end: a server's, a worker's.

    The source of a module is read when the first run ends after it was imported, and belongs to what was imported.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._modules: dict[str, str] = {}

    @cached_property
    def commit(self) -> str:
        """:func:`git_commit` of the working directory."""
        return git_commit(working_directory())

    @cached_property
    def stdin(self) -> str:
        """:func:`stdin_digest`."""
        return stdin_digest()

    def modules(self, loaded: Mapping[str, ModuleType]) -> dict[str, str]:
        """:func:`own_modules` of all that are loaded by now."""
        new = [(name, module) for name, module in list(loaded.items()) if name not in self._seen]
        self._seen.update(name for name, _ in new)
        found = own_modules((module for _, module in new), MOST_MODULES - len(self._modules))
        self._modules.update(found)
        return dict(self._modules)


def argv() -> list[str]:
    """The command line as the program sees it, before it is redacted."""
    return [str(part) for part in getattr(sys, "orig_argv", sys.argv)]


def program_name() -> str:
    """What to call a run that nobody named: the script or module that was started."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name and spec.name != "__main__":
        return str(spec.name.removesuffix(".__main__"))
    first = sys.argv[0] if sys.argv else ""
    if first == "-m":
        return _module_started().removesuffix(".__main__") or "python"
    return Path(first).name.removesuffix(".py") if first not in ("", "-", "-c") else "python"


def is_own_command() -> bool:
    """Whether this process is the command ``agentrace``, which is no part of what is recorded."""
    first = sys.argv[0] if sys.argv else ""
    return _module_started() == "agentrace" if first == "-m" else Path(first).name == "agentrace"


def _module_started() -> str:
    """The module of ``python -m``, before it is imported; empty if there is none."""
    arguments: list[str] = list(getattr(sys, "orig_argv", ()))
    for position, argument in enumerate(arguments[1:], 1):
        flags, found, rest = argument.partition("m")
        if found and flags.startswith("-") and not flags.startswith(("--", "-W", "-X")):
            return rest or "".join(arguments[position + 1 : position + 2])
    return ""


def python() -> str:
    """Implementation and version, e.g. ``CPython 3.11.7``."""
    version = ".".join(map(str, sys.version_info[:3]))
    name = "CPython" if sys.implementation.name == "cpython" else sys.implementation.name
    return f"{name} {version}"


def platform() -> str:
    """Operating system, release and machine."""
    if not hasattr(os, "uname"):
        return sys.platform
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"


def hash_seed() -> str:
    """``PYTHONHASHSEED`` if it determines the hashes of this process."""
    seed = os.environ.get("PYTHONHASHSEED", "")
    return seed if seed.isdigit() else ""


def timezone() -> str:
    """``TZ`` or the name of the local zone."""
    return os.environ.get("TZ") or time.tzname[0]


def working_directory() -> str:
    """The current directory, empty if it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def stdin_digest() -> str:
    """blake3 (hex) of standard input if it is a regular file of moderate size; empty otherwise. Reads no byte of it
    away from the program."""
    try:
        size = os.fstat(0)
        if not stat.S_ISREG(size.st_mode) or size.st_size > MOST_INPUT:
            return ""
        return blake3(os.pread(0, size.st_size, 0)).hexdigest()
    except OSError:
        return ""


def git_commit(start: str) -> str:
    """The commit that is checked out at or above ``start``, read from the repository's files; empty if unknown."""
    for directory in (Path(start), *Path(start).parents):
        head = directory / ".git" / "HEAD"
        try:
            text = head.read_text().strip()
        except (OSError, ValueError):
            continue
        return _commit(head.parent, text)
    return ""


def _commit(git: Path, head: str) -> str:
    if not head.startswith("ref: "):
        return head
    name = head[5:]
    try:
        return (git / name).read_text().strip()
    except (OSError, ValueError):
        pass
    try:
        packed = (git / "packed-refs").read_text()
    except (OSError, ValueError):
        return ""
    return next((line.split(" ")[0] for line in packed.splitlines() if line.endswith(f" {name}")), "")


def own_modules(modules: Iterable[ModuleType], most: int = MOST_MODULES) -> dict[str, str]:
    """blake3 (hex) of the source of each loaded module that is neither the standard library's nor installed."""
    libraries = tuple({os.path.join(p, "lib") + os.sep for p in (sys.prefix, sys.base_prefix)})
    found: dict[str, str] = {}
    for module in modules if most > 0 else ():
        source = getattr(module, "__file__", None)
        name = getattr(module, "__name__", "")
        if source is None and name == "__main__" and sys.argv:
            # The interpreter takes a script's away when it has run.
            source = os.path.join(working_directory(), sys.argv[0])
        if not source or not source.endswith(".py") or name.partition(".")[0] == "agentrace":
            continue
        if source.startswith((*libraries, OWN)) or f"{os.sep}site-packages{os.sep}" in source:
            continue
        try:
            found[name] = blake3(Path(source).read_bytes()).hexdigest()
        except OSError:
            continue
        if len(found) == most:
            break
    return found
