"""Retention: runs that are moved to an archive, a directory of segments and Parquet files, and back."""

from __future__ import annotations

from agentrace.retention.archiving import Archived, archive, attach, default_archive
from agentrace.retention.removing import Removed, remove_archived, remove_runs
from agentrace.retention.restoring import Restored, restore

__all__ = [
    "Archived",
    "Removed",
    "Restored",
    "archive",
    "attach",
    "default_archive",
    "remove_archived",
    "remove_runs",
    "restore",
]
