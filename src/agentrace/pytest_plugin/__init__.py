"""The pytest plugin ``agentrace``: a test's calls are recorded into a trace file, and answered from it afterwards.

Loaded by every pytest that has agentrace beside it, so it does little: the hooks are in ``hooks``, and what records and
replays is loaded by name when a test uses it.
"""

from __future__ import annotations

import importlib
from typing import Final

import pytest

MODES: Final = ("replay", "record", "refresh", "off")
OLDEST: Final = 8
"""The first major version of pytest in which a hook may fail a test."""

_MARKER = (
    "agentrace(path=None, *, order='recorded', speed=0): answer the test's model, tool and retriever calls from a "
    "trace file (by default traces/MODULE/TEST.agentrace beside the test's file), without a connection; "
    "--agentrace=record writes it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--agentrace`` and its setting."""
    told = (
        "replay: answer marked tests from their trace files (the default); record: write the files that are missing; "
        "refresh: write those of the chosen tests anew; off: run live and touch no file"
    )
    group = parser.getgroup("agentrace", "recorded runs of agents")
    group.addoption("--agentrace", dest="agentrace", choices=MODES, default=None, help=told)
    parser.addini("agentrace", f"what --agentrace is unless it is given: {', '.join(MODES)}", default="replay")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and a setting that can be used."""
    config.addinivalue_line("markers", _MARKER)
    if config.getini("agentrace") not in MODES:
        raise pytest.UsageError(f"agentrace = {config.getini('agentrace')}: it is one of {', '.join(MODES)}")
    if _is_supported():
        config.pluginmanager.register(importlib.import_module("agentrace.pytest_plugin.hooks"), "agentrace-hooks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where pytest is too old, marked tests must not go out unnoticed."""
    if not _is_supported() and any(item.get_closest_marker("agentrace") for item in items):
        raise pytest.UsageError(f"@pytest.mark.agentrace needs pytest {OLDEST} or newer; this is {pytest.__version__}")


def _is_supported() -> bool:
    return int(pytest.__version__.partition(".")[0]) >= OLDEST
