"""The trace file: runs with all that they need in one file, written, opened in place, and taken into a store."""

from __future__ import annotations

from agentrace.archive.emptying import Emptying
from agentrace.archive.importing import Imported, import_file
from agentrace.archive.layout import Manifest, Removed, RunMember
from agentrace.archive.naming import Named, only_run, runs_at, split_file
from agentrace.archive.reading import TraceFile
from agentrace.archive.redacting import redacting
from agentrace.archive.writing import Exported, export, with_children

__all__ = [
    "Emptying",
    "Exported",
    "Imported",
    "Manifest",
    "Named",
    "Removed",
    "RunMember",
    "TraceFile",
    "export",
    "import_file",
    "only_run",
    "redacting",
    "runs_at",
    "split_file",
    "with_children",
]
