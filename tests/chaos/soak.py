"""``make soak``: the crash, kill and random tests with their long counts, of which the suite samples a few seconds."""

from __future__ import annotations

import os
import sys

import pytest

LONG = ["tests/chaos", "tests/property", "tests/e2e"]


def main(arguments: list[str]) -> int:
    """The exit code of pytest; ``arguments`` are handed to it, after the directories if they name none."""
    os.environ.setdefault("AGENTRACE_SOAK", "200")
    named = any(not argument.startswith("-") for argument in arguments)
    return int(pytest.main([*arguments] if named else [*LONG, *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
