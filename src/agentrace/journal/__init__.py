"""The journal: append-only storage that survives the death of its process, and what reads it back.

Names are loaded when first used: a program that is recorded writes, and reads nothing back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentrace.journal.frames import Damage
    from agentrace.journal.process import Journal, RunWriter
    from agentrace.journal.reading import Record, RunEntry, Snapshot, list_runs, open_record
    from agentrace.journal.recovery import recover
    from agentrace.journal.sealing import Recovered
    from agentrace.journal.verification import Problem, problems, verify

__all__ = [
    "Damage",
    "Journal",
    "Problem",
    "Record",
    "Recovered",
    "RunEntry",
    "RunWriter",
    "Snapshot",
    "list_runs",
    "open_record",
    "problems",
    "recover",
    "verify",
]

_HOME_OF: Final = {
    "Damage": "frames",
    "Journal": "process",
    "Problem": "verification",
    "Record": "reading",
    "Recovered": "sealing",
    "RunEntry": "reading",
    "RunWriter": "process",
    "Snapshot": "reading",
    "list_runs": "reading",
    "open_record": "reading",
    "problems": "verification",
    "recover": "recovery",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
