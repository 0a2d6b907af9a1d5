"""Rows as they are shown: all of a tree, or some of them with what they are inside of, or many folded into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from agentrace.query import InferredRow, ProcessRow, Row, StepRow

FAILED: Final = frozenset({"failed", "aborted"})
OPEN: Final = frozenset({"running", "pending", "interrupted"})


class FoldedRow(Struct, frozen=True, gc=False):
    """A stretch of rows that one line stands for."""

    depth: int
    last: bool
    """Whether no sibling follows."""
    count: int
    kinds: dict[str, int]
    """How many rows of each kind."""
    failed: int
    cancelled: int
    unfinished: int
    """Rows that had not ended."""
    noted: int
    """Rows with notes or scores."""
    start_ns: int
    """When the first of them began, as in ``StepRow``."""
    duration_ns: int
    """Until the last of them ended."""
    command: str
    """What shows them."""


class Picked(Struct, frozen=True, gc=False):
    """A row that is shown."""

    row: Row
    context: bool = False
    """Whether it is there only because of what is inside of it."""
    found: Sequence[str] = ()
    """Why it was picked, where that is not plain to see; one line each."""

    @property
    def depth(self) -> int:
        """Of its row."""
        return self.row.depth

    @property
    def last(self) -> bool:
        """Of its row."""
        return self.row.last


Shown: TypeAlias = Picked | FoldedRow


class Span(Struct, frozen=True, gc=False):
    """A stretch of time on the line of a tree."""

    start_ns: int
    duration_ns: int


def whole(rows: Iterable[Row]) -> list[Picked]:
    """All of the rows."""
    return [Picked(row) for row in rows]


def span(rows: Iterable[Row]) -> Span:
    """From when the first of the rows began to when the last one ended; inferred calls have no times."""
    first, end = -1, 0
    for row in rows:
        if isinstance(row, InferredRow):
            continue
        start = row.start_ns
        if start < first or first < 0:
            first = start
        if start + row.duration_ns > end:
            end = start + row.duration_ns
    first = max(0, first)
    return Span(first, max(0, end - first))


def kind_of(row: Row) -> str:
    """``tool``, ``model`` and so on; ``process`` or ``job`` for what a run started; an inferred call is a ``tool``."""
    if isinstance(row, StepRow):
        return row.state.dispatched.kind or "step"
    return row.kind if isinstance(row, ProcessRow) else "tool"


def step_of(row: Row) -> int:
    """The step that a row is, or that asked for the inferred call that it is; 0 for a process."""
    if isinstance(row, StepRow):
        return row.state.id
    return 0 if isinstance(row, ProcessRow) else row.call.asked_by


def status_of(row: Row) -> str:
    """How it went; empty for what was only inferred."""
    return "" if isinstance(row, InferredRow) else row.status
