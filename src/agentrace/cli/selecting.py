"""Selecting: the rows of a tree that a person asked for, each with the rows that it is inside of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from agentrace.cli.rows import FAILED, Picked, kind_of, status_of, step_of
from agentrace.query import InferredRow, ProcessRow, Row, StepRow

Test: TypeAlias = Callable[[Row], Sequence[str] | None]
"""Whether a row is asked for: ``None`` if not, else what there is to say about it, one line each."""


class Selection(Struct, frozen=True):
    """What was asked for."""

    rows: Sequence[Picked]
    """The rows that pass, and what they are inside of."""
    count: int
    """Those that pass."""


def selected(rows: Sequence[Row], tests: Sequence[Test]) -> Selection:
    """The rows that pass all of the tests."""
    picked = with_surroundings(rows, [_passed(row, tests) for row in rows])
    return Selection(picked, sum(not one.context for one in picked))


def with_surroundings(rows: Sequence[Row], found: Sequence[Sequence[str] | None]) -> list[Picked]:
    """The rows of which something was ``found``, and what they are inside of."""
    above: list[int] = []
    kept: dict[int, None] = {}
    for at, row in enumerate(rows):
        del above[row.depth :]
        above.append(at)
        if found[at] is not None:
            kept.update(dict.fromkeys(above))
    last = _last_of_their_siblings([(at, rows[at].depth) for at in kept])
    return [Picked(_with_last(rows[at], at in last), found[at] is None, found[at] or ()) for at in kept]


def owners(rows: Sequence[Row], run_id: bytes) -> list[int]:
    """For each row the step of a run that it is, or that started the process or job that it belongs to; 0 for none."""
    found: list[int] = []
    above: list[int] = []
    for row in rows:
        del above[row.depth :]
        own = row.run_id == run_id and not isinstance(row, ProcessRow)
        above += [0] * (row.depth - len(above))
        above.append(step_of(row) if own else above[-1] if above else 0)
        found.append(above[-1])
    return found


def in_range(rows: Sequence[Row], run_id: bytes, first: int, last: int) -> Test:
    """Rows that are steps ``first`` to ``last`` of a run, or processes and jobs that these started."""
    inside = {id(row) for row, owner in zip(rows, owners(rows, run_id), strict=True) if first <= owner <= last}
    return lambda row: () if id(row) in inside else None


def of_kinds(kinds: Sequence[str]) -> Test:
    """Rows of these kinds."""
    return lambda row: () if kind_of(row) in kinds else None


def failed(row: Row) -> Sequence[str] | None:
    """Rows of what failed."""
    return () if status_of(row) in FAILED else None


def new_since(seen: dict[bytes, int]) -> Test:
    """Rows of what began, ended or was noted after the last events that were seen, by run."""

    def told(row: Row) -> Sequence[str] | None:
        words = list(_news(row, seen.get(row.run_id, 0)))
        return (" and ".join(words),) if words else None

    return told


def _news(row: Row, seq: int) -> Iterator[str]:
    if isinstance(row, InferredRow):
        return
    begun = row.state.dispatched.seq > seq if isinstance(row, StepRow) else seq == 0
    ended = row.state.ended if isinstance(row, StepRow) else row.run.ended
    if begun:
        yield "begun"
    if ended is not None and ended.seq > seq:
        yield "ended"
    if any(note.seq > seq for note in row.notes):
        yield "noted"


def _passed(row: Row, tests: Sequence[Test]) -> Sequence[str] | None:
    lines: list[str] = []
    for test in tests:
        told = test(row)
        if told is None:
            return None
        lines += told
    return lines


def _last_of_their_siblings(rows: Sequence[tuple[int, int]]) -> set[int]:
    """Of (position, depth) in the order of a tree the positions that no sibling follows."""
    last: set[int] = set()
    followed: list[bool] = []
    for at, depth in reversed(rows):
        del followed[depth + 1 :]
        followed += [False] * (depth + 1 - len(followed))
        if not followed[depth]:
            last.add(at)
        followed[depth] = True
    return last


def _with_last(row: Row, last: bool) -> Row:
    return row if row.last == last else replace(row, last=last)
