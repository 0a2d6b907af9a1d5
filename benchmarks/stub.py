"""A model provider on loopback in a process of its own, so that what it costs is not counted."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

from benchmarks.children import environment

CHUNKS: Final = 60
"""Of a streamed answer, with the first (the role) and the last (the reason to finish)."""
PIECES: Final = [f" token{number}" for number in range(CHUNKS - 2)]


@contextlib.contextmanager
def provider(latency: float = 0.0) -> Generator[str, None, None]:
    """The URL of a provider that gives the same answer to everything after ``latency`` seconds."""
    with tempfile.TemporaryDirectory(prefix="agentrace-bench-") as scratch:
        script = Path(scratch) / "script.json"
        rule = {"when": "", "reply": "".join(PIECES), "pieces": PIECES}
        script.write_text(json.dumps({"seed": 1, "latency": latency, "script": [rule]}))
        command = [sys.executable, "-m", "agentrace.testing.stub", "--script", str(script), "--print-url"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment(Path(scratch) / "store", {}), cwd=scratch
        )
        with process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().strip()
            finally:
                process.terminate()
