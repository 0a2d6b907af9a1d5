"""The index: all runs of a store as rows of DuckDB, for what looks at many of them. It holds no truth of its own."""

from __future__ import annotations

from agentrace.index.columns import copy_out, rewrite_without
from agentrace.index.database import Stale
from agentrace.index.erasing import intend
from agentrace.index.indexing import Indexed
from agentrace.index.opening import Session, Watching, drop, erase, opened, opened_for, rebuild

__all__ = [
    "Indexed",
    "Session",
    "Stale",
    "Watching",
    "copy_out",
    "drop",
    "erase",
    "intend",
    "opened",
    "opened_for",
    "rebuild",
    "rewrite_without",
]
