"""``python -m benchmarks.offering``: what ``--tools auto`` costs the first request with 20 tools, and each other."""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from agentrace.capture import process
from agentrace.integrations.catalogue import integration
from agentrace.testing import recorded

MODULES: Final = 200
TOOLS: Final = 20
CALLS: Final = 10_000
_CLASS: Final = "class C{0}:\n    def one(self): pass\n    def other(self): pass\n"


def _program(directory: Path) -> None:
    """Import modules with 30 functions, five classes and two containers each; some have a tool."""
    sys.path.insert(0, str(directory))
    for number in range(MODULES):
        functions = "".join(f"def f{number}_{one}(given): return given\n" for one in range(30))
        classes = "".join(map(_CLASS.format, range(5)))
        tool = f"def tool_{number // 10}(given): return given\n" if number % 10 == 0 else ""
        (directory / f"offering_{number}.py").write_text(f"{functions}{classes}{tool}D = {{'a': 1}}\nL = [1, 2]\n")
        importlib.import_module(f"offering_{number}")


def main() -> None:
    """Measure and print."""
    declared = integration("openai")
    assert declared is not None
    tools = [{"type": "function", "function": {"name": f"tool_{n}", "parameters": {}}} for n in range(TOOLS)]
    asked: dict[str, Any] = {"model": "m", "messages": [], "tools": tools}
    with tempfile.TemporaryDirectory() as directory, recorded(tools=["auto"]):
        _program(Path(directory))
        recording = process.current
        assert recording is not None
        begin = time.perf_counter()
        recording.offer(declared.offered(asked))
        first = time.perf_counter()
        for _ in range(CALLS):
            recording.offer(declared.offered(asked))
        each = (time.perf_counter() - first) / CALLS
    print(f"first request: {(first - begin) * 1e3:.1f} ms over {MODULES} own modules; each other: {each * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
