"""What can be asked: the views of the index and their columns, with what the ``.sql`` files say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from agentrace.index.database import in_memory
from agentrace.index.statements import statement, statements


class ViewColumn(Struct, frozen=True):
    """A column of a view."""

    name: str
    type: str
    comment: str
    """What it holds; of events that is told by the trace specification, and empty here."""


class View(Struct, frozen=True):
    """A view."""

    name: str
    comment: str
    columns: Sequence[ViewColumn]
    of_event: bool = False
    """Whether it is one of those that show a type of event each."""


_TABLES: Final = {
    "runs": "run_rows",
    "steps": "step_rows",
    "events": "event_rows",
    "messages": "message_rows",
    "texts": "text_rows",
    "costs": "step_rows",
    "daily": "sum_rows",
}
"""The table that a view shows."""
_SAME: Final = {"workflow_executions": "runs", "workflow_steps": "steps", "workflow_events": "events"}
_MADE: Final = {
    "run_id": "the run",
    "run_name": "what the run is called",
    "step_id": "the step, in dispatch order; 0 for the run itself",
    "started": "when it began (UTC)",
    "started_ts": "the same in Unix nanoseconds",
    "time": "when it happened (UTC)",
    "ts": "the same in Unix nanoseconds",
    "duration_s": "how long it took, in seconds",
    "duration_ns": "the same in nanoseconds",
    "first_chunk_s": "until the first piece of a streamed answer, in seconds",
    "input_tokens": "tokens in: fresh, read from a cache, written to one",
    "output_tokens": "tokens out: visible, and of reasoning",
    "run_key": "number of the run in this index; another one after `agentrace reindex`",
    "runs": "how many runs have such steps",
    "steps": "how many steps",
    "failed_steps": "how many of them failed",
    "retries": "requests that were sent again because the one before had failed",
    "models": "models that served its calls",
    "kinds": "kinds of its steps",
    "output_visible": "tokens out that the program got as text or calls",
    "reasoning": "tokens out of reasoning",
    "cache_read": "tokens in that were read from a cache",
    "cache_write": "tokens in that were written to a cache",
    "input_fresh": "tokens in that no cache had",
    "cost_nano_usd": "as noted in the record, 1e-9 US dollars",
    "model": "the model that served it",
    "kind": "kind of the step",
    "name": "name of the step",
    "integration": "what captured it; NULL for decorators",
    "seq": "position in the run, from 1",
    "first_seq": "the position of its first event",
    "last_seq": "the position of its last event",
    "execution_id": "the run",
    "total_cost": "the sum of its noted costs, 1e-9 US dollars",
    "spent_tokens": "tokens in and out",
    "approvals_pending": "approvals that were asked for and not decided",
    "current_step_id": "its last step",
    "triggered_by": "who or what triggered it",
    "approved_by": "who decided the last approval",
    "status": "how it is",
    "workflow": "the workflow that it is a run of",
    "agent": "the agent that ran it",
    "events": "its events as one JSON list",
    "text": "what was said",
    "position": "among the messages of its step's request, from 0",
    "exit_code": "of its process",
    "tenant": "the tenant that it ran for",
    "workspace": "its workspace",
    "project": "its project",
    "tags": "its tags",
    "replayable": "whether it can be replayed",
    "argv": "its command line",
    "cwd": "its working directory",
    "pid": "number of its process",
    "python": "version of the interpreter",
    "platform": "the operating system",
    "timezone": "its local time zone",
    "redaction": "version of the rules by which secrets were taken out",
    "durability": "process (survives the process), power (also the machine)",
    "git_commit": "the commit that was checked out",
    "git_dirty": "whether files differed from it",
    "finish_reason": "why the model stopped",
    "chunks": "pieces of its streams",
    "thread": "the thread that it ran in, as the run numbers them",
    "task": "the task that it ran in, as the run numbers them",
    "type": "what happened",
    "tool_call_id": "of a tool's result: the call that it answers",
    "operation": "what was asked",
    "parent_step_id": "the enclosing step",
}
"""What columns hold that the tables do not explain, or not where they are shown."""
_OF_VIEW: Final = {
    ("messages", "text"): "what was said",
    ("messages", "reasoning"): "what the model reasoned",
    ("messages", "name"): "who said it, where the message tells",
    ("messages", "step_id"): "the step whose request, or answer, was the first to hold it",
    ("executions", "name"): "what the run is called",
    ("runs", "steps"): "how many steps it has",
    ("texts", "text"): "the whole text; values as JSON",
    ("texts", "part"): "input, output, error, note",
    ("steps", "first_seq"): "the position of its first event",
    ("daily", "day"): "the day on which the steps began (UTC)",
}
"""What columns of one view hold."""


def described() -> list[View]:
    """The views, the most useful first."""
    connection = in_memory()
    try:
        rows: list[Any] = connection.execute(statement("columns", "describing")).fetchall()
    finally:
        connection.close()
    columns: dict[str, list[tuple[str, str]]] = {}
    for view, column, kind in rows:
        columns.setdefault(view, []).append((column, kind))
    told = dict(_view_comments())
    of_events = statements("event_views").keys()
    return [
        View(name, comment, [ViewColumn(*column, _column_comment(name, column[0])) for column in columns[name]], False)
        for name, comment in told.items()
    ] + [
        View(name, _event_comment(name), [ViewColumn(*column, "") for column in columns[name]], True)
        for name in of_events
    ]


def _view_comments() -> list[tuple[str, str]]:
    """Each view of ``views.sql`` with the comment above it; those of one comment share it."""
    found: list[tuple[str, str]] = []
    comment: list[str] = []
    for line in statement("views", "views").splitlines():
        if line.startswith("-- "):
            comment = [*comment, line[3:]]
        elif line.startswith("CREATE VIEW "):
            found.append((line.split()[2], " ".join(comment)))
        elif not line.strip():
            comment = []
    return found


def _event_comment(name: str) -> str:
    first = statement(name, "event_views").splitlines()[0]
    return first[3:] if first.startswith("-- ") else ""


def _column_comment(view: str, column: str) -> str:
    view = _SAME.get(view, view)
    table = _TABLES.get(view, "")
    own = _OF_VIEW.get((view, column)) or _comments().get(table, {}).get(column) or _MADE.get(column)
    return own or _comments()["run_rows"].get(column, "") or _comments()["archive_rows"].get(column, "")


def _comments() -> Mapping[str, Mapping[str, str]]:
    """What ``schema.sql`` says of each column of each table."""
    found: dict[str, dict[str, str]] = {}
    table: dict[str, str] = {}
    for line in statement("schema", "schema").splitlines():
        if made := re.match(r"CREATE TABLE (\w+)", line):
            table = found.setdefault(made[1], {})
        elif column := re.match(r" +(\w+) .*?-- (.+)", line):
            table[column[1]] = column[2]
    return found
