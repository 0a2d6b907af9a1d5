"""What a run, its steps and their exchanges are after the events that were seen so far.

A state holds the events that it was folded from, so that no field of an event is described, or kept, twice. A
step whose beginning is lost is known by its id alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from agentrace.events import (
    ExchangeAnswered,
    ExchangeEnded,
    ExchangeStarted,
    ExecutionAborted,
    Failure,
    Origin,
    Parent,
    ReplayDiverged,
    StepCompleted,
    StepDispatched,
    StepFailed,
    TokensUpdated,
    WorkflowCompleted,
    WorkflowDescribed,
    WorkflowFailed,
    WorkflowStarted,
    answered_kind,
)

RunStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "aborted"]
StepStatus: TypeAlias = Literal["running", "ok", "failed", "cancelled"]

FAILING: Final = frozenset({408, 409, 429})
"""HTTP statuses below 500 after which clients send the same request again."""


class Place(Struct, frozen=True, gc=False):
    """Where in the program a step happens. The text is made when it is asked for: nested programs cost no memory."""

    outer: Place | None
    hop: str

    @property
    def path(self) -> str:
        """The hops from the run's root, as ``capture.scope`` spells them: ``/plan#0/task:1/search#0``."""
        hops: list[str] = []
        place: Place | None = self
        while place is not None:
            hops.append(place.hop)
            place = place.outer
        return "".join(reversed(hops))


class StepState(Struct, frozen=True, gc=False):
    """One step so far."""

    id: int
    place: Place
    dispatched: StepDispatched
    """Its beginning; ``seq`` is 0 if that is lost."""
    ended: StepCompleted | StepFailed | None = None
    seen_chunks: int = 0
    """Elements of the stream, or pieces of bodies, that the record holds."""
    seen_exchanges: int = 0
    seen_first_chunk_ns: int = 0
    usage: TokensUpdated | None = None
    """The last usage that was noted for the step; most steps have theirs in their exchanges only."""
    cost_nano_usd: int = 0
    """Sum of what was noted, reversals taken off."""
    notes: int = 0
    """``Logged`` and ``Scored`` events."""

    @property
    def path(self) -> str:
        """The step's place in the program, independent of timing."""
        return self.place.path

    @property
    def outer_path(self) -> str:
        """The path of the enclosing step; empty for none."""
        return "" if self.place.outer is None else self.place.outer.path

    @property
    def kind(self) -> str:
        """As it was dispatched; empty if that is lost."""
        return self.dispatched.kind

    @property
    def name(self) -> str:
        """As it was dispatched; ``?`` if that is lost."""
        return self.dispatched.name

    @property
    def status(self) -> StepStatus:
        """How it went so far."""
        if self.ended is None:
            return "running"
        if isinstance(self.ended, StepCompleted):
            return "ok"
        return "cancelled" if self.ended.outcome == "cancelled" else "failed"

    @property
    def started_ts(self) -> int:
        """Wall clock at dispatch, Unix nanoseconds."""
        return self.dispatched.ts

    @property
    def duration_ns(self) -> int | None:
        """Monotonic time from dispatch to end; ``None`` while it runs."""
        return None if self.ended is None else self.ended.duration_ns

    @property
    def first_chunk_ns(self) -> int:
        """Monotonic time from dispatch to the first piece that came; 0 if none did."""
        return self.seen_first_chunk_ns if self.ended is None else self.ended.first_chunk_ns

    @property
    def chunks(self) -> int:
        """Elements of a stream that were handed over so far."""
        return self.seen_chunks if self.ended is None else self.ended.chunks

    @property
    def exchanges(self) -> int:
        """Exchanges under the step so far."""
        return self.seen_exchanges if self.ended is None else self.ended.exchanges

    @property
    def tick(self) -> int:
        """Iteration of the event loop in which it ended; 0 outside loops and before."""
        return 0 if self.ended is None else self.ended.tick

    @property
    def failure(self) -> Failure | None:
        """The exception that ended it."""
        return self.ended.failure if isinstance(self.ended, StepFailed) else None


class ExchangeState(Struct, frozen=True, gc=False):
    """One request of a step, and its response, so far."""

    step_id: int
    number: int
    started: ExchangeStarted | None = None
    answered: ExchangeAnswered | None = None
    ended: ExchangeEnded | None = None

    @property
    def failed(self) -> bool:
        """Whether a client would take it for worth sending again."""
        if self.ended is not None and self.ended.outcome == "error":
            return True
        return self.answered is not None and (self.answered.status in FAILING or self.answered.status >= 500)


class RunState(Struct, frozen=True, gc=False):
    """One run so far."""

    id: bytes
    started: WorkflowStarted | None = None
    described: WorkflowDescribed | None = None
    ended: WorkflowCompleted | WorkflowFailed | None = None
    aborted: ExecutionAborted | None = None
    diverged: ReplayDiverged | None = None
    """The first divergence of a replay."""
    steps: int = 0
    """Steps dispatched."""
    open_steps: int = 0
    """Of these, the ones that have not ended."""
    failed_steps: int = 0
    missing: int = 0
    """Events that the record says are lost."""
    unknown: int = 0
    """Events of types that this version does not know."""
    approvals_pending: int = 0
    last_seq: int = 0
    last_ts: int = 0
    """Wall clock of the event with ``last_seq``, Unix nanoseconds."""

    @property
    def name(self) -> str:
        """What the run is called; empty before it was opened."""
        return "" if self.started is None else self.started.name

    @property
    def status(self) -> RunStatus:
        """``running`` also for a run whose process died: who is alive is not in the events."""
        if self.aborted is not None:
            return "aborted"
        if self.ended is not None:
            return "completed" if isinstance(self.ended, WorkflowCompleted) else "failed"
        return "pending" if self.started is None else "running"

    @property
    def health(self) -> frozenset[str]:
        """What is the matter with the record itself, e.g. ``incomplete``, ``privacy_risk``."""
        flags = set() if self.ended is None else set(self.ended.health)
        if self.lost:
            flags.add("incomplete")
        return frozenset(flags)

    @property
    def lost(self) -> int:
        """Events that are not in the record: those it says are missing, or more if the writer counted more."""
        return max(self.missing, 0 if self.ended is None else self.ended.lost)

    @property
    def started_ts(self) -> int:
        """Wall clock at the start, Unix nanoseconds; 0 before."""
        return 0 if self.started is None else self.started.ts

    @property
    def duration_ns(self) -> int:
        """Monotonic time from start to end; while there is no end, wall clock from start to the last event."""
        if self.ended is not None and self.ended.duration_ns:
            return self.ended.duration_ns
        return max(0, self.last_ts - self.started_ts) if self.started is not None else 0

    @property
    def exit_code(self) -> int | None:
        """The program's; ``None`` before the end."""
        return None if self.ended is None else self.ended.exit_code

    @property
    def failure(self) -> Failure | None:
        """The exception that ended it."""
        return self.ended.failure if isinstance(self.ended, WorkflowFailed) else None

    @property
    def origin(self) -> Origin:
        """Where the run came from."""
        return Origin() if self.started is None else self.started.origin

    @property
    def parent(self) -> Parent:
        """The run that started this one's process."""
        return Parent() if self.started is None else self.started.parent

    @property
    def replay(self) -> str:
        """Of a replay: ``exact``, ``exact_with_caveats`` or ``diverged``; empty for other runs and before the end."""
        if self.ended is not None and self.ended.replay:
            return self.ended.replay
        return "diverged" if self.diverged is not None else ""


class Trace(Struct, frozen=True):
    """A run with its steps, by id in dispatch order, and their exchanges, by step and number."""

    run: RunState
    steps: Mapping[int, StepState]
    exchanges: Mapping[int, Mapping[int, ExchangeState]]


def retries(exchanges: Iterable[ExchangeState]) -> int:
    """How many of a step's exchanges repeat one that had failed."""
    failed: set[tuple[str, str]] = set()
    count = 0
    for exchange in exchanges:
        if exchange.started is None:
            continue
        target = (exchange.started.method, exchange.started.url)
        count += target in failed
        (failed.add if exchange.failed else failed.discard)(target)
    return count


def boundaries(steps: Mapping[int, StepState]) -> list[StepState]:
    """The steps that a replay answers, in dispatch order. What happened inside of one is not asked for again."""
    inside: set[int] = set()
    found: list[StepState] = []
    for step_id in sorted(steps):
        step = steps[step_id]
        sent = step.dispatched
        if sent.parent in inside:
            inside.add(step_id)
        elif answered_kind(sent.kind, sent.replay):
            inside.add(step_id)
            found.append(step)
    return found
