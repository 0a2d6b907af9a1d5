"""Query: the only way to read runs. Its results are frozen; nobody above it sees a file or a frame."""

from __future__ import annotations

from agentrace.query.conversations import Added, Conversations, Placed
from agentrace.query.following import Following
from agentrace.query.inferring import Inferred, inferred
from agentrace.query.keeping import VERSION as DERIVED_VERSION
from agentrace.query.live_run import Happening
from agentrace.query.looks import Look, keep_look, last_look, look_at
from agentrace.query.meanings import Meaning, StepMeaning, meaning, step_meaning
from agentrace.query.obstacles import Replayable, replayable
from agentrace.query.runs import Checked, Listed, Runs
from agentrace.query.sources import RunsSource
from agentrace.query.summaries import Head, Summary, health_of_unreadable, in_one_line, status_of, summary
from agentrace.query.sums import Totals, totals, usage_of
from agentrace.query.texts import InputTexts, NewText
from agentrace.query.trees import InferredRow, Note, ProcessRow, Row, StepRow, Tree
from agentrace.query.values import UNREADABLE, body_of, input_of, json_of, output_of
from agentrace.store import (
    MEANT,
    Damage,
    Facts,
    Media,
    Message,
    Record,
    RunEntry,
    RunRecord,
    ServedCall,
    ToolCall,
    Usage,
    facts_version,
)

__all__ = [
    "DERIVED_VERSION",
    "MEANT",
    "UNREADABLE",
    "Added",
    "Checked",
    "Conversations",
    "Damage",
    "Facts",
    "Following",
    "Happening",
    "Head",
    "Inferred",
    "InferredRow",
    "InputTexts",
    "Listed",
    "Look",
    "Meaning",
    "Media",
    "Message",
    "NewText",
    "Note",
    "Placed",
    "ProcessRow",
    "Record",
    "Replayable",
    "Row",
    "RunEntry",
    "RunRecord",
    "Runs",
    "RunsSource",
    "ServedCall",
    "StepMeaning",
    "StepRow",
    "Summary",
    "ToolCall",
    "Totals",
    "Tree",
    "Usage",
    "body_of",
    "facts_version",
    "health_of_unreadable",
    "in_one_line",
    "inferred",
    "input_of",
    "json_of",
    "keep_look",
    "last_look",
    "look_at",
    "meaning",
    "output_of",
    "replayable",
    "status_of",
    "step_meaning",
    "summary",
    "totals",
    "usage_of",
]
