"""The store: the runs that the journals of one directory hold, found and folded. It holds no truth of its own."""

from __future__ import annotations

from agentrace.integrations.declaration import Facts, ToolCall, ToolResult, Usage
from agentrace.journal import Damage, Problem, Record, RunEntry
from agentrace.store.bodies import ServerSentEvent, media_type, responses, server_sent_events
from agentrace.store.followed import Came, Incoming
from agentrace.store.opening import Store, problems
from agentrace.store.record import MEANT, RunRecord, Source, facts_version
from agentrace.store.references import Known, Reached, reached

__all__ = [
    "MEANT",
    "Came",
    "Damage",
    "Facts",
    "Incoming",
    "Known",
    "Problem",
    "Reached",
    "Record",
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
    "problems",
    "reached",
    "responses",
    "server_sent_events",
]
