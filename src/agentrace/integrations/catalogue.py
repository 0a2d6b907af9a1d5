"""Which libraries agentrace knows, which versions of them it was tested with, and what their calls mean.

A library's declaration is the file in ``libraries`` named after its top-level module. Nothing of the program
is looked at or changed here, so readers of a record use this too.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Final

from msgspec import Struct

from agentrace.integrations.declaration import Integration, Jobs, Wire

_LIBRARIES: Final = "agentrace.integrations.libraries"
_NAMES: Final = ("INTEGRATION", "WIRE", "JOBS")
"""What a library's file calls its declaration."""


class Known(Struct, frozen=True):
    """What is known of one library in this environment."""

    name: str
    requires: str
    installed: str
    """Installed version, empty if it is not."""
    supported: bool


def library_names() -> list[str]:
    """The top-level modules that are watched for."""
    directory = os.path.dirname(importlib.import_module(_LIBRARIES).__file__ or "")
    return sorted(name[:-3] for name in os.listdir(directory) if name.endswith(".py") and name != "__init__.py")


@cache
def declaration(name: str) -> Integration | Wire | Jobs | None:
    """The declaration of a library; ``None`` if there is none of that name."""
    if name not in library_names():
        return None
    module = importlib.import_module(f"{_LIBRARIES}.{name}")
    found = next((value for name in _NAMES if (value := getattr(module, name, None)) is not None), None)
    return found if isinstance(found, (Integration, Wire, Jobs)) else None


def integration(name: str) -> Integration | None:
    """The integration of that name; ``None`` for wires, jobs and unknown names."""
    found = declaration(name)
    return found if isinstance(found, Integration) else None


def known() -> list[Known]:
    """Every library there is a declaration for, and whether the installed version is supported."""
    return [known_of(found) for name in library_names() if (found := declaration(name)) is not None]


def known_of(found: Integration | Wire | Jobs, version: object = None) -> Known:
    """What is known of a declared library in this environment; a ``version`` that it tells itself is quicker."""
    installed = version if isinstance(version, str) else installed_version(found.requires)
    return Known(found.name, found.requires, installed, bool(installed) and satisfies(installed, found.requires))


def _distribution(requires: str) -> str:
    return requires.partition("<")[0].partition(">")[0].strip()


@cache
def installed_version(requires: str) -> str:
    """The version that is installed of what a requirement names; empty if none is."""
    from importlib import metadata

    try:
        return metadata.version(_distribution(requires))
    except metadata.PackageNotFoundError:
        return ""


def satisfies(version: str, requires: str) -> bool:
    """Whether ``version`` lies in the bounds of ``requires`` (``>=`` and ``<`` on release numbers)."""
    mine = _release(version)
    for bound in requires[len(_distribution(requires)) :].split(","):
        if bound.startswith(">=") and mine < _release(bound[2:]):
            return False
        if bound.startswith("<") and mine >= _release(bound[1:]):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: next((i for i, c in enumerate(part) if not c.isdigit()), len(part))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers + [0] * (3 - len(numbers)))
