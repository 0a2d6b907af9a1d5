"""The store: the runs that the journals of one directory hold, found and folded. It holds no truth of its own."""

from __future__ import annotations

from agentrace.canonical.novelty import NewReader
from agentrace.integrations.declaration import Dialogue, Facts, Media, Message, ServedCall, ToolCall, ToolResult, Usage
from agentrace.journal import Damage, Problem, Record, RunEntry
from agentrace.store.bodies import ServerSentEvent, media_type, responses, server_sent_events
from agentrace.store.followed import Came, Incoming
from agentrace.store.opening import Store, problems
from agentrace.store.record import MALFORMED, MEANT, RunRecord, Source, dialogue_of, facts_version
from agentrace.store.references import Known, Reached, reached

__all__ = [
    "MALFORMED",
    "MEANT",
    "Came",
    "Damage",
    "Dialogue",
    "Facts",
    "Incoming",
    "Known",
    "Media",
    "Message",
    "NewReader",
    "Problem",
    "Reached",
    "Record",
    "RunEntry",
    "RunRecord",
    "ServedCall",
    "ServerSentEvent",
    "Source",
    "Store",
    "ToolCall",
    "ToolResult",
    "Usage",
    "dialogue_of",
    "facts_version",
    "media_type",
    "problems",
    "reached",
    "responses",
    "server_sent_events",
]
