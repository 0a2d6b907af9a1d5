"""Answers and timers in one event loop: each comes in the iteration of the loop in which it came.

Iterations are counted in the recorded run and now (``BaseEventLoop._run_once`` is wrapped), and the callbacks of a
program that saw the same so far run in the same iterations. So an answer is handed over at the beginning of the
iteration that is as far from the mark before it as it was, behind everything that was ready, and a timer is held back,
or the time moved on, so that it is called in its own. In loops that do not tell their iterations (uvloop) an answer is
handed over when the loop has gone round often enough for everything else that was ready.
"""

from __future__ import annotations

import heapq
import time
from typing import Any, Final, Protocol

from agentrace.capture.answers import END
from agentrace.capture.guard import fault
from agentrace.capture.iterations import AFTER, BEFORE, ON_TIMER, TURN, fired_in, is_the_programs
from agentrace.capture.scope import FLOW
from agentrace.replay import waiting
from agentrace.replay.clock import Clock
from agentrace.replay.marks import Mark, Order
from agentrace.replay.parked import Parked, call

_POLL: Final = 0.0005
_MOST_TURNS: Final = 100
"""Iterations that are counted; what took more came when the loop had nothing else to do."""
_LATE: Final = 1.0
"""Seconds after the call of a recorded timer at which one of this program is due that cannot be the same one."""
_HELD_NS: Final = 30_000_000
_MOST_HELD_NS: Final = 200_000_000
_HOPS: Final = 12
"""Iterations for which a loop that does not tell what is ready counts as busy."""


class Pointer(Protocol):
    """The recorded order, as far as it has come."""

    order: Order
    lock: Any
    free: bool
    earlier_threads: frozenset[int]
    """Threads that were there when the replay began."""

    def next(self) -> int:
        """The first mark that is missing."""
        ...

    def missing(self, index: int) -> bool:
        """Whether a mark has not come about and what comes later waits for it."""
        ...

    def timer(self, loop: int) -> int | None:
        """The mark of the next timer of a recorded loop."""
        ...

    def timer_came(self, loop: int) -> None:
        """A timer of the program is called now."""
        ...

    def settled(self, gate: int, came_ns: int) -> bool:
        """Whether the other threads have done what they did before this came."""
        ...

    def watch(self, loop: Any) -> None:
        """See to it that the order is relaxed if the program cannot come to what is next."""
        ...

    def open_all(self) -> None:
        """Hold nothing up any more."""
        ...


class InLoop:
    """The gates and timers of one event loop. Its methods are called in that loop, but for :meth:`rouse`."""

    def __init__(self, pointer: Pointer, loop: Any, clock: Clock) -> None:
        self.loop = loop
        self.ordinal = 0
        """Of the recorded loop; 0 until a mark of it has come about."""
        self.parked: dict[int, Parked] = {}
        self.opened: set[int] = set()
        """Gates that were let go and have not gone on yet."""
        self.held: list[Any] = []
        """Timers that may not be called in this iteration."""
        self.watched = False
        """Whether somebody looks now and then whether the recorded order can be reached."""
        self._pointer = pointer
        self._clock = clock
        self._marks = pointer.order.marks
        self.counted = hasattr(loop, TURN)
        """Whether the loop tells its iterations."""
        self._ahead = 0
        """By how many the iterations are further than in the recorded run."""
        self._hopping = False
        self._held_ns = 0
        """How long iterations have been held in vain."""
        if self.counted:
            setattr(loop, BEFORE, self._before_iteration)
            setattr(loop, AFTER, self._after_iteration)
            setattr(loop, ON_TIMER, self._timer_called)
            loop.time = clock.time

    def passed(self, mark: Mark) -> None:
        """A mark came about in this iteration."""
        self.ordinal = mark.loop
        if mark.tick:
            self._ahead = getattr(self.loop, TURN, 0) - mark.tick

    def park(self, parked: Parked) -> None:
        """A gate waits for its turn from now on."""
        self.parked[parked.gate] = parked
        if not self.counted:
            self._hop()

    def gone(self, gate: int) -> None:
        """Whoever waited for the gate goes on."""
        self.parked.pop(gate, None)
        self.opened.discard(gate)

    def rouse(self) -> None:
        """Called from any thread: what a gate or a timer waits for may have come about."""
        if not self.counted:
            if self.parked:
                call(self.loop, self._hop)
        elif waiting.running_loop() is not self.loop:  # its own iterations begin with a look anyway
            call(self.loop, self._nothing)

    def alone(self) -> bool:
        """Whether the program waits for nothing but what this loop and the record give it."""
        selector = getattr(self.loop, "_selector", None)
        waited_for = None if selector is None else selector.get_map()
        return waited_for is not None and len(waited_for) <= 1 and waiting.others_blocked(self._pointer.earlier_threads)

    @property
    def called(self) -> int:
        """How many timers of the program the loop has called."""
        return fired_in(self.loop).count if self.counted else 0

    def timers(self) -> list[Any]:
        """The timers of the program that wait for their time, in its order."""
        timers = [*getattr(self.loop, "_scheduled", ()), *self.held]
        return sorted(timer for timer in timers if not timer.cancelled() and is_the_programs(timer))

    # -- what happens in the loop --------------------------------------------------------------------------------

    def _before_iteration(self) -> None:
        done = False
        try:
            while self._waits_for_threads():
                time.sleep(_POLL)
            done = True
        except Exception as error:
            fault(error)
        finally:
            if not done:
                self._pointer.open_all()  # a fault of ours must not leave the program waiting

    def _waits_for_threads(self) -> bool:
        """Do what has to be done before an iteration; whether it is too early, since other threads come first."""
        with self._pointer.lock:
            if self._pointer.free:
                return False
            idle = not waiting.ready(self.loop)
            early = self._look()
            if self.counted and not early and not self._pointer.free:
                self._look_at_timers(idle and not waiting.ready(self.loop))
            return early

    def _after_iteration(self) -> None:
        for timer in self.held:
            heapq.heappush(self.loop._scheduled, timer)
        self.held = []

    def _timer_called(self) -> None:
        if self.ordinal:
            self._pointer.timer_came(self.ordinal)

    def _hop(self) -> None:
        """For loops that do not tell when an iteration begins: once in each while a gate waits."""
        if not self._hopping:
            self._hopping = True
            call(self.loop, self._hopped)

    def _hopped(self) -> None:
        self._hopping = False
        self._before_iteration()

    def _nothing(self) -> None:
        """An iteration begins after this one, without waiting for anything."""

    def _again(self) -> None:
        """Look again in the next iteration, which waits for nothing."""
        if self.counted:
            self.loop.call_soon(self._nothing)
        else:
            self._hop()

    # -- answers -------------------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Let the gates go whose iteration this is; whether other threads come first."""
        together = self._together() if self.parked else []
        if not together:
            return self.counted and self._is_held()
        first = together[0]
        first.came_ns = first.came_ns or waiting.now_ns()
        first.hops += 1
        if not self._is_due(first):
            self._again()
            return False
        inside = first.gate > 0 and self._marks[first.gate - 1].loop == self._marks[first.gate].loop
        if not inside and not self._pointer.settled(first.gate, first.came_ns):
            return True
        for parked in together:
            del self.parked[parked.gate]
        self._open(together)
        return False

    def _is_held(self) -> bool:
        """Whether this is the iteration of a gate, and threads have to do something before, so that it has to wait."""
        first = min(self.parked, default=-1)
        if first < 0 or self._held_ns > _MOST_HELD_NS or self.left(self._marks[first]) > 0:
            return False
        if any(self._missing_here(index) for index in range(self._pointer.next(), first)):
            return False
        parked = self.parked[first]
        parked.held_ns = parked.held_ns or waiting.now_ns()
        held = waiting.now_ns() - parked.held_ns
        if held > _HELD_NS:
            self._held_ns += held  # the threads may wait for the loop
            parked.held_ns = 1
        return held <= _HELD_NS

    def _missing_here(self, index: int) -> bool:
        return self._marks[index].loop == self.ordinal and self._pointer.missing(index)

    def _together(self) -> list[Parked]:
        """The gates that come in one iteration, if all that came before it has come."""
        following = self._pointer.next()
        found = sorted((one for index, one in self.parked.items() if index < following), key=lambda one: one.gate)
        reference: Mark | None = None
        ahead = False
        """Whether something is between that comes in that same iteration by itself."""
        for index in range(following, max(self.parked) + 1):
            parked, mark = self.parked.get(index), self._marks[index]
            if parked is None and not self._pointer.missing(index):
                continue
            if reference is not None and mark.loop != self.ordinal and reference.loop == self.ordinal:
                continue  # a thread did something while the loop was in this iteration
            if reference is not None and not _in_one_iteration(reference, mark):
                break
            reference = mark
            if parked is None:
                ahead = True
                if mark.gate and mark.suspended and index not in self.opened:
                    break  # it is still to be asked for
            elif parked.strict and ahead:
                break
            else:
                found.append(parked)
        return found

    def _is_due(self, first: Parked) -> bool:
        """Whether this is the iteration."""
        mark, busy = self._marks[first.gate], waiting.ready(self.loop)
        if not self.counted or busy is None:
            return first.hops >= (mark.turns if 0 <= mark.turns < _HOPS else _HOPS)
        if mark.tick and self.ordinal == mark.loop:
            left = self.left(mark)
            if left <= _MOST_TURNS:
                return left <= 0
        return not busy or waiting.now_ns() - first.came_ns > 2 * mark.gap_ns + 1_000_000

    def left(self, mark: Mark) -> int:
        """Iterations until the one in which a mark comes."""
        turn: int = getattr(self.loop, TURN)
        return mark.tick + self._ahead - turn

    # -- timers --------------------------------------------------------------------------------------------------

    def _look_at_timers(self, idle: bool) -> None:
        """Call the timers whose iteration this is, and no others; ``idle`` if nothing else happens in the loop now."""
        if self.ordinal not in self._pointer.order.over and self._pointer.timer(self.ordinal) is None:
            return  # it is not known what comes
        timers, coming = self.timers(), self._coming_timers()
        fits = bool(coming and timers) and timers[0].when() <= self._clock.at(coming[0]) + _LATE
        if idle and coming and not fits:
            self._pointer.timer_came(self.ordinal)  # the program has made none: it does not do exactly what it did
            self._again()
            self._hold(timers)
        elif fits and self.left(self._marks[coming[0]]) <= 0:
            self._bring(timers[min(len(coming), len(timers)) - 1].when())
            self._hold(timers[len(coming) :])
        elif fits and self.left(self._marks[coming[0]]) <= _MOST_TURNS and self.alone():
            self._hold(timers)
            self._again()
        elif timers and idle and self._is_waited_for():
            self._bring(timers[0].when())
            self._hold(timers[1:])
        else:
            self._hold(timers)

    def _is_waited_for(self) -> bool:
        """Whether what comes next has to be done in this loop, or nothing comes any more."""
        following = self._pointer.next()
        return following >= len(self._marks) or self._marks[following].loop == self.ordinal

    def _bring(self, due: float) -> None:
        """See to it that a timer need not be waited for, unless something real goes on as well."""
        if due > self._clock.time() and self.alone():
            self._clock.jump(due)

    def _open(self, gates: list[Parked]) -> None:
        """Let gates go, each in its place among what is ready."""
        ready, first = getattr(self.loop, "_ready", ()), 0
        for parked in gates:
            self.opened.add(parked.gate)
            count = len(ready)
            parked.go()
            if self.counted and len(ready) > count:
                first = self._to_its_place(parked.gate, first)

    def _to_its_place(self, gate: int, first: int) -> int:
        """Move what became ready last to where it was among the callbacks of the program; what follows comes after."""
        ready, behind = self.loop._ready, self._marks[gate].behind
        at = place = last = len(ready) - 1
        while at > first:
            at -= 1
            if is_the_programs(ready[at]):
                if not behind:
                    break
                behind -= 1
                place = at
            elif not behind and self._ends_after(ready[at], gate):
                place = at
        if place < last:
            ready.insert(place, ready.pop())
        return place + 1

    def _ends_after(self, handle: Any, gate: int) -> bool:
        """Whether a callback resumes a call, one that was cancelled, that ended later than a gate."""
        source = getattr(handle._context.get(FLOW), "source", 0)
        return self._pointer.order.places.get((source, 0, END), -1) > gate

    def _coming_timers(self) -> list[int]:
        """The marks of timers that come in one iteration, if all that came before it has come."""
        found: list[int] = []
        reference: Mark | None = None
        for index in range(self._pointer.next(), len(self._marks)):
            if not self._pointer.missing(index):
                continue
            mark = self._marks[index]
            if reference is not None and not _in_one_iteration(reference, mark):
                break
            reference = mark
            if mark.loop != self.ordinal or not mark.tick:
                break
            if mark.is_timer:
                found.append(index)
        return found

    def _hold(self, timers: list[Any]) -> None:
        if timers:
            self.held = timers
            held = set(map(id, timers))
            self.loop._scheduled = [timer for timer in self.loop._scheduled if id(timer) not in held]
            heapq.heapify(self.loop._scheduled)
            self._pointer.watch(self.loop)


def _in_one_iteration(one: Mark, other: Mark) -> bool:
    return other.tick != 0 and (one.loop, one.tick) == (other.loop, other.tick)
