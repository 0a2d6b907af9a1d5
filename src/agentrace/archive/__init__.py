"""The trace file: runs with all that they need in one file, written, opened in place, and taken into a store.

Names are loaded when first used: a program that is replayed from a file reads it, and writes none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentrace.archive.emptying import Emptying
    from agentrace.archive.importing import Imported, import_file
    from agentrace.archive.layout import Manifest, Removed, RunMember
    from agentrace.archive.naming import Named, only_run, runs_at, split_file
    from agentrace.archive.reading import TraceFile
    from agentrace.archive.redaction import redacting
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

_HOME_OF: Final = {
    "Emptying": "emptying",
    "Exported": "writing",
    "Imported": "importing",
    "Manifest": "layout",
    "Named": "naming",
    "Removed": "layout",
    "RunMember": "layout",
    "TraceFile": "reading",
    "export": "writing",
    "import_file": "importing",
    "only_run": "naming",
    "redacting": "redaction",
    "runs_at": "naming",
    "split_file": "naming",
    "with_children": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
