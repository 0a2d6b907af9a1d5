"""The turnstile: answers are handed over in the order in which they came in the recorded run.

The order is a row of marks with a pointer before the first that has not come about. A gate (an answer, or a part of
one) opens when the pointer stands at it, so everything that came before it in the recorded run has come before it now:
calls that were made, timers that fired, other answers. In event loops the iteration is the recorded one as well (see
``loops``). If what the pointer waits for cannot come any more, the order is relaxed and that is told.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from agentrace.capture.answers import END, control_passed
from agentrace.native import get_ident
from agentrace.replay import in_trio, waiting
from agentrace.replay.clock import Clock
from agentrace.replay.loops import InLoop
from agentrace.replay.marks import BEGIN, TIMER, Mark, Order
from agentrace.replay.parked import Parked, call, end
from agentrace.replay.settling import POLL, Settling
from agentrace.replay.timers import LoopTimers

_LOOK: Final = 0.1
"""Seconds between two looks at whether the recorded order can still be reached."""
_GRACE_NS: Final = 400_000_000
_LONG_GRACE_NS: Final = 10_000_000_000
"""The same while something is at work that may still bring it about."""
_MOST_LEFT: Final = 20
"""Iterations that a call takes at most to end when it is cancelled."""
_MOST_RELAXED: Final = 20
"""From then on the order is free: the program is another one."""


class Turnstile:
    """The recorded order of one process, restored; safe to use from several threads and loops."""

    def __init__(self, order: Order, relaxed: Callable[[str], None], hung: Callable[[int], None]) -> None:
        """``relaxed`` is told what came in another order; ``hung`` which source step should have been cancelled."""
        self.order = order
        self.lock = threading.RLock()
        self.free = not order.marks
        self.earlier_threads = waiting.threads()
        self._marks = order.marks
        self._places = order.places
        self._passed = bytearray(len(order.marks))
        self._next = 0
        self._of_step: dict[int, list[int]] = {}
        self._timers: dict[int, deque[int]] = {}
        """By recorded loop, the marks of its timers that have not been called."""
        self._apart_ns: list[int] = []
        """Of each mark, the time since the latest gate before it."""
        apart = 0
        for index, mark in enumerate(order.marks):
            apart += mark.gap_ns
            self._apart_ns.append(apart)
            apart = 0 if mark.gate else apart
            if mark.part == TIMER:
                self._timers.setdefault(mark.loop, deque()).append(index)
            else:
                self._of_step.setdefault(mark.step, []).append(index)
        self._threads: dict[int, Parked] = {}
        """Gates that threads wait for."""
        self._trio = in_trio.InTrio(self)
        self._loops: dict[int, InLoop] = {}
        self._clock = Clock(order.marks)
        self._endless: dict[int, tuple[Any, Any]] = {}
        """Source steps that wait for their cancellation, with their loops."""
        self._relaxed = relaxed
        self._hung = hung
        self._moved_ns = waiting.now_ns()
        self._settling = Settling()
        self._relaxations = 0

    # -- what the program does -----------------------------------------------------------------------------------

    def began(self, step: int) -> None:
        """A step was dispatched."""
        index = self._places.get((step, 0, BEGIN))
        with self.lock:
            self.arrived()
            if index is not None:
                self._pass(index)
                self._advance()

    def asked_for(self, value: int) -> None:
        """A value is asked for, told as minus the seq of its event. Returns when it is its turn, if that can wait."""
        if waiting.running_loop() is None:
            self.wait(value, 0, BEGIN)
        else:
            self.began(value)

    def ended(self, step: int) -> None:
        """A step ended, however: nothing of it comes any more."""
        with self.lock:
            self._endless.pop(step, None)
            for index in self._of_step.get(step, ()):
                self._pass(index)
            self._advance()

    def timers(self, loop: Any) -> LoopTimers | None:
        """The timers of an event loop; ``None`` if nothing is held up any more."""
        with self.lock:
            return None if self.free else self._loop(loop).timers

    def wait(self, step: int, exchange: int, part: int) -> None:
        """Return when it is the turn of this part of the answer to ``step``."""
        gate = self._places.get((step, exchange, part))
        if gate is None:
            return
        with self.lock:
            if self.free or self._passed[gate]:
                return
            self.arrived()
            self._give_way(gate)
            if self.next() >= gate and self.settled(gate, 0):
                self._enter(gate)
                return
            parked = self._threads[gate] = Parked(gate)
            self._advance()
        try:
            self._sleep(parked)
        finally:
            with self.lock:
                self._threads.pop(gate, None)
                self._advance()

    async def turn(self, step: int, exchange: int, part: int) -> None:
        """The same for a coroutine of an asyncio loop."""
        loop = None if in_trio.trio() is not None else waiting.running_loop()  # it may be a guest of asyncio
        gate = self._places.get((step, exchange, part))
        if loop is None:
            if not await self._trio.turn(gate):
                self.wait(step, exchange, part)
            return
        if gate is None or self.free or self._passed[gate]:
            if gate is None or self._marks[gate].suspended:
                await control_passed()
            return
        mark = self._marks[gate]
        if mark.tick and not mark.suspended:
            self.wait(step, exchange, part)  # the answer came without a pause of the task
            return
        with self.lock:
            self.arrived()
            here = self._loop(loop)
            if not mark.suspended and self.next() >= gate and self.settled(gate, 0):
                self._enter(gate)
                return
        strict = False
        while not await self._came(here, gate, strict):
            strict = True

    async def _came(self, here: InLoop, gate: int, strict: bool) -> bool:
        """Wait in a loop; whether everything before the gate has come about when the task goes on."""
        parked = Parked(gate, here.loop)
        parked.strict = strict
        with self.lock:
            here.park(parked)
            self.watch(here.loop)
        try:
            await parked.future
        finally:
            with self.lock:
                here.gone(gate)
        mark = self._marks[gate]
        with self.lock:
            if self.free or self._passed[gate] or self.next() >= gate:
                self._enter(gate)
                return True
            if any(self.missing(index) and self._marks[index].loop == mark.loop for index in range(self._next, gate)):
                return False
        self.wait(mark.step, mark.exchange, mark.part)  # threads did something while the loop was in this iteration
        return True

    async def endless(self, step: int) -> None:
        """Return only when the cancellation that ended ``step`` in the recorded run cannot come any more."""
        loop = None if in_trio.trio() is not None else waiting.running_loop()
        if loop is None:
            await self._trio.endless(step)
            return
        future = loop.create_future()
        with self.lock:
            here = self._loop(loop)
            self._endless[step] = (loop, future)
            self.arrived()
            self.watch(loop)
        try:
            await self._resumed_to_be_cancelled(here, step)
            await future
        finally:
            with self.lock:
                self._endless.pop(step, None)

    async def _resumed_to_be_cancelled(self, here: InLoop, step: int) -> None:
        """Go on in the iteration in which the cancelled call ended.

        That is not always the one after ``cancel()``: what the call waited for may have come in the same iteration, so
        that it was resumed before, or it may have had something to do.
        """
        gate = self._places.get((step, 0, END))
        if gate is None or not here.counted:
            return
        mark = self._marks[gate]
        parked = Parked(gate, here.loop)
        parked.cancelled = True
        try:
            with self.lock:
                here.park(parked)
            await parked.future
        except BaseException:
            while not self.free and 0 < here.left(mark) < _MOST_LEFT:
                await control_passed()
            raise
        finally:
            with self.lock:
                here.gone(gate)

    def open_all(self) -> None:
        """Let everything go that waits, and hold nothing up any more."""
        with self.lock:
            self.free = True
            for here in self._loops.values():
                call(here.loop, here.leave)
            for parked in self._parked():
                call(parked.loop, parked.go)
            for loop, future in list(self._endless.values()):
                call(loop, end, future)

    # -- the pointer ---------------------------------------------------------------------------------------------

    def missing(self, index: int) -> bool:
        """Whether a mark has not come about and what comes later waits for it."""
        return not self._passed[index] and (self._marks[index].needed or self._is_parked(index))

    def next(self) -> int:
        """The first mark that is missing."""
        count = len(self._marks)
        while self._next < count and not self.missing(self._next):
            self._next += 1
        return self._next

    def timer(self, loop: int) -> int | None:
        """The mark of the next timer of a recorded loop."""
        found = self._timers.get(loop)
        while found and self._passed[found[0]]:
            found.popleft()
        return found[0] if found else None

    def skip(self, index: int) -> None:
        """A mark comes about by itself, or does not come any more."""
        self._pass(index)
        self._advance()

    def settled(self, gate: int, asked: int) -> bool:
        """Whether the other threads have done what they did before a gate opened; ``asked`` so often before."""
        return self._settling.settled(get_ident(), self._apart_ns[gate], asked)

    def _parked(self) -> list[Parked]:
        apart = (*self._threads.values(), *self._trio.parked.values())
        return [*apart, *(one for loop in self._loops.values() for one in loop.parked.values())]

    def _is_parked(self, index: int) -> bool:
        apart = index in self._threads or index in self._trio.parked
        return apart or any(index in loop.parked for loop in self._loops.values())

    def _loop(self, loop: Any) -> InLoop:
        found = self._loops.get(id(loop))
        if found is None or found.loop is not loop:
            self._loops = {key: one for key, one in self._loops.items() if not one.loop.is_closed()}
            found = self._loops[id(loop)] = InLoop(self, loop, self._clock)
        return found

    def _pass(self, index: int) -> None:
        """A mark comes about."""
        if self._passed[index]:
            return
        self._passed[index] = 1
        self._moved_ns = waiting.now_ns()
        mark = self._marks[index]
        if mark.loop and (loop := waiting.running_loop()) is not None:
            self._loop(loop).passed(mark)
        if self._loops and not mark.is_timer:
            self._clock.passed(index, all(one.alone() or one.loop.is_closed() for one in self._loops.values()))

    def _advance(self) -> None:
        """Wake what the pointer stands at, or has left behind."""
        following = self.next()
        for gate, parked in self._threads.items():
            if gate <= following:
                parked.go()  # it looks for itself
        self._trio.rouse(following)
        for loop in self._loops.values():
            loop.rouse()

    def _enter(self, gate: int) -> None:
        """The part is handed over now."""
        self._pass(gate)
        self._settling.answered(get_ident())
        self._advance()

    # -- threads -------------------------------------------------------------------------------------------------

    def _sleep(self, parked: Parked) -> None:
        """Wait in a thread until the turn of ``parked`` has come."""
        timeout = 0.0
        gate = parked.gate
        while True:
            if timeout:
                parked.lock.acquire(timeout=timeout)
            with self.lock:
                if self.free or self._passed[gate]:
                    return
                if self.next() >= gate:
                    if self.settled(gate, parked.asked):
                        self._enter(gate)
                        return
                    parked.asked += 1
                    timeout = POLL
                else:
                    timeout = _LOOK
                    self._look()

    def arrived(self) -> None:
        """The calling thread has come to its next mark, or goes on when others have done something."""
        if self._settling.arrived(get_ident()):
            self._advance()

    def _give_way(self, gate: int) -> None:
        """A call that holds up its loop cannot wait for what would have to come in that loop."""
        mark = self._marks[gate]
        if mark.loop:
            for index in range(self.next(), gate):
                if self._marks[index].loop == mark.loop and self.missing(index):
                    self._relax(index, mark)

    # -- when the order cannot be reached ------------------------------------------------------------------------

    def watch(self, loop: Any) -> None:
        """See to it that the order is relaxed if the program cannot come to what is next."""
        here = self._loop(loop)
        if not here.watched:
            here.watched = True
            loop.call_later(_LOOK, self._look_in, here)

    def _look_in(self, here: InLoop) -> None:
        loop = here.loop
        with self.lock:
            here.watched = False
            endless = any(one[0] is loop for one in self._endless.values())
            waits = endless or bool(here.parked) or here.timers.waited_for
            hung = self._look() if waits else 0
            if waits:
                self.watch(loop)
        if hung:  # told without holding the lock: whoever is told takes one of its own
            self._hung(hung)

    def _look(self) -> int:
        """Relax the order if the program cannot come to what is next; the step that hangs, if that is all there is."""
        if self.free:
            return 0
        quiet_ns = waiting.now_ns() - self._moved_ns
        following = self.next()
        gap = self._marks[following].gap_ns if following < len(self._marks) else 0
        if quiet_ns < _GRACE_NS + 2 * gap or (quiet_ns < _LONG_GRACE_NS + 3 * gap and self._at_work()):
            return 0
        parked = [one.gate for one in self._parked() if not one.cancelled]
        waits = [gate for gate in parked if gate != following]
        held = (self.timer(loop.ordinal) for loop in self._loops.values() if loop.timers.waited_for)
        waits += [timer for timer in held if timer is not None and timer != following]
        if waits:
            first = min(waits)
            for index in range(following, first):
                if self.missing(index):
                    self._relax(index, self._marks[first])
            self._advance()
        elif self._endless and not parked:
            return int(next(iter(self._endless)))
        return 0

    def _at_work(self) -> bool:
        """Whether something of the program may still go on by itself."""
        return not waiting.others_blocked() or any(
            one.loop.is_running() and (waiting.ready(one.loop) or one.timers.waited_for) for one in self._loops.values()
        )

    def _relax(self, index: int, instead: Mark) -> None:
        self._passed[index] = 1
        self._moved_ns = waiting.now_ns()
        for parked in self._parked():
            if parked.gate == index:
                call(parked.loop, parked.go)
        self._relaxations += 1
        self._relaxed(f"step {instead.step} was answered before {self._marks[index].told}")
        if self._relaxations >= _MOST_RELAXED:
            self.open_all()
