"""Folding: of very many rows, those that matter are shown, and a line for each stretch says what was left out.

The rule looks at rows only, so the same record is folded in the same way wherever the output goes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from msgspec import Struct

from agentrace.cli.rows import (
    FAILED,
    OPEN,
    FoldedRow,
    Picked,
    Shown,
    kind_of,
    span,
    status_of,
    step_of,
)
from agentrace.cli.selecting import owners, with_surroundings
from agentrace.query import InferredRow, ProcessRow, StepRow

MOST: Final = 500
"""Rows that are shown without folding anything."""
_FEWEST: Final = 4
"""Rows that are worth a line that stands for them."""


class Plan(Struct, frozen=True):
    """How many of the rows beside one another are kept."""

    first: int
    last: int
    notable: int
    """Of those that failed, of those that have not ended, and of those with notes; also where that is inside."""


_PLANS: Final = (Plan(10, 5, 10), Plan(5, 3, 5), Plan(3, 2, 3), Plan(2, 1, 2), Plan(1, 1, 1))
"""The first by which few enough rows are left is taken; if none is, depth is limited as well."""


class Where(Struct, frozen=True):
    """What a line stands for: the steps of a run from one to another, what is inside of one, or the whole run."""

    run_id: bytes
    first: int = 0
    last: int = 0
    everything: bool = False
    """Whether it would be folded again if nothing were said."""


Command: TypeAlias = Callable[[Where], str]
"""What a person types to see it."""


def folded(
    rows: Sequence[Picked], run_id: bytes, command: Command, *, depth: int = 0, everything: bool = False
) -> list[Shown]:
    """The rows of a run, folded if they are more than ``MOST``, and below ``depth`` levels (0: never)."""
    if everything or len(rows) <= MOST:
        return list(_Folder(rows, run_id, command, None, depth).shown()) if depth else list(rows)
    for plan in _PLANS:
        found = _few(_Folder(rows, run_id, command, plan, depth).shown())
        if found is not None:
            return found
    deepest = 1 + max(one.row.depth for one in rows)
    low, high = 1, min(depth or deepest, deepest)
    while low < high:  # the most levels that are still few rows
        middle = (low + high + 1) // 2
        found = _few(_Folder(rows, run_id, command, _PLANS[-1], middle).shown())
        low, high = (low, middle - 1) if found is None else (middle, high)
    return list(_Folder(rows, run_id, command, _PLANS[-1], low).shown())


def page(rows: Sequence[Picked], run_id: bytes, last_step: int, command: Command) -> list[Shown]:
    """Of the rows of a range of steps those of the first so many steps, and a line for what comes after these.

    It is cut between steps and not between rows: where steps ran side by side, that is not the same.
    """
    plain = [one.row for one in rows]
    owner = owners(plain, run_id)
    ids = sorted(step for step, one in zip(owner, rows, strict=True) if not one.context)
    if len(ids) <= MOST:
        return list(rows)
    bound = max(ids[0], ids[MOST] - 1)
    early = [None if one.context or owner[at] > bound else one.found for at, one in enumerate(rows)]
    left = [one for at, one in enumerate(rows) if not one.context and owner[at] > bound]
    kept: list[Shown] = [*with_surroundings(plain, early)]
    if len(ids) - len(left) > MOST:  # a step that started a process with very many
        kept = folded(with_surroundings(plain, early), run_id, command)
    if not left:
        return kept
    where = Where(run_id, next(step for step in ids if step > bound), last_step)
    return [*kept, _standing_for(left, 0, command(where), last=True)]


def _few(rows: Iterable[Shown]) -> list[Shown] | None:
    found: list[Shown] = []
    for one in rows:
        if len(found) == MOST:
            return None
        found.append(one)
    return found


class _Folder:
    """One way to fold the rows of a tree."""

    def __init__(self, rows: Sequence[Picked], run_id: bytes, command: Command, plan: Plan | None, depth: int) -> None:
        self._rows = rows
        self._run_id = run_id
        self._command = command
        self._plan = plan
        self._depth = depth
        self._ends = _ends([one.row.depth for one in rows])
        self._notable = _notable(rows) if plan is not None else ()

    def shown(self) -> Iterator[Shown]:
        """What is left, in order."""
        waiting = list(reversed(self._kept(0, len(self._rows), None)))
        while waiting:
            entry = waiting.pop()
            if isinstance(entry, FoldedRow):
                yield entry
                continue
            one = self._rows[entry]
            yield one
            begin, end = entry + 1, self._ends[entry]
            if begin < end and self._depth and one.row.depth + 1 >= self._depth:
                yield self._inside(one, begin, end)
            elif begin < end:
                waiting.extend(reversed(self._kept(begin, end, one)))

    def _kept(self, begin: int, end: int, above: Picked | None) -> list[int | FoldedRow]:
        """Where the rows beside one another in ``rows[begin:end]`` are that are kept, with the others folded."""
        siblings, at = list[int](), begin
        while at < end:
            siblings.append(at)
            at = self._ends[at]
        plan = self._plan
        if plan is None or len(siblings) <= plan.first + plan.last:
            return list(siblings)
        kept = {*siblings[: plan.first], *siblings[-plan.last :], *self._notable_among(siblings, end, plan)}
        places = [place for place, sibling in enumerate(siblings) if sibling in kept]
        entries: list[int | FoldedRow] = [siblings[0]]
        for one, other in pairwise(places):
            between = siblings[one + 1 : other]
            if between and siblings[other] - between[0] >= _FEWEST:
                entries.append(self._stretch(between[0], siblings[other], above))
            else:
                entries.extend(between)
            entries.append(siblings[other])
        return entries

    def _notable_among(self, siblings: Sequence[int], end: int, plan: Plan) -> Iterator[int]:
        for which, positions in enumerate(self._notable):
            low, high = bisect_left(positions, siblings[0]), bisect_left(positions, end)
            found: set[int] = set()
            # Of what has not ended the last are of interest, of everything else the first.
            for at in range(high - 1, low - 1, -1) if which == _UNFINISHED else range(low, high):
                found.add(siblings[bisect_right(siblings, positions[at]) - 1])
                if len(found) == plan.notable:
                    break
            yield from found

    def _stretch(self, begin: int, end: int, above: Picked | None) -> FoldedRow:
        rows = self._rows[begin:end]
        run_id = self._run_id if above is None else above.row.run_id
        ids = {step_of(one.row) for one in (rows[0], rows[-1]) if one.row.run_id == run_id}
        ids.update([one.row.state.id for one in rows if isinstance(one.row, StepRow) and one.row.run_id == run_id])
        ids.discard(0)
        depth = rows[0].row.depth
        if ids and not any(isinstance(one.row, ProcessRow) and one.row.depth == depth for one in rows):
            where = Where(run_id, min(ids), max(ids))
        else:  # processes or jobs, which no number tells
            where = Where(run_id, 0 if above is None else step_of(above.row), everything=True)
        return _standing_for(rows, depth, self._command(where))

    def _inside(self, above: Picked, begin: int, end: int) -> FoldedRow:
        where = Where(above.row.run_id, step_of(above.row))
        return _standing_for(self._rows[begin:end], above.row.depth + 1, self._command(where), last=True)


_UNFINISHED: Final = 1


def _notable(rows: Sequence[Picked]) -> tuple[list[int], ...]:
    """The positions of what failed, of what has not ended, and of what has notes."""
    failed, unfinished, noted = list[int](), list[int](), list[int]()
    for at, one in enumerate(rows):
        row = one.row
        if one.context or isinstance(row, InferredRow):
            continue
        if row.status != "ok":
            if row.status in FAILED:
                failed.append(at)
            elif row.status in OPEN:
                unfinished.append(at)
        if row.notes:
            noted.append(at)
    return failed, unfinished, noted


def _ends(depths: Sequence[int]) -> list[int]:
    """Behind each row the position where what is inside of it ends."""
    ends, waiting = [len(depths)] * len(depths), list[int]()
    for at, depth in enumerate(depths):
        while waiting and depths[waiting[-1]] >= depth:
            ends[waiting.pop()] = at
        waiting.append(at)
    return ends


def _standing_for(rows: Iterable[Picked], depth: int, command: str, *, last: bool = False) -> FoldedRow:
    own = [one.row for one in rows if not one.context]
    kinds: dict[str, int] = {}
    status: dict[str, int] = {}
    noted = 0
    for row in own:  # once, since they may be very many
        if isinstance(row, StepRow):
            kind, how = row.state.dispatched.kind or "step", row.status
        else:
            kind, how = kind_of(row), status_of(row)
        kinds[kind] = kinds.get(kind, 0) + 1
        status[how] = status.get(how, 0) + 1
        if not isinstance(row, InferredRow) and row.notes:
            noted += 1
    taken = span(own)
    return FoldedRow(
        depth=depth,
        last=last,
        count=len(own),
        kinds=dict(sorted(kinds.items())),
        failed=sum(status.get(name, 0) for name in FAILED),
        cancelled=status.get("cancelled", 0),
        unfinished=sum(status.get(name, 0) for name in OPEN),
        noted=noted,
        start_ns=taken.start_ns,
        duration_ns=taken.duration_ns,
        command=command,
    )
