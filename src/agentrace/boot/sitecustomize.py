"""Put first on PYTHONPATH by ``agentrace run``: begins to record, then gives way to the environment's own
``sitecustomize``, if there is one. It is no part of the package ``agentrace`` and imports nothing before it has left
``sys.path``."""

from __future__ import annotations

import importlib
import os
import sys


def _give_way() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]
    # An empty entry stands for the working directory, so it stays.
    rest = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path != here]
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


def _begin() -> None:
    name = "agentrace.runtime.replaying" if os.environ.get("AGENTRACE_REPLAY") else "agentrace.runtime.boot"
    try:
        boot = importlib.import_module(name)
    except ImportError as error:
        sys.stderr.write(
            f"agentrace: this run is not recorded: {sys.executable} cannot import agentrace ({error})\n"
            "  what to do: install agentrace in the environment of that interpreter\n"
        )
    else:
        boot.begin()


def _next() -> None:
    sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        # What site expects where there is none. The import system then forgets this very module.
        raise ImportError("there is no other sitecustomize", name="sitecustomize") from None


_give_way()
try:
    _begin()
finally:
    _next()
