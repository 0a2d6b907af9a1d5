"""Finding runs: those that a filter lets through, in order, with where each belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agentrace.index.filters import BADLY, Filter, Sort, choose
from agentrace.index.opening import Session
from agentrace.index.statements import statement


class Order(Struct, frozen=True):
    """In which order, and how many."""

    sort: Sort = "started"
    """The newest, longest, or largest first."""
    reverse: bool = False
    number: int = 20


class FoundRun(Struct, frozen=True):
    """A run that was found."""

    run_id: bytes
    parent: bytes = b""
    """The run that started its process or sent its job; empty for none."""
    parent_step: int = 0
    """The step of it that did; 0 for none."""
    is_job: bool = False
    processes: int = 0
    """Runs of other processes that it, or they, started."""
    jobs: int = 0
    """Runs of jobs that it, or they, sent."""
    failed: int = 0
    """Of these processes and jobs those that went wrong."""


class FoundRuns(Struct, frozen=True):
    """The first runs that were found."""

    runs: Sequence[FoundRun]
    matching: int
    """How many there are."""
    among: int
    """All runs that were looked at."""


def find(session: Session, wanted: Filter, order: Order, *, roots: bool = False) -> FoundRuns:
    """The runs that ``wanted`` lets through; with ``roots`` only those that no run of this store started."""
    choose(session, wanted)
    parameters: dict[str, Any] = {"sort": order.sort, "reverse": order.reverse, "number": order.number, "roots": roots}
    parameters |= {"badly": list(BADLY)}
    rows: list[Any] = session.connection.execute(statement("found", "choosing"), parameters).fetchall()
    runs = [
        FoundRun(run_id.bytes, parent.bytes if parent else b"", step or 0, *more)
        for run_id, parent, step, *more, _ in rows
    ]
    (among,) = one(session.connection.execute(statement("count", "choosing")).fetchone())
    return FoundRuns(runs, rows[0][-1] if rows else 0, among)


def chosen_ids(session: Session, wanted: Filter) -> list[bytes]:
    """The ids of all runs that ``wanted`` lets through, the oldest first."""
    choose(session, wanted)
    rows: list[Any] = session.connection.execute(statement("ids", "choosing")).fetchall()
    return [run_id.bytes for (run_id,) in rows]


def one(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """The row of a statement that always gives one."""
    if row is None:
        raise AssertionError("a count without FROM rows gives a row")
    return row
