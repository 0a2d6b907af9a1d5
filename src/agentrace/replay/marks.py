"""The recorded order as marks: every point at which the recorded program passed something that the record tells.

A mark is the beginning of a step, its end, or a piece of an answer (the head of a response, a chunk of a stream). The
sequence of a run's events is the order in which they came about, so a replay that passes the same marks in the same
order has given the program the same interleaving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from agentrace import events
from agentrace.capture.answers import END, HEAD
from agentrace.fold import StepState, Trace, boundaries

BEGIN: Final = -3
"""The ``part`` of a mark for the beginning of a step."""
ADJACENT_NS: Final = 250_000
"""What came later than this after the mark before it was waited for: the program had the time to do all it could."""


class Mark(Struct, frozen=True, gc=False):
    """One point of the recorded order."""

    step: int
    """The source step."""
    exchange: int
    """The exchange of the step that this belongs to, 0 for the step itself."""
    part: int
    """``BEGIN``, ``HEAD``, ``END``, or the number of a chunk."""
    gate: bool
    """Whether the replay decides when it comes about: it is an answer, or a part of one."""
    needed: bool
    """Whether what comes later waits for it. Not for what depends on when something was closed or collected."""
    loop: int
    """Ordinal of the event loop that it happened in; 0 outside."""
    tick: int
    """With ``loop``: what shares both came about in one iteration of the loop. 0 where that is not known."""
    suspended: bool
    """Whether the caller passed control to its loop before this came."""
    turns: int
    """Iterations of the loop since the mark before it in the same loop; -1 where that is not known."""
    gap_ns: int
    """Time since the mark before it."""
    at_ns: int
    """Time since its step was dispatched."""


class Order(Struct, frozen=True):
    """The marks of a run, and where each is found."""

    marks: Sequence[Mark]
    places: dict[tuple[int, int, int], int]
    """Index by step, exchange and part."""


def recorded_order(trace: Trace, recorded: Iterable[events.AnyEvent | events.UnknownEvent]) -> Order:
    """The marks of a run's events, which are in the order of seq."""
    reader = _Reader(trace)
    for event in recorded:
        reader.read(event)
    places = {(mark.step, mark.exchange, mark.part): index for index, mark in enumerate(reader.marks)}
    return Order(reader.marks, places)


class _Reader:
    """Turns events into marks, one after the other."""

    def __init__(self, trace: Trace) -> None:
        self.marks: list[Mark] = []
        self._steps = trace.steps
        self._answered = {step.id for step in boundaries(trace.steps)}
        self._inside: set[int] = set()
        self._last_ts = 0
        self._ticks: dict[int, int] = {}
        """By loop, the tick of its latest mark."""
        self._last: dict[int, Mark] = {}
        """The latest mark of each step."""
        self._waited: dict[int, int] = {}
        """Index of the latest mark of each step for which its caller waited."""
        self._pieces: dict[tuple[int, int], int] = {}
        """Index of the latest piece of each exchange."""

    def read(self, event: events.AnyEvent | events.UnknownEvent) -> None:
        """Add the marks of one event."""
        read = _READ.get(type(event))
        step = self._steps.get(event.step_id) if read is not None and event.step_id else None
        if read is None or step is None:
            return
        if step.dispatched.parent in self._inside or step.dispatched.parent in self._answered:
            self._inside.add(step.id)  # what is answered whole: nobody asks for its inside on a replay
        else:
            read(self, event, step)

    def began(self, event: events.StepDispatched, step: StepState) -> None:
        """A step was dispatched."""
        self._add(event, step, 0, BEGIN, 0, tick=event.tick)

    def chunks(self, event: events.StreamChunks, step: StepState) -> None:
        """Pieces of a stream came."""
        if step.id not in self._answered or (event.exchange and not step.dispatched.integration):
            return
        for number, chunk in enumerate(event.chunks, event.first):
            if chunk.op in ("yield", "bytes"):
                self._add(event, step, event.exchange, number, chunk.at_ns, gate=True, tick=event.tick)

    def headed(self, event: events.ExchangeAnswered, step: StepState) -> None:
        """The head of a response came."""
        if step.id in self._answered and step.dispatched.integration:
            self._add(event, step, event.exchange, HEAD, event.at_ns, gate=True)

    def exchanged(self, event: events.ExchangeEnded, step: StepState) -> None:
        """Nothing more came."""
        if step.id not in self._answered or not step.dispatched.integration:
            return  # of a tool that made requests of its own the outcome is handed over, and not they
        piece = self._pieces.get((step.id, event.exchange))
        if piece is None and event.outcome == "error":
            self._add(event, step, event.exchange, HEAD, event.at_ns, gate=True)
            return
        if piece is not None and self.marks[piece].part != HEAD:  # it may have been written when this was closed
            self.marks[piece] = replace(self.marks[piece], needed=False)
        self._add(event, step, event.exchange, END, event.at_ns, gate=True, needed=False)

    def ended(self, event: events.StepCompleted | events.StepFailed, step: StepState) -> None:
        """A step ended."""
        whole = isinstance(event, events.StepFailed) or event.fidelity != "exchange"
        by_exchange = not whole or (event.exchanges > 0 and step.dispatched.integration != "")
        own = step.id in self._answered and not by_exchange
        closed = event.outcome == "closed_by_consumer"
        gate = own and not closed and event.outcome != "cancelled"
        needed = not closed and getattr(event, "source", "") != "generator"
        waited = self._waited.get(step.id)
        if by_exchange and waited is not None:
            self.marks[waited] = replace(self.marks[waited], tick=event.tick)
        self._add(event, step, 0, END, event.duration_ns, gate=gate, needed=needed, tick=event.tick)

    def _add(
        self,
        event: events.AnyEvent,
        step: StepState,
        exchange: int,
        part: int,
        at_ns: int,
        *,
        gate: bool = False,
        needed: bool = True,
        tick: int = 0,
    ) -> None:
        last = self._last.get(step.id)
        loop = step.dispatched.loop
        if last is None or not loop:
            waited = False
        elif tick and last.tick:
            waited = tick != last.tick
        else:
            waited = at_ns - last.at_ns > ADJACENT_NS
        before = self._ticks.get(loop, 0)
        turns = tick - before if loop and tick and before else -1
        self._ticks[loop] = tick
        gap = max(0, event.ts - self._last_ts) if self._last_ts else 0
        mark = Mark(step.id, exchange, part, gate, needed, loop, tick, waited and gate, turns, gap, at_ns)
        if mark.suspended:
            self._waited[step.id] = len(self.marks)
        if exchange:
            self._pieces[step.id, exchange] = len(self.marks)
        self._last_ts = event.ts
        self._last[step.id] = mark
        self.marks.append(mark)


_READ: Final[dict[type, Callable[[_Reader, Any, StepState], None]]] = {
    events.StepDispatched: _Reader.began,
    events.StreamChunks: _Reader.chunks,
    events.ExchangeAnswered: _Reader.headed,
    events.ExchangeEnded: _Reader.exchanged,
    events.StepCompleted: _Reader.ended,
    events.StepFailed: _Reader.ended,
}
