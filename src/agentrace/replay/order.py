"""The turnstile: answers are handed over in the order in which they came in the recorded run.

The order is a row of marks with a pointer before the first that has not come about. A gate (an answer, or a part of
one) opens when the pointer stands at it, so everything that came before it in the recorded run has come before it now:
calls that were made, timers that fired, other answers. Answers that came in one iteration of an event loop are handed
over in one iteration. If what the pointer waits for cannot come any more, the order is relaxed and that is told.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from agentrace.capture.answers import control_passed
from agentrace.capture.guard import fault
from agentrace.capture.scope import TURN
from agentrace.replay import waiting
from agentrace.replay.marks import ADJACENT_NS, BEGIN, Mark, Order
from agentrace.replay.parked import Parked, call, end, next_iteration
from agentrace.replay.settling import Settling

_CLEARLY: Final = 0.9
"""Of the time that passed before something came: a timer that was due later may have come later."""
_POLL: Final = 0.0005
_LOOK: Final = 0.1
"""Seconds between two looks at whether the recorded order can still be reached."""
_GRACE_NS: Final = 400_000_000
_LONG_GRACE_NS: Final = 10_000_000_000
"""The same while something is at work that may still bring it about."""
_MOST_RELAXED: Final = 20
"""From then on the order is free: the program is another one."""
_MOST_TURNS: Final = 100
"""Iterations of a loop that are counted; what took more came when the loop had nothing else to do."""
_HOPS: Final = 12
"""Iterations for which a loop that does not tell what is ready counts as busy."""


class Turnstile:
    """The recorded order of one process, restored; safe to use from several threads and loops."""

    def __init__(self, order: Order, relaxed: Callable[[str], None], hung: Callable[[int], None]) -> None:
        """``relaxed`` is told what came in another order; ``hung`` which source step should have been cancelled."""
        self._marks = order.marks
        self._places = order.places
        self._passed = bytearray(len(order.marks))
        self._next = 0
        self._of_step: dict[int, list[int]] = {}
        for index, mark in enumerate(order.marks):
            self._of_step.setdefault(mark.step, []).append(index)
        self._parked: dict[int, Parked] = {}
        self._endless: dict[int, tuple[Any, Any]] = {}
        """Source steps that wait for their cancellation, with their loops."""
        self._relaxed = relaxed
        self._hung = hung
        self._lock = threading.RLock()
        self._moved_ns = waiting.now_ns()
        self._settling = Settling()
        self._looking: set[int] = set()
        self._turns: dict[int, int] = {}
        """By loop, its iteration at its latest mark."""
        self._relaxations = 0
        self.free = not order.marks

    # -- what the program does -----------------------------------------------------------------------------------

    def began(self, step: int) -> None:
        """A step was dispatched."""
        index = self._places.get((step, 0, BEGIN))
        with self._lock:
            self._arrived()
            if index is not None:
                self._pass(index)
                self._here(index)
                self._advance()

    def ended(self, step: int) -> None:
        """A step ended, however: nothing of it comes any more."""
        with self._lock:
            self._endless.pop(step, None)
            for index in self._of_step.get(step, ()):
                if not self._passed[index]:
                    self._pass(index)
                    self._here(index)
            self._advance()

    def wait(self, step: int, exchange: int, part: int) -> None:
        """Return when it is the turn of this part of the answer to ``step``."""
        gate = self._places.get((step, exchange, part))
        if gate is None:
            return
        with self._lock:
            if self.free or self._passed[gate]:
                return
            me = get_ident()
            self._arrived()
            self._give_way(gate)
            if self._at(gate) and self._may_go(gate):
                self._enter(gate, me)
                return
            parked = self._park(Parked(gate))
        try:
            self._sleep(parked)
        finally:
            with self._lock:
                self._parked.pop(gate, None)
                self._advance()

    async def turn(self, step: int, exchange: int, part: int) -> None:
        """The same for a coroutine of an asyncio loop."""
        loop = waiting.running_loop()
        gate = self._places.get((step, exchange, part))
        if loop is None:
            self.wait(step, exchange, part)
            return
        if gate is None or self.free or self._passed[gate]:
            if gate is None or self._marks[gate].suspended:
                await control_passed()
            return
        with self._lock:
            self._arrived()
            if not self._marks[gate].suspended and self._at(gate) and self._may_go(gate):
                self._enter(gate, get_ident())
                self._here(gate)
                return
            parked = self._park(Parked(gate, loop))
            self._watch(loop)
        try:
            if parked.future.done():  # due in the next iteration: not in this one
                await control_passed()
            await parked.future
        finally:
            with self._lock:
                self._parked.pop(gate, None)
                self._advance()

    async def endless(self, step: int) -> None:
        """Return only when the cancellation that ended ``step`` in the recorded run cannot come any more."""
        loop = waiting.running_loop()
        if loop is None:
            return
        future = loop.create_future()
        with self._lock:
            self._endless[step] = (loop, future)
            self._arrived()
            self._watch(loop)
        try:
            await future
        finally:
            with self._lock:
                self._endless.pop(step, None)

    def open_all(self) -> None:
        """Let everything go that waits, and hold nothing up any more."""
        with self._lock:
            self.free = True
            for parked in list(self._parked.values()):
                call(parked.loop, parked.go)
            for loop, future in list(self._endless.values()):
                call(loop, end, future)

    # -- the pointer ---------------------------------------------------------------------------------------------

    def _pass(self, index: int) -> None:
        if not self._passed[index]:
            self._passed[index] = 1
            self._moved_ns = waiting.now_ns()

    def _here(self, index: int) -> None:
        if self._marks[index].loop:
            loop = waiting.running_loop()
            if loop is not None:
                self._turns[id(loop)] = getattr(loop, TURN, 0)

    def _at(self, gate: int) -> bool:
        """Whether everything that has to come before ``gate`` has come."""
        while self._next < gate:
            mark = self._marks[self._next]
            if not self._passed[self._next] and (mark.needed or self._next in self._parked):
                return False
            self._next += 1
        return True

    def _advance(self) -> None:
        """Wake what the pointer stands at."""
        marks, count = self._marks, len(self._marks)
        while self._next < count:
            index = self._next
            if not self._passed[index]:
                parked = self._parked.get(index)
                if parked is not None:
                    self._wake(parked)
                    return
                if marks[index].needed:
                    return
            self._next = index + 1

    def _park(self, parked: Parked) -> Parked:
        self._parked[parked.gate] = parked
        if parked.gate < self._next:
            self._wake(parked)  # nothing waited for it, so its turn is now
        else:
            self._advance()
        return parked

    def _wake(self, parked: Parked) -> None:
        if not parked.came_ns:
            parked.came_ns = waiting.now_ns()
        if parked.loop is None:
            parked.go()  # it looks for itself
        elif not parked.scheduled:
            parked.scheduled = True
            if waiting.running_loop() is parked.loop:
                next_iteration(parked.loop)(self._open, parked)
            else:
                call(parked.loop, self._open, parked)

    def _enter(self, gate: int, thread: int) -> None:
        """The part is handed over now."""
        self._pass(gate)
        self._settling.answered(thread)
        self._advance()

    # -- loops ---------------------------------------------------------------------------------------------------

    def _open(self, parked: Parked) -> None:
        done = False
        try:
            self._hand_over(parked)
            done = True
        except Exception as error:
            fault(error)
        finally:
            if not done:
                self.open_all()  # a fault of ours must not leave the program waiting

    def _hand_over(self, parked: Parked) -> None:
        """In the loop of a gate whose turn has come: let it go, with what came in the same iteration."""
        with self._lock:
            parked.scheduled = False
            gate = parked.gate
            if self._parked.get(gate) is not parked or self._passed[gate] or parked.future.done():
                return
            if not self._at(gate):
                return  # something turned up that comes first
            again = self._not_yet(parked)
            if again is not None:
                parked.scheduled = True
                again(self._open, parked)
                return
            turn = getattr(parked.loop, TURN, 0)
            due = self._turns.get(id(parked.loop), 0) + self._marks[gate].turns
            now = self._marks[gate].turns > 0 and turn == due  # it comes in the iteration after the mark before it
            mates = self._together(parked)
            for mate in mates:
                self._pass(mate.gate)
            self._turns[id(parked.loop)] = turn if now else turn + 1  # where those that wait go on
            self._enter(gate, get_ident())
        for mate in mates:
            mate.go(at_once=now)

    def _not_yet(self, parked: Parked) -> Callable[..., Any] | None:
        """How to come back later, if the program has not done yet what it did before this came."""
        loop, mark = parked.loop, self._marks[parked.gate]
        if not self._may_go(parked.gate, parked.came_ns):
            return partial(loop.call_later, _POLL)
        parked.hops += 1
        if self._too_early(parked, loop, mark):
            return next_iteration(loop)
        due = None if mark.gap_ns < ADJACENT_NS else waiting.next_timer(loop, self)
        if due is None or due - loop.time() > _CLEARLY * (mark.gap_ns - waiting.now_ns() + parked.came_ns) / 1e9:
            return None
        parked.quiet, parked.timed = 0, True
        return partial(loop.call_at, max(due, loop.time()))

    def _too_early(self, parked: Parked, loop: Any, mark: Mark) -> bool:
        """Whether fewer iterations of the loop have passed than had, or the program still has something to do."""
        turn = getattr(loop, TURN, 0)
        busy = waiting.ready(loop)
        if busy is None or not turn:
            return parked.hops < (mark.turns if 0 <= mark.turns < _HOPS else _HOPS)
        parked.quiet = 0 if busy else parked.quiet + 1
        if 0 <= mark.turns < _MOST_TURNS and not parked.timed:
            return bool(turn + 1 < self._turns.get(id(loop), 0) + mark.turns)
        if mark.gap_ns < ADJACENT_NS or waiting.now_ns() - parked.came_ns > 2 * mark.gap_ns + 1_000_000:
            return False
        return parked.quiet < 2

    def _together(self, parked: Parked) -> list[Parked]:
        """The other gates of the same loop and recorded iteration that wait."""
        mark = self._marks[parked.gate]
        if not mark.tick:
            return [parked]
        mates = [
            other
            for index, other in self._parked.items()
            if other is not parked and other.loop is parked.loop and _share(self._marks[index], mark)
        ]
        return sorted([*mates, parked], key=lambda mate: mate.gate)

    # -- threads -------------------------------------------------------------------------------------------------

    def _sleep(self, parked: Parked) -> None:
        """Wait in a thread until the turn of ``parked`` has come."""
        timeout = _LOOK
        while True:
            parked.lock.acquire(timeout=timeout)
            with self._lock:
                gate = parked.gate
                if self.free or self._passed[gate]:
                    return
                if self._at(gate):
                    if self._may_go(gate, parked.came_ns):
                        self._enter(gate, parked.thread)
                        return
                    timeout = _POLL
                else:
                    timeout = _LOOK
                    self._look()

    def _may_go(self, gate: int, came_ns: int = 0) -> bool:
        return self._settling.settled(get_ident(), self._marks[gate].gap_ns, came_ns)

    def _arrived(self) -> None:
        if self._settling.arrived(get_ident()):
            self._advance()

    def _give_way(self, gate: int) -> None:
        """A call that holds up its loop cannot wait for what would have to come in that loop."""
        mark = self._marks[gate]
        if not mark.loop or self._at(gate):
            return
        for index in range(self._next, gate):
            other = self._marks[index]
            if other.loop == mark.loop and other.needed and not self._passed[index]:
                self._relax(index, mark)

    # -- when the order cannot be reached ------------------------------------------------------------------------

    def _watch(self, loop: Any) -> None:
        if id(loop) not in self._looking:
            self._looking.add(id(loop))
            loop.call_later(_LOOK, self._look_in, loop)

    def _look_in(self, loop: Any) -> None:
        with self._lock:
            self._looking.discard(id(loop))
            here = [one for one in self._parked.values() if one.loop is loop]
            endless = [one for one in self._endless.values() if one[0] is loop]
            hung = self._look() if here or endless else 0
            if here or endless:
                self._watch(loop)
        if hung:  # told without holding the lock: whoever is told takes one of its own
            self._hung(hung)

    def _look(self) -> int:
        """Relax the order if the program cannot come to what is next; the step that hangs, if that is all there is."""
        if self.free:
            return 0
        quiet_ns = waiting.now_ns() - self._moved_ns
        gap = self._marks[self._next].gap_ns if self._next < len(self._marks) else 0
        if quiet_ns < _GRACE_NS + 2 * gap or (quiet_ns < _LONG_GRACE_NS + 3 * gap and self._at_work()):
            return 0
        waits = [gate for gate in self._parked if gate != self._next]
        if waits:
            first = min(waits)
            for index in range(self._next, first):
                if not self._passed[index] and self._marks[index].needed:
                    self._relax(index, self._marks[first])
            self._advance()
        elif self._endless and not self._parked:
            return int(next(iter(self._endless)))
        return 0

    def _at_work(self) -> bool:
        """Whether something of the program may still go on by itself."""
        loops = [parked.loop for parked in self._parked.values() if parked.loop is not None]
        loops += [loop for loop, _ in self._endless.values()]
        return not waiting.others_blocked() or any(
            waiting.ready(loop) or waiting.next_timer(loop, self) is not None for loop in loops
        )

    def _relax(self, index: int, instead: Mark) -> None:
        self._pass(index)
        parked = self._parked.get(index)
        if parked is not None:
            call(parked.loop, parked.go)
        self._relaxations += 1
        mark = self._marks[index]
        self._relaxed(f"step {instead.step} was answered before {mark.told} of step {mark.step}")
        if self._relaxations >= _MOST_RELAXED:
            self.open_all()


def _share(one: Mark, other: Mark) -> bool:
    return one.tick == other.tick and one.loop == other.loop
