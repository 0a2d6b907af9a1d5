"""The journal: append-only storage that survives the death of its process, and what reads it back."""

from __future__ import annotations

from agentrace.journal.frames import Damage
from agentrace.journal.process import Journal, RunWriter
from agentrace.journal.reading import Record, RunEntry, Snapshot, list_runs, open_record
from agentrace.journal.recovery import recover
from agentrace.journal.sealing import Recovered
from agentrace.journal.verify import Problem, problems, verify

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
