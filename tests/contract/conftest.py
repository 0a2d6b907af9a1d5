"""Faults of agentrace itself fail the tests of the contract."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic._base_client
import openai._base_client
import pytest

from agentrace import runtime
from agentrace.capture.guard import faults


@pytest.fixture(autouse=True)
def _no_faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our own faults are raised, and counted where raising is impossible, as in ``__del__``."""
    monkeypatch.setenv("AGENTRACE_DEBUG", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "20")  # as `agentrace run` does, so that only what is tested is a caveat
    for library in (openai, anthropic):
        monkeypatch.setattr(library._base_client, "INITIAL_RETRY_DELAY", 0.001)
    before = faults()
    yield
    runtime.shutdown()
    assert faults() == before
