"""The store: the runs that the journals of one directory hold, found and folded. It holds no truth of its own."""

from __future__ import annotations

from agentrace.integrations.declaration import Facts, ToolCall, ToolResult, Usage
from agentrace.journal import Damage, Problem, RunEntry
from agentrace.store.bodies import ServerSentEvent, media_type, responses, server_sent_events
from agentrace.store.opening import Store
from agentrace.store.record import MEANT, RunRecord, Source, facts_version

__all__ = [
    "MEANT",
    "Damage",
    "Facts",
    "Problem",
    "RunEntry",
    "RunRecord",
    "ServerSentEvent",
    "Source",
    "Store",
    "ToolCall",
    "ToolResult",
    "Usage",
    "facts_version",
    "media_type",
    "responses",
    "server_sent_events",
]
