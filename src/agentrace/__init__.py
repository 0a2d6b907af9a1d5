"""agentrace: the flight recorder of LLM agents.

``agentrace.init()`` records every model, tool and retriever call of this process; ``agentrace run python agent.py``
does it without a change to the program. Names are loaded when first used.

PYTEST_DONT_REWRITE: where a program is recorded from its first line, this is imported before pytest is.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING, Any

from agentrace.version import VERSION as __version__

if TYPE_CHECKING:
    from agentrace.capture.codec import Codec
    from agentrace.capture.decorators import (
        agent,
        embedding,
        model,
        planner,
        retriever,
        safety,
        step,
        tool,
        trace,
        validator,
    )
    from agentrace.capture.notes import log, score
    from agentrace.capture.runs import carry, run
    from agentrace.capture.values import getenv, input, now, random, uuid4  # noqa: A004
    from agentrace.errors import AgentraceError, ReplayDivergence
    from agentrace.integrations.asgi import ASGIMiddleware
    from agentrace.integrations.wsgi import WSGIMiddleware
    from agentrace.reading.opening import open  # noqa: A004
    from agentrace.reading.recordings import Recordings
    from agentrace.runtime import Status, flush, init, shutdown, status
    from agentrace.runtime.block import replay
    from agentrace.runtime.notebook import load_ipython_extension, unload_ipython_extension

_HOMES = {
    "agentrace.capture.codec": ("Codec",),
    "agentrace.capture.decorators": (
        "agent",
        "embedding",
        "model",
        "planner",
        "retriever",
        "safety",
        "step",
        "tool",
        "trace",
        "validator",
    ),
    "agentrace.capture.notes": ("log", "score"),
    "agentrace.capture.runs": ("carry", "run"),
    "agentrace.capture.values": ("getenv", "input", "now", "random", "uuid4"),
    "agentrace.errors": ("AgentraceError", "ReplayDivergence"),
    "agentrace.integrations.asgi": ("ASGIMiddleware",),
    "agentrace.integrations.wsgi": ("WSGIMiddleware",),
    "agentrace.reading.opening": ("open",),
    "agentrace.reading.recordings": ("Recordings",),
    "agentrace.runtime.block": ("replay",),
    "agentrace.runtime.notebook": ("load_ipython_extension", "unload_ipython_extension"),
    "agentrace.runtime": ("Status", "flush", "init", "shutdown", "status"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ASGIMiddleware",
    "AgentraceError",
    "Codec",
    "Recordings",
    "ReplayDivergence",
    "Status",
    "WSGIMiddleware",
    "__version__",
    "agent",
    "carry",
    "embedding",
    "flush",
    "getenv",
    "init",
    "input",
    "load_ipython_extension",
    "log",
    "model",
    "now",
    "open",
    "planner",
    "random",
    "replay",
    "retriever",
    "run",
    "safety",
    "score",
    "shutdown",
    "status",
    "step",
    "tool",
    "trace",
    "unload_ipython_extension",
    "uuid4",
    "validator",
]


def _load(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'agentrace' has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(module), name)
    globals()[name] = found
    return found


if not TYPE_CHECKING:  # type checkers know the names from above, and are to refuse any other
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)


if "AGENTRACE_PARENT" in _os.environ and "AGENTRACE_BOOT" not in _os.environ:
    # A process that a recorded program started is recorded too, as a child of the run that started it.
    _load("init")()
