"""Answers and timers in one event loop: each comes in the iteration of the loop in which it came.

Iterations are counted in the recorded run and now (``BaseEventLoop._run_once`` is wrapped), and the callbacks of a
program that saw the same so far run in the same iterations. So an answer is handed over at the beginning of the
iteration that is as far from the mark before it as it was, behind everything that was ready, and a timer is held back,
or the time moved on, so that it is called in its own. In loops that do not tell their iterations (uvloop) an answer is
handed over when the loop has gone round often enough for everything else that was ready.
"""

from __future__ import annotations

import time
from typing import Any, Final

from agentrace.capture.answers import END
from agentrace.capture.guard import fault
from agentrace.capture.iterations import BEFORE, TURN, is_counted, is_ours, is_the_programs
from agentrace.capture.scope import FLOW
from agentrace.replay import waiting
from agentrace.replay.clock import Clock
from agentrace.replay.marks import Mark
from agentrace.replay.parked import Parked, call
from agentrace.replay.pointer import Pointer
from agentrace.replay.settling import POLL
from agentrace.replay.timers import MOST_TURNS, LoopTimers

_HELD_NS: Final = 30_000_000
"""How long an iteration is held for what threads did before it, if none of them is at work."""
_LONG_HELD_NS: Final = 1_000_000_000
"""The same if one is."""
_MOST_HELD_NS: Final = 2_000_000_000
"""How long iterations are held in vain in all, until none is any more."""
_HOPS: Final = 12
"""Iterations for which a loop that does not tell what is ready counts as busy."""


class InLoop:
    """The gates and timers of one event loop. Its methods are called in that loop, but for :meth:`rouse`."""

    def __init__(self, pointer: Pointer, loop: Any, clock: Clock) -> None:
        self.loop = loop
        self.ordinal = 0
        """Of the recorded loop; 0 until a mark of it has come about."""
        self.parked: dict[int, Parked] = {}
        self.opened: set[int] = set()
        """Gates that were let go and have not gone on yet."""
        self.watched = False
        """Whether somebody looks now and then whether the recorded order can be reached."""
        self._pointer = pointer
        self._clock = clock
        self._marks = pointer.order.marks
        self.counted = is_counted(loop)
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
        self.timers = LoopTimers(pointer, clock, self)

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
                self.leave()
                return False
            idle = not waiting.ready(self.loop)
            early = self._look()
            if self.counted and not early and not self._pointer.free:
                self.timers.look(idle and not waiting.ready(self.loop))
            return early

    def leave(self) -> None:
        """Leave the loop as it was, but that its time does not go back."""
        if self.counted:
            self.timers.give_back()
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

    def again(self) -> None:
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
            self.again()
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
        coming = [*self.parked] if timer is None or not self.timers.awaited(timer) else [*self.parked, timer]
        first = min(coming, default=-1)
        if first < 0 or self._held_ns > _MOST_HELD_NS or self.left(self._marks[first]) > 0:
            return False
        missing = [index for index in range(self._pointer.next(), first) if self._pointer.missing(index)]
        if any(self._marks[index].loop == self.ordinal for index in missing):
            return False
        if not missing and (first != timer or self._is_idle() or self.timers.live(first) is not None):
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
            if reference is not None and not reference.is_beside(mark):
                break
            reference = mark
            if parked is None:
                ahead = True
                if mark.gate and mark.suspended and index not in self.opened:
                    break  # it is still to be asked for
                if mark.posted and self.timers.awaited(index) and self.timers.live(index) is None:
                    break  # a thread is still to come to it
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
            return left <= 0 or (left > MOST_TURNS and self._is_idle())
        return self._is_idle() or waiting.now_ns() - first.came_ns > 2 * mark.gap_ns + 1_000_000

    def _is_idle(self) -> bool:
        """Whether the loop would wait for something now."""
        return all(map(is_ours, self.loop._ready))

    def left(self, mark: Mark) -> int:
        """Iterations until the one in which a mark comes."""
        turn: int = getattr(self.loop, TURN)
        return mark.tick + self._ahead - turn

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
