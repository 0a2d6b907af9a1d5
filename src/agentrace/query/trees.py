"""A run as a tree: its steps in program order, what was inferred, and the processes that it started.

The tree is a list of rows in the order in which they are drawn, each with its depth, so that a run may be
nested as deep as it likes.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from agentrace.events import RUN_STEP, Logged, Scored
from agentrace.fold import ExchangeState, RunState, StepState, retries
from agentrace.query.inferring import Inferred
from agentrace.query.meanings import Meaning, StepMeaning
from agentrace.query.obstacles import Replayable
from agentrace.query.summaries import Status, health_of, is_damaged, status_of
from agentrace.query.sums import Totals
from agentrace.store import RunRecord, Usage

Note: TypeAlias = Logged | Scored


class StepRow(Struct, frozen=True, gc=False):
    """A recorded step."""

    depth: int
    last: bool
    """Whether no sibling follows."""
    run_id: bytes
    state: StepState
    status: str
    """``ok``, ``failed``, ``cancelled``, ``running``, or ``interrupted`` where the process died before the end."""
    start_ns: int
    """Wall-clock time from the start of the tree's first run; its bar begins here."""
    duration_ns: int
    """Until its end, or as far as the record goes."""
    usage: Usage | None = None
    model: str = ""
    """The model that served the call; if none did, the one that was asked for."""
    finish_reason: str = ""
    exchanges: Sequence[ExchangeState] = ()
    streamed: bool = False
    """Whether its output came piece by piece."""
    parallel: bool = False
    """Whether another step inside the same one was open at the same time."""
    notes: Sequence[Note] = ()
    """What was logged and scored in it, in order."""

    @property
    def retries(self) -> int:
        """Requests that were sent again because the one before had failed."""
        return retries(self.exchanges) if len(self.exchanges) > 1 else 0


class InferredRow(Struct, frozen=True, gc=False):
    """A tool call that was only read in the messages; it stands below the model step that asked for it."""

    depth: int
    last: bool
    run_id: bytes
    call: Inferred


class ProcessRow(Struct, frozen=True, gc=False):
    """The run of a process that a step started, or of a job that it sent; its own steps are below it."""

    depth: int
    last: bool
    run_id: bytes
    run: RunState
    status: Status
    start_ns: int
    duration_ns: int
    notes: Sequence[Note] = ()
    """What was logged and scored in the run outside its steps."""
    health: Sequence[str] = ()
    """What is the matter with the record of the run."""
    damage: Sequence[str] = ()
    """What of it is not as it was written, or not there, as far as reading has met it; each as one sentence."""

    @property
    def kind(self) -> Literal["process", "job"]:
        """What it is to the run above it."""
        return _kind(self.run)


Row: TypeAlias = StepRow | InferredRow | ProcessRow


class Tree(Struct, frozen=True):
    """A run with everything below it."""

    run: RunState
    status: Status
    rows: Sequence[Row]
    totals: Totals
    """Over all its processes and jobs."""
    inferred: int
    processes: int
    """Runs of other processes in the tree."""
    jobs: int
    """Runs of jobs in the tree."""
    duration_ns: int
    """Until the last thing in the tree ended."""
    replayable: Replayable
    """Of the run itself, with what its processes lack."""
    cut_short: bool = False
    """Whether more was written of the run than can be read."""
    notes: Sequence[Note] = ()
    """What was logged and scored in the run outside its steps."""
    health: Sequence[str] = ()
    """What is the matter with the record of the run."""
    damage: Sequence[str] = ()
    """What of it is not as it was written, or not there, as far as reading has met it; each as one sentence."""


_Item: TypeAlias = StepState | Inferred | RunRecord


def _spot(file: str, what: str, length: int) -> str:
    told = what if file in what else f"{file}: {what}"
    return f"{told} ({length:,} bytes)" if length else told


def _damage(record: RunRecord) -> list[str]:
    if not is_damaged(record):
        return []
    spots = [_spot(found.file, found.what, found.length) for found in record.damage]
    missing = [f"event {a} is missing" if a == b else f"events {a:,} to {b:,} are missing" for a, b in record.holes]
    return [*spots, *missing]


def tree(
    run_id: bytes,
    record_of: Callable[[bytes], RunRecord],
    meaning_of: Callable[[bytes], Meaning],
    started_by: Callable[[bytes], Sequence[bytes]],
) -> Tree:
    """The tree of a run. Raises ``RunNotFound`` and ``CorruptRecord``."""
    root = record_of(run_id)
    builder = _Builder(root, record_of, meaning_of, started_by)
    rows = list(builder.rows())
    run = root.trace.run
    return Tree(
        run=run,
        status=status_of(run, root.interrupted),
        rows=rows,
        totals=builder.totals,
        inferred=builder.inferred,
        processes=len(builder.seen) - 1 - builder.jobs,
        jobs=builder.jobs,
        duration_ns=max(run.duration_ns, builder.end_ns),
        replayable=builder.replayable(),
        cut_short=root.cut_short,
        notes=root.notes(RUN_STEP),
        health=health_of(run, root),
        damage=_damage(root),
    )


class _Builder:
    """Walks one tree, collecting what its runs add up to."""

    def __init__(
        self,
        root: RunRecord,
        record_of: Callable[[bytes], RunRecord],
        meaning_of: Callable[[bytes], Meaning],
        started_by: Callable[[bytes], Sequence[bytes]],
    ) -> None:
        self.root = root
        self.start_ts = root.trace.run.started_ts or root.trace.run.last_ts
        self.seen = {root.run_id}
        self.totals = Totals()
        self.end_ns = 0
        self.inferred = 0
        self.jobs = 0
        self._meanings: dict[bytes, Meaning] = {}
        self._parallel: set[tuple[bytes, int]] = set()
        self._record_of = record_of
        self._meaning_of = meaning_of
        self._started_by = started_by

    def rows(self) -> Iterator[Row]:
        """All rows, each after the one that it is below."""
        waiting: list[_Waiting] = []
        _push(waiting, self.root, self._children(self.root), 0, 0)
        while waiting:
            item, depth, last, record, children = waiting.pop()
            row: StepRow | ProcessRow
            if type(item) is StepState:
                row = self._step_row(record, item, depth, last)
                if item.id in children:
                    _push(waiting, record, children, item.id, depth + 1)
            elif isinstance(item, RunRecord):
                row = self._process_row(item, depth, last)
                _push(waiting, item, self._children(item), 0, depth + 1)
            else:
                assert isinstance(item, Inferred)  # the third of three
                yield InferredRow(depth, last, record.run_id, item)
                continue
            end = row.start_ns + row.duration_ns
            if end > self.end_ns:
                self.end_ns = end
            yield row

    def replayable(self) -> Replayable:
        """The verdict on the first run, with what the others lack in a line that names them."""
        first, *others = self._meanings.values()
        lacking = [
            f"{_kind(self._record_of(other.run_id).trace.run)} {other.run_id.hex()[:12]}: {reason}"
            for other in others
            for reason in other.replayable.because
        ]
        own = first.replayable.caveats
        also = [
            f"process {other.run_id.hex()[:12]}: {caveat}"
            for other in others
            for caveat in other.replayable.caveats
            if caveat not in own
        ]
        return replace(first.replayable, because=[*first.replayable.because, *lacking], caveats=[*own, *also])

    def _children(self, record: RunRecord) -> _Children:
        steps = record.trace.steps
        meant = self._meanings[record.run_id] = self._meaning_of(record.run_id)
        self.totals += meant.totals
        self.inferred += len(meant.calls)
        below: dict[int, list[StepState]] = defaultdict(list)
        for step in steps.values():
            outer = step.dispatched.parent
            below[_parent(step, steps) if outer else 0].append(step)
        for siblings in below.values():
            self._parallel.update([(record.run_id, step.id) for step in _overlapping(siblings)])
        ordered: dict[int, list[_Item]] = {step_id: [*siblings] for step_id, siblings in below.items()}
        for step_id, others in self._others(record, meant.calls).items():
            placed = [((step.id, 0), step) for step in below.get(step_id, ())]
            ordered[step_id] = [item for _, item in sorted([*placed, *others], key=_position)]
        return ordered

    def _others(self, record: RunRecord, calls: Sequence[Inferred]) -> dict[int, list[_Placed]]:
        """What stands below each step that is no step, and between which steps."""
        steps = record.trace.steps
        others: dict[int, list[_Placed]] = defaultdict(list)
        for call in (call for call in calls if call.asked_by in steps):
            others[_parent(steps[call.asked_by], steps)].append(((call.asked_by, 1), call))
        started = list(self._processes(record))
        ids, times = (list(steps), [step.started_ts for step in steps.values()]) if started else ([], [])
        for child in started:
            run = child.trace.run
            before = bisect_right(times, run.started_ts)
            place = run.parent.step_id if run.parent.step_id in steps else 0
            others[place].append(((ids[before - 1] if before else 0, 2), child))
        return others

    def _processes(self, record: RunRecord) -> Iterator[RunRecord]:
        for run_id in self._started_by(record.run_id):
            if run_id not in self.seen:  # a record may name any run as its parent, also in a circle
                self.seen.add(run_id)
                record_below = self._record_of(run_id)
                self.jobs += record_below.trace.run.parent.is_of_a_job
                yield record_below

    def _process_row(self, record: RunRecord, depth: int, last: bool) -> ProcessRow:
        run = record.trace.run
        start = max(0, run.started_ts - self.start_ts)
        status = status_of(run, record.interrupted)
        notes = record.notes(RUN_STEP)
        return ProcessRow(depth, last, record.run_id, run, status, start, run.duration_ns, notes)

    def _step_row(self, record: RunRecord, step: StepState, depth: int, last: bool) -> StepRow:
        run, run_id, sent, ended = record.trace.run, record.run_id, step.dispatched, step.ended
        start = sent.ts - self.start_ts
        if ended is None:
            status = "interrupted" if run.ended is not None or record.interrupted else "running"
            duration = max(0, run.last_ts - sent.ts)
        else:
            status, duration = step.status, ended.duration_ns
        streamed = ended is not None and ended.outcome in _STREAMED
        meant = self._meanings[run_id].steps.get(step.id, _NOTHING)
        exchanges = record.trace.exchanges.get(step.id)
        return StepRow(
            depth,
            last,
            run_id,
            step,
            status,
            start if start > 0 else 0,
            duration,
            meant.usage,
            meant.model,
            meant.finish_reason,
            () if exchanges is None else tuple(exchanges.values()),
            streamed or sent.operation.endswith(":stream"),
            (run_id, step.id) in self._parallel,
            record.notes(step.id) if step.notes else (),
        )


def _position(placed: _Placed) -> tuple[int, int]:
    return placed[0]


_STREAMED: Final = frozenset({"exhausted", "closed_by_consumer"})
_NOTHING: Final = StepMeaning()

_Placed: TypeAlias = tuple[tuple[int, int], _Item]
"""Something with the step that it comes after, and what of the things there it is."""

_Children: TypeAlias = Mapping[int, Sequence[_Item]]
"""What stands below each step of a run, in order; below 0 what stands below the run itself."""

_Waiting: TypeAlias = tuple[_Item, int, bool, RunRecord, _Children]
"""Something that is to be drawn: its depth, whether it is the last of its siblings, its run, that run's children."""


def _push(waiting: list[_Waiting], record: RunRecord, children: _Children, below: int, depth: int) -> None:
    """Put what stands below a step in line, the first of it foremost."""
    items = children.get(below)
    if items:
        last = len(items) - 1
        waiting.extend((items[at], depth, at == last, record, children) for at in range(last, -1, -1))


def _kind(run: RunState) -> Literal["process", "job"]:
    return "job" if run.parent.is_of_a_job else "process"


def _overlapping(siblings: Sequence[StepState]) -> Iterator[StepState]:
    """The steps that were open while another one was, told by the order of their events and not by clocks."""
    before: StepState | None = None
    beside, open_until = False, 0
    for step in siblings:
        begin = step.dispatched.seq
        if not begin:
            continue
        overlaps = begin < open_until
        if before is not None and (beside or (overlaps and (before.ended is None or begin < before.ended.seq))):
            yield before
        before, beside = step, overlaps
        end = sys.maxsize if step.ended is None else step.ended.seq
        if end > open_until:
            open_until = end
    if before is not None and beside:
        yield before


def _parent(step: StepState, steps: Mapping[int, StepState]) -> int:
    """The enclosing step; 0 if it is lost, or is said to have been dispatched later, as only a false record does."""
    outer = step.dispatched.parent
    return outer if 0 < outer < step.id and outer in steps else 0
