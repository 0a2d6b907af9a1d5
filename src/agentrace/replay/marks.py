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
from agentrace.fold import Trace, boundaries

BEGIN: Final = -3
"""The ``part`` of a mark for the beginning of a step."""
TIMER: Final = -4
"""The ``part`` of a mark for a timer of the program that an event loop called."""
ADJACENT_NS: Final = 250_000
"""What came later than this after the mark before it was waited for: the program had the time to do all it could."""


class Mark(Struct, frozen=True, gc=False):
    """One point of the recorded order."""

    step: int
    """The source step; for a value that the program asked for, minus the seq of its event; 0 for a timer."""
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
    task: int
    """Ordinal of the task that it happened in; 0 outside, and for what is in no step."""
    tick: int
    """With ``loop``: what shares both came about in one iteration of the loop. 0 where that is not known."""
    suspended: bool
    """Whether the caller passed control to its loop before this came."""
    turns: int
    """Iterations of the loop since the mark before it in the same loop; -1 where that is not known."""
    gap_ns: int
    """Time since the mark before it."""
    at_ns: int = 0
    """Time since its step was dispatched."""
    behind: int = 0
    """How many callbacks of the program that were ready when the iteration began came after it."""
    timer: tuple[str, int] = ("", 0)
    """What made a timer: its flow, and how many it made before."""
    posted: bool = False
    """Whether it is no timer, but what a thread gave to the loop."""

    @property
    def is_timer(self) -> bool:
        """Whether it is a timer of the program."""
        return self.part == TIMER

    def is_beside(self, other: Mark) -> bool:
        """Whether both came about in one iteration of one loop."""
        return other.tick != 0 and (self.loop, self.tick) == (other.loop, other.tick)

    @property
    def told(self) -> str:
        """What it is, in words."""
        if self.is_timer:
            return "what a thread gave to a loop" if self.posted else "a timer"
        what = "the beginning" if self.part == BEGIN else "the answer" if self.gate else "the end"
        return f"{what} of step {self.step}" if self.step > 0 else f"event {-self.step}"


class Order(Struct, frozen=True):
    """The marks of a run, and where each is found."""

    marks: Sequence[Mark]
    places: dict[tuple[int, int, int], int]
    """Index by step, exchange and part."""
    timers: dict[tuple[str, int], int]
    """The same for timers, by what made them."""
    over: frozenset[int]
    """Loops that are known to have called no timers but those among the marks."""
    whole: bool = False
    """Whether no loop has called others."""


def recorded_order(
    trace: Trace, recorded: Iterable[events.AnyEvent | events.UnknownEvent], *, whole: bool = False
) -> Order:
    """The marks of a run's events, which are in the order of seq; ``whole`` if they go on to its end without a gap."""
    told = list(recorded)
    reader = _Reader(trace)
    for item in _as_it_happened(trace, told):
        reader.read(item)
    places = {(mark.step, mark.exchange, mark.part): index for index, mark in enumerate(reader.marks)}
    timers = {mark.timer: index for index, mark in enumerate(reader.marks) if mark.is_timer}
    over = frozenset(event.loop for event in told if isinstance(event, events.CallbacksRun) and event.over)
    return Order(reader.marks, places, timers, over, whole)


class _Happened(Struct, frozen=True, gc=False):
    """A piece of an event, and when it happened."""

    ns: int
    """Wall clock."""
    event: Any
    step: Any
    """A ``StepState``; ``None`` for a value that the program asked for, and for a timer."""
    number: int = 0
    """Of a chunk."""
    at_ns: int = 0
    """Since its step was dispatched."""
    loop: int = 0
    """Of a timer."""


def _as_it_happened(trace: Trace, recorded: Iterable[events.AnyEvent | events.UnknownEvent]) -> list[_Happened]:
    """What happened, in order. What a wire carried is written a little later than it came; the rest at once."""
    items: list[_Happened] = []
    began: dict[int, int] = {}
    """By step, what the time since its dispatch counts from."""
    ends: dict[int, int] = {}
    now = 0
    for event in recorded:
        if isinstance(event, events.ValueRecorded):
            now = max(now, event.ts)
            items.append(_Happened(now, event, None))
            continue
        if isinstance(event, events.CallbacksRun):
            items += [_Happened(timer.ts, timer, None, loop=event.loop) for timer in event.callbacks]
            continue
        step = trace.steps.get(event.step_id) if event.step_id and type(event) in _READ else None
        if step is None:
            continue
        if isinstance(event, events.StreamChunks):
            since = began.get(step.id, step.dispatched.ts)
            now = now if event.exchange else max(now, event.ts)
            items += [
                _Happened(since + c.at_ns if event.exchange else now, event, step, number, c.at_ns)
                for number, c in enumerate(event.chunks, event.first)
                if c.op in ("yield", "bytes")
            ]
        elif isinstance(event, (events.ExchangeAnswered, events.ExchangeEnded)):
            began[step.id] = event.ts - event.at_ns
            items.append(_Happened(event.ts, event, step, 0, event.at_ns))
        else:
            now = max(now, event.ts)
            items.append(_Happened(now, event, step, 0, getattr(event, "duration_ns", 0)))
            if not isinstance(event, events.StepDispatched):
                ends[step.id] = now
    # Two clocks are never quite the same: what belongs to a step came before its end, whatever they say.
    items.sort(key=lambda item: item.ns if item.step is None else min(item.ns, ends.get(item.step.id, item.ns)))
    return items


class _Reader:
    """Turns what happened into marks, one after the other."""

    def __init__(self, trace: Trace) -> None:
        self.marks: list[Mark] = []
        self._steps = trace.steps
        self._answered = {step.id for step in boundaries(trace.steps)}
        self._inside: set[int] = set()
        self._last_ns = 0
        self._ticks: dict[int, int] = {}
        """By loop, the tick of its latest mark."""
        self._last: dict[int, Mark] = {}
        """The latest mark of each step."""
        self._waited: dict[int, int] = {}
        """Index of the latest mark of each step for which its caller waited."""
        self._pieces: dict[tuple[int, int], int] = {}
        """Index of the latest piece of each exchange."""

    def read(self, item: _Happened) -> None:
        """Add the mark of one item."""
        if item.step is None:
            self._outside_of_steps(item)
            return
        parent = item.step.dispatched.parent
        if parent in self._inside or parent in self._answered:
            self._inside.add(item.step.id)  # what is answered whole: nobody asks for its inside on a replay
            return
        exchange = getattr(item.event, "exchange", 0)
        whole = type(item.event) in (events.StepDispatched, events.StepCompleted, events.StepFailed)
        if whole or (item.step.id in self._answered and (not exchange or item.step.dispatched.integration)):
            # Of a tool that made requests of its own the outcome is handed over, and not they.
            _READ[type(item.event)](self, item)

    def began(self, item: _Happened) -> None:
        """A step was dispatched."""
        self._add(item, 0, BEGIN, tick=item.event.tick)

    def _outside_of_steps(self, item: _Happened) -> None:
        """The program asked for a value, or an event loop called a timer."""
        event = item.event
        if isinstance(event, events.Callback):
            turns, gap = self._passed(item, item.loop, event.tick)
            enclosing = self._steps.get(event.parent)
            made = f"{'' if enclosing is None else enclosing.path}|{event.flow}", event.ordinal
            where = item.loop, 0, event.tick
            mark = Mark(0, 0, TIMER, False, True, *where, False, turns, gap, timer=made, posted=event.posted)
            self.marks.append(mark)
        elif event.parent not in self._inside and event.parent not in self._answered:
            turns, gap = self._passed(item, event.loop, event.tick)
            gate = not event.loop  # a loop is not held up
            self.marks.append(Mark(-event.seq, 0, BEGIN, gate, True, event.loop, 0, event.tick, False, turns, gap))

    def chunk(self, item: _Happened) -> None:
        """A piece of a stream came."""
        chunk = item.event.chunks[item.number - item.event.first]
        came = chunk if chunk.tick else item.event
        self._add(item, item.event.exchange, item.number, gate=True, tick=came.tick, behind=came.behind)

    def headed(self, item: _Happened) -> None:
        """The head of a response came."""
        self._add(item, item.event.exchange, HEAD, gate=True, tick=item.event.tick, behind=item.event.behind)

    def exchanged(self, item: _Happened) -> None:
        """Nothing more came."""
        event = item.event
        piece = self._pieces.get((item.step.id, event.exchange))
        if piece is None and event.outcome == "error":
            self._add(item, event.exchange, HEAD, gate=True, tick=event.tick, behind=event.behind)
            return
        if piece is not None and self.marks[piece].part != HEAD:  # it may have been written when this was closed
            self.marks[piece] = replace(self.marks[piece], needed=False)
        self._add(item, event.exchange, END, gate=True, needed=False, tick=event.tick, behind=event.behind)

    def ended(self, item: _Happened) -> None:
        """A step ended."""
        event, step = item.event, item.step
        whole = isinstance(event, events.StepFailed) or event.fidelity != "exchange"
        by_exchange = not whole or (event.exchanges > 0 and step.dispatched.integration != "")
        closed = event.outcome == "closed_by_consumer"
        gate = step.id in self._answered and not by_exchange and not closed and event.outcome != "cancelled"
        needed = not closed and getattr(event, "source", "") != "generator"
        waited = self._waited.get(step.id)
        if by_exchange and waited is not None and not self.marks[waited].tick:
            self.marks[waited] = replace(self.marks[waited], tick=event.tick, behind=event.behind)
        self._add(item, 0, END, gate=gate, needed=needed, tick=event.tick, behind=event.behind)

    def _add(
        self,
        item: _Happened,
        exchange: int,
        part: int,
        *,
        gate: bool = False,
        needed: bool = True,
        tick: int = 0,
        behind: int = 0,
    ) -> None:
        step = item.step
        last = self._last.get(step.id)
        loop = step.dispatched.loop
        if last is None or not loop:
            waited = False
        elif tick and last.tick:
            waited = tick != last.tick
        else:
            waited = item.at_ns - last.at_ns > ADJACENT_NS
        turns, gap = self._passed(item, loop, tick)
        where = loop, step.dispatched.task, tick
        mark = Mark(step.id, exchange, part, gate, needed, *where, waited and gate, turns, gap, item.at_ns, behind)
        if mark.suspended:
            self._waited[step.id] = len(self.marks)
        if exchange:
            self._pieces[step.id, exchange] = len(self.marks)
        self._last[step.id] = mark
        self.marks.append(mark)

    def _passed(self, item: _Happened, loop: int, tick: int) -> tuple[int, int]:
        """Iterations of the loop and nanoseconds since the latest mark."""
        before = self._ticks.get(loop, 0)
        self._ticks[loop] = tick
        gap = max(0, item.ns - self._last_ns) if self._last_ns else 0
        self._last_ns = item.ns
        return (tick - before if loop and tick and before else -1), gap


_READ: Final[dict[type, Callable[[_Reader, _Happened], None]]] = {
    events.StepDispatched: _Reader.began,
    events.StreamChunks: _Reader.chunk,
    events.ExchangeAnswered: _Reader.headed,
    events.ExchangeEnded: _Reader.exchanged,
    events.StepCompleted: _Reader.ended,
    events.StepFailed: _Reader.ended,
}
