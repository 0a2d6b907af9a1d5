"""Answers and timers in one event loop: each comes in the iteration of the loop in which it came.

Iterations are counted in the recorded run and now (``BaseEventLoop._run_once`` is wrapped), and the callbacks of a
program that saw the same so far run in the same iterations. So an answer is handed over at the beginning of the
iteration that is as far from the mark before it as it was, behind everything that was ready, and a timer is held back,
or the time moved on, so that it is called in its own. In loops that do not tell their iterations (uvloop) an answer is
handed over when the loop has gone round often enough for everything else that was ready.
"""

from __future__ import annotations

import heapq
import math
import time
from typing import Any, Final, Protocol

from agentrace.capture.answers import END
from agentrace.capture.guard import fault
from agentrace.capture.iterations import BEFORE, TURN, is_ours, is_the_programs, timers_of
from agentrace.capture.scope import FLOW
from agentrace.replay import waiting
from agentrace.replay.clock import Clock
from agentrace.replay.marks import Mark, Order
from agentrace.replay.parked import Parked, call
from agentrace.replay.settling import POLL

_MOST_TURNS: Final = 100
"""Iterations that are gone through in a loop that has nothing to do."""
_HELD_NS: Final = 30_000_000
"""How long an iteration is held for what threads did before it, if none of them is at work."""
_LONG_HELD_NS: Final = 1_000_000_000
"""The same if one is."""
_MOST_HELD_NS: Final = 2_000_000_000
"""How long iterations are held in vain in all, until none is any more."""
_PURGE: Final = 256
"""How many timers are kept until those that were cancelled are forgotten."""
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

    def skip(self, index: int) -> None:
        """The program does not come to a mark any more."""
        ...

    def settled(self, gate: int, asked: int) -> bool:
        """Whether the other threads have done what they did before this came; ``asked`` so often before."""
        ...

    def arrived(self) -> None:
        """This thread goes on when others have done something."""
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
        self._timers: dict[tuple[str, int], Any] = {}
        """Timers of the program that were not called, by what made them. They are not in the loop but when it is their
        turn, or while it is not known what comes."""
        self._purge_at = _PURGE
        self._loose = False
        """Whether they are in the loop."""
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
        self._held = -1, 0
        """The gate or timer that the latest iteration was held for, and since when."""
        self._held_ns = 0
        """How long iterations have been held in vain."""
        if self.counted:
            clock.jump(loop.time())  # never back: there may have been a replay before
            setattr(loop, BEFORE, self._before_iteration)
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
    def has_timers(self) -> bool:
        """Whether the program waits for its time to come."""
        return any(not timer.cancelled() for timer in self._timers.values())

    def made(self, timer: Any, told: tuple[str, int], ordinal: int) -> None:
        """A timer of the program; ``ordinal`` is that of the loop that called it in the recorded run, 0 if none did."""
        self.ordinal = self.ordinal or ordinal
        if len(self._timers) >= self._purge_at:
            self._timers = {key: kept for key, kept in self._timers.items() if not kept.cancelled()}
            self._purge_at = 2 * len(self._timers) + _PURGE
        self._timers[told] = timer

    def called(self, told: tuple[str, int]) -> None:
        """It is called now."""
        self._timers.pop(told, None)

    # -- what happens in the loop --------------------------------------------------------------------------------

    def _before_iteration(self) -> None:
        done = False
        try:
            while self._waits_for_threads():
                time.sleep(POLL)
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
                self._leave()
                return False
            idle = not waiting.ready(self.loop)
            early = self._look()
            if self.counted and not early and not self._pointer.free:
                self._look_at_timers(idle and not waiting.ready(self.loop))
            return early

    def _leave(self) -> None:
        """Leave the loop as it was, but that its time does not go back."""
        self._give_back()
        self.loop.__dict__.pop(BEFORE, None)

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
        if not inside and not self._pointer.settled(first.gate, first.asked):
            first.asked += 1
            return True
        for parked in together:
            del self.parked[parked.gate]
        self._open(together)
        return False

    def _is_held(self) -> bool:
        """Whether this is the iteration of a gate or a timer, but threads have to do something before."""
        timer = self._pointer.timer(self.ordinal)
        coming = [*self.parked] if timer is None or self._live(timer) is None else [*self.parked, timer]
        first = min(coming, default=-1)
        if first < 0 or self._held_ns > _MOST_HELD_NS or self.left(self._marks[first]) > 0:
            return False
        missing = [index for index in range(self._pointer.next(), first) if self._pointer.missing(index)]
        if not missing or any(self._marks[index].loop == self.ordinal for index in missing):
            return False
        if self._held[0] != first:
            self._held = first, waiting.now_ns()
        held = waiting.now_ns() - self._held[1]
        if held > _LONG_HELD_NS or (held > _HELD_NS and waiting.others_blocked()):
            self._held_ns += held  # the threads may wait for the loop
            return False
        self._pointer.arrived()
        return True

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
        mark = self._marks[first.gate]
        if not self.counted:
            return first.hops >= (mark.turns if 0 <= mark.turns < _HOPS else _HOPS)
        if mark.tick and self.ordinal == mark.loop:
            left = self.left(mark)
            return left <= 0 or (left > _MOST_TURNS and self._is_idle())
        return self._is_idle() or waiting.now_ns() - first.came_ns > 2 * mark.gap_ns + 1_000_000

    def _is_idle(self) -> bool:
        """Whether the loop would wait for something now."""
        return all(map(is_ours, self.loop._ready))

    def left(self, mark: Mark) -> int:
        """Iterations until the one in which a mark comes."""
        turn: int = getattr(self.loop, TURN)
        return mark.tick + self._ahead - turn

    # -- timers --------------------------------------------------------------------------------------------------

    def _look_at_timers(self, idle: bool) -> None:
        """Call the timers whose iteration this is, and no others; ``idle`` if nothing else happens in the loop now."""
        recorded = self._pointer.timer(self.ordinal)
        if recorded is None and not self._timers:
            return
        if recorded is None and self.ordinal not in self._pointer.order.over:
            self._give_back()  # it is not known what comes
            return
        self._hold()
        coming = self._coming_timers()
        timers = [timer for index in coming if (timer := self._live(index)) is not None]
        left = self.left(self._marks[coming[0]]) if coming else 0
        if len(timers) < len(coming) and idle and self.alone():
            for index in coming:
                if self._live(index) is None:
                    self._pointer.skip(index)  # the program has not made it: it does not do exactly what it did
            self._again()
        elif timers and left <= 0:
            self._bring(timers)
        elif timers and left <= _MOST_TURNS and self.alone():
            self._again()
        elif idle and self._is_waited_for():
            self._bring(timers or self._earliest())

    def _live(self, index: int) -> Any:
        """The timer of a mark; ``None`` if there is none."""
        timer = self._timers.get(self._marks[index].timer)
        return None if timer is None or timer.cancelled() else timer

    def _earliest(self) -> list[Any]:
        return sorted(timer for timer in self._timers.values() if not timer.cancelled())[:1]

    def _is_waited_for(self) -> bool:
        """Whether what comes next has to be done in this loop, or nothing comes any more."""
        following = self._pointer.next()
        return following >= len(self._marks) or self._marks[following].loop == self.ordinal

    def _bring(self, timers: list[Any]) -> None:
        """Have timers called in this order, now if nothing real goes on beside them, and else when it is their time."""
        due = -math.inf
        for timer, when in zip(timers, sorted(timer.when() for timer in timers), strict=True):
            due = timer._when = max(when, math.nextafter(due, math.inf))
            heapq.heappush(self.loop._scheduled, timer)
        if due > self._clock.time() and self.alone():
            self._clock.jump(due)

    def _hold(self) -> None:
        """Take the timers of the program out of the loop."""
        self._loose = False
        made = timers_of(self.loop).made
        others = [timer for timer in self.loop._scheduled if made(timer) is None]
        if len(others) < len(self.loop._scheduled):
            heapq.heapify(others)
            self.loop._scheduled = others
        if self._timers:
            self._pointer.watch(self.loop)

    def _give_back(self) -> None:
        """Put them into the loop again."""
        if not self._loose:
            self._hold()
            for timer in self._timers.values():
                heapq.heappush(self.loop._scheduled, timer)
            self._loose = True

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


def _in_one_iteration(one: Mark, other: Mark) -> bool:
    return other.tick != 0 and (one.loop, one.tick) == (other.loop, other.tick)
