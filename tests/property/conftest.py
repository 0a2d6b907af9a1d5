"""What property tests share: a program that hangs is told, with the stacks of its threads."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import pytest

SECONDS = 300
"""How long a test may take before it counts as hanging."""


@pytest.fixture
def never_hangs(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """End this process if the test does not end, since nothing else can free a thread that waits."""
    with capfd.disabled():
        stderr = os.dup(2)
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=stderr)
    yield
    faulthandler.cancel_dump_traceback_later()
    os.close(stderr)
