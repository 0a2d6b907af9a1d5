"""``make soak``: the crash, kill and random tests with their long counts, of which the suite samples a few seconds."""

from __future__ import annotations

import os
import sys

import pytest

COUNTS = {"AGENTRACE_SOAK": "200", "AGENTRACE_PROGRAMS": "5000"}
"""How often things are killed and damaged, and how many random agents are replayed; the environment may say others."""
LONG = ["tests/chaos", "tests/property", "tests/e2e"]


def main(arguments: list[str]) -> int:
    """The exit code of pytest; ``arguments`` are handed to it, after the directories if they name none."""
    for name, count in COUNTS.items():
        os.environ.setdefault(name, count)
    named = any(not argument.startswith("-") for argument in arguments)
    return int(pytest.main([*arguments] if named else [*LONG, *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
