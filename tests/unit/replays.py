"""A program as a function, recorded and replayed in this process: what it saw, and what the tape says of it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from agentrace.errors import ReplayDivergence
from agentrace.query import RunRecord
from agentrace.replay.tape import Divergence
from tests.contract.recording import recording, replaying

Program = Callable[[], Any]
KNOWN = patch.dict(os.environ, {"PYTHONHASHSEED": "20", "AGENTRACE_DEBUG": "1"})
"""As with ``agentrace run``, so that only what is tested is a caveat; and our own faults are raised."""


@dataclass(frozen=True)
class Replayed:
    """How a replay went."""

    seen: Any
    """What the program returned; ``None`` where the divergence came through."""
    verdict: str
    caveats: list[str]
    divergence: Divergence | None
    record: RunRecord

    @property
    def code(self) -> str:
        """The divergence's; empty if there was none."""
        return "" if self.divergence is None else self.divergence.code

    @property
    def report(self) -> str:
        """What a person is told."""
        assert self.divergence is not None
        return self.divergence.report


def performed(program: Program) -> Any:
    """What a program returns, sync or async."""
    return asyncio.run(program()) if inspect.iscoroutinefunction(program) else program()


def record_of(program: Program) -> tuple[Any, RunRecord]:
    """What a program returned while it was recorded, and its record."""
    with KNOWN, recording() as made:
        seen = performed(program)
    return seen, made.record


def replayed(record: RunRecord, program: Program, **manner: Any) -> Replayed:
    """A program, which need not be the recorded one, answered from a record."""
    with KNOWN, replaying(record, **manner) as made:
        try:
            seen = performed(program)
        except ReplayDivergence:
            seen = None
    assert made.tape is not None
    verdict, caveats = made.tape.verdict()
    return Replayed(seen, verdict, caveats, made.tape.latched, made.record)


def exact(program: Program) -> Any:
    """What a program sees, the same when recorded and when replayed, where the verdict is ``exact``."""
    seen, record = record_of(program)
    again = replayed(record, program)
    assert (again.code, again.verdict, again.caveats) == ("", "exact", []), again.divergence
    assert again.seen == seen
    return seen
