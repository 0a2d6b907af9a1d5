"""For tests of agents: a provider that answers what it is told, and a recorder that keeps a run in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import Answer, Drop, Failure, Reply, ToolCall, Usage, Vectors
    from .provider import StubProvider
    from .recorder import MemoryRecorder, TickingClock, recorded
    from .wire import Request

__all__ = [
    "Answer",
    "Drop",
    "Failure",
    "MemoryRecorder",
    "Reply",
    "Request",
    "StubProvider",
    "TickingClock",
    "ToolCall",
    "Usage",
    "Vectors",
    "recorded",
]

_HOMES = {
    "Answer": "answers",
    "Drop": "answers",
    "Failure": "answers",
    "MemoryRecorder": "recorder",
    "Reply": "answers",
    "Request": "wire",
    "StubProvider": "provider",
    "TickingClock": "recorder",
    "ToolCall": "answers",
    "Usage": "answers",
    "Vectors": "answers",
    "recorded": "recorder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
