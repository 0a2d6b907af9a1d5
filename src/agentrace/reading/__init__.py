"""Reading what was recorded, in Python: what ``agentrace.open()`` gives, as typed objects and data frames."""

from __future__ import annotations

from agentrace.query import Inferred as InferredCall
from agentrace.query import Media, ServedCall, ToolCall, Usage
from agentrace.reading.filters import Kind, Mode, Role, RunStatus, StepStatus
from agentrace.reading.listing import Listing, Table
from agentrace.reading.opening import open  # noqa: A004  (it is agentrace.open)
from agentrace.reading.parts import Error, Event, Exchange, Match, Message, Note, Score
from agentrace.reading.recordings import Recordings
from agentrace.reading.runs import Branch, Run
from agentrace.reading.steps import Step

__all__ = [
    "Branch",
    "Error",
    "Event",
    "Exchange",
    "InferredCall",
    "Kind",
    "Listing",
    "Match",
    "Media",
    "Message",
    "Mode",
    "Note",
    "Recordings",
    "Role",
    "Run",
    "RunStatus",
    "Score",
    "ServedCall",
    "Step",
    "StepStatus",
    "Table",
    "ToolCall",
    "Usage",
    "open",
]
