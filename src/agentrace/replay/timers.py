"""The timers of the program in one event loop: each is called in the iteration in which it was called.

They are told by what made them, and not by their time: a replay takes other time between two calls, so that the sleep
that ended first might end last. Until its turn comes a timer is kept out of the loop.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from agentrace.capture.iterations import is_ours, timers_of
from agentrace.replay.clock import Clock
from agentrace.replay.marks import Mark
from agentrace.replay.pointer import Pointer

MOST_TURNS: Final = 100
"""Iterations that are gone through in a loop that has nothing to do."""
_MOST_AHEAD: Final = 200
"""Marks that are looked at for what comes in one iteration."""
_PURGE: Final = 256
"""How many timers are kept until those that were cancelled are forgotten."""


def _when(timer: Any) -> float:
    when: float = timer.when()
    return when


class Here(Protocol):
    """The loop whose timers they are."""

    loop: Any
    ordinal: int
    """Of the recorded loop; 0 while that is not known."""

    def left(self, mark: Mark) -> int:
        """Iterations until the one in which a mark comes."""
        ...

    def alone(self) -> bool:
        """Whether the program waits for nothing but what this loop and the record give it."""
        ...

    def again(self) -> None:
        """Look again in the next iteration, which waits for nothing."""
        ...


class _Kept:
    """What a thread gave to the loop before its turn; like a timer that is due."""

    def __init__(self, told: tuple[str, int], call: Callable[[], None]) -> None:
        self.told = told
        self.call = call

    def when(self) -> float:
        """Before any timer."""
        return -math.inf

    def cancelled(self) -> bool:
        """Never: whoever gave it cannot know whether it was called."""
        return False


class LoopTimers:
    """The timers of one loop; used in it, under the turnstile's lock."""

    def __init__(self, pointer: Pointer, clock: Clock, here: Here) -> None:
        self._timers: dict[tuple[str, int], Any] = {}
        """Those that were not called, by what made them. They are in the loop when it is their turn, or while it is not
        known what comes."""
        self._on_its_way: set[tuple[str, int]] = set()
        """What threads gave to the loop and it has not called."""
        self._purge_at = _PURGE
        self._loose = False
        """Whether they are in the loop."""
        self._pointer = pointer
        self._clock = clock
        self._here = here
        self._loop = here.loop
        self._marks = pointer.order.marks

    @property
    def waited_for(self) -> bool:
        """Whether the program waits for its time to come."""
        return any(not timer.cancelled() for timer in self._timers.values())

    # -- what the program does -----------------------------------------------------------------------------------

    def made(self, timer: Any, told: tuple[str, int]) -> None:
        """A timer of the program."""
        with self._pointer.lock:
            self._in_loop_of(told)
            if len(self._timers) >= self._purge_at:
                self._timers = {key: kept for key, kept in self._timers.items() if not kept.cancelled()}
                self._purge_at = 2 * len(self._timers) + _PURGE
            self._timers[told] = timer

    def called(self, told: tuple[str, int]) -> None:
        """It is called now."""
        index = self._pointer.order.timers.get(told)
        with self._pointer.lock:
            self._timers.pop(told, None)
            self._on_its_way.discard(told)
            if index is not None:
                self._pointer.skip(index)

    def posting(self, told: tuple[str, int]) -> None:
        """A thread gives a callback to the loop."""
        with self._pointer.lock:
            self._in_loop_of(told)
            self._on_its_way.add(told)

    def _in_loop_of(self, told: tuple[str, int]) -> None:
        """The recorded loop is the one that called this."""
        index = self._pointer.order.timers.get(told)
        if index is not None and not self._here.ordinal:
            self._here.ordinal = self._marks[index].loop

    def posted(self, told: tuple[str, int], call: Callable[[], None]) -> bool:
        """The loop calls it now; whether it has to wait for its turn, in which ``call`` is called."""
        index = self._pointer.order.timers.get(told)
        with self._pointer.lock:
            if index is not None and not self._pointer.free and not self._is_its_turn(index):
                self._timers[told] = _Kept(told, partial(self._call, told, call))
                self._pointer.watch(self._loop)
                return True
        self.called(told)
        return False

    def _is_its_turn(self, index: int) -> bool:
        return index <= self._pointer.next() and self._here.left(self._marks[index]) <= 0

    def _call(self, told: tuple[str, int], call: Callable[[], None]) -> None:
        self.called(told)
        call()

    def awaited(self, index: int) -> bool:
        """Whether a timer waits for this mark, or a thread is still to come to it."""
        mark = self._marks[index]
        return self.live(index) is not None or (mark.posted and mark.timer not in self._on_its_way)

    def look(self, idle: bool) -> None:
        """Call the timers whose iteration this is, and no others; ``idle`` if nothing else happens in the loop now."""
        recorded = self._pointer.timer(self._here.ordinal)
        if recorded is None and not self._timers:
            return
        order = self._pointer.order
        if recorded is None and not order.whole and self._here.ordinal not in order.over:
            self.give_back()  # it is not known what comes
            return
        self._hold()
        coming = self._coming_timers()
        timers = self._there(coming)
        left = self._here.left(self._marks[coming[0]]) if coming else 0
        lacking = [at for at in coming if not self._marks[at].posted and self.live(at) is None]
        if lacking and idle and self._here.alone():
            for index in lacking:
                self._pointer.skip(index)  # the program has not made it: it does not do exactly what it did
            self._here.again()
        elif timers and left <= 0:
            self._bring(timers)
        elif timers and left <= MOST_TURNS and self._here.alone():
            self._here.again()
        elif idle and self._is_waited_for() and not (coming and self._marks[coming[0]].posted and not timers):
            self._bring(timers or self._earliest())

    def _there(self, coming: list[int]) -> list[Any]:
        """Those timers of marks that can be called: none behind what a thread has not given to the loop yet."""
        timers = []
        for index in coming:
            timer = self.live(index)
            if timer is not None:
                timers.append(timer)
            elif self.awaited(index):
                break
        return timers

    def live(self, index: int) -> Any:
        """The timer of a mark; ``None`` if there is none."""
        timer = self._timers.get(self._marks[index].timer)
        return None if timer is None or timer.cancelled() else timer

    def _earliest(self) -> list[Any]:
        """The first that is not cancelled, unless a library waits for something that comes before it."""
        first = min((one for one in self._timers.values() if not one.cancelled()), key=_when, default=None)
        theirs = [one for one in self._loop._scheduled if not (one.cancelled() or is_ours(one))]
        others = min(map(_when, theirs), default=math.inf)
        return [] if first is None or others < first.when() else [first]

    def _is_waited_for(self) -> bool:
        """Whether what comes next has to be done in this loop, or nothing comes any more."""
        following = self._pointer.next()
        return following >= len(self._marks) or self._marks[following].loop == self._here.ordinal

    def _bring(self, timers: list[Any]) -> None:
        """Have timers called in this order, now if nothing real goes on beside them, and else when it is their time."""
        due = -math.inf
        for kept in [timer for timer in timers if isinstance(timer, _Kept)]:
            self._give(kept)
        timers = [timer for timer in timers if not isinstance(timer, _Kept)]
        for timer, when in zip(timers, sorted(timer.when() for timer in timers), strict=True):
            due = timer._when = max(when, math.nextafter(due, math.inf))
            heapq.heappush(self._loop._scheduled, timer)
        if due > self._clock.time() and self._here.alone():
            self._clock.jump(due)

    def _give(self, kept: _Kept) -> None:
        """Have the loop call something in this iteration, once."""
        del self._timers[kept.told]
        self._loop.call_soon(kept.call)

    def _hold(self) -> None:
        """Take the timers of the program out of the loop."""
        self._loose = False
        others = [timer for timer in self._loop._scheduled if not self._is_held(timer)]
        if len(others) < len(self._loop._scheduled):
            heapq.heapify(others)
            self._loop._scheduled = others
        if self._timers:
            self._pointer.watch(self._loop)

    def _is_held(self, timer: Any) -> bool:
        made = timers_of(self._loop).made(timer)
        return made is not None and self._timers.get(made.told) is timer

    def give_back(self) -> None:
        """Put them into the loop again."""
        if not self._loose:
            self._hold()
            for timer in [*self._timers.values()]:
                if isinstance(timer, _Kept):
                    self._give(timer)
                else:
                    heapq.heappush(self._loop._scheduled, timer)
            self._loose = True

    def _coming_timers(self) -> list[int]:
        """The marks of timers that come in one iteration, if all that came before it has come."""
        found: list[int] = []
        reference: Mark | None = None
        following = self._pointer.next()
        for index in range(following, min(following + _MOST_AHEAD, len(self._marks))):
            if not self._pointer.missing(index):
                continue
            mark = self._marks[index]
            if reference is not None and mark.loop != self._here.ordinal:
                continue  # a thread did something while the loop was in this iteration
            if reference is not None and not reference.is_beside(mark):
                break
            reference = mark
            if mark.loop != self._here.ordinal or not mark.tick:
                break
            if mark.is_timer:
                found.append(index)
        return found
