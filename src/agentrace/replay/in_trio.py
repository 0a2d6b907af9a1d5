"""Answers in trio: each comes when everything before it in the recorded order has come.

trio shuffles its tasks and does not tell its turns, so answers are handed over one at a time, and what a task does with
one at once comes before the next. Nothing is imported: where a task of trio runs, the program has imported trio.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from agentrace.replay.parked import Parked
from agentrace.replay.settling import POLL

if TYPE_CHECKING:
    from agentrace.replay.order import Turnstile

_LOOK: Final = 0.1
"""Seconds between two looks at whether the recorded order can still be reached."""


def trio() -> Any:
    """The module, in a task of trio; ``None`` elsewhere."""
    found = sys.modules.get("trio")
    if found is None:
        return None
    try:
        found.lowlevel.current_task()
    except (AttributeError, RuntimeError):
        return None
    return found


class ParkedTask(Parked):
    """What a task of trio waits for."""

    __slots__ = ("_event", "_token", "_trio")

    def __init__(self, gate: int, library: Any) -> None:
        super().__init__(gate)
        self._trio = library
        self._event = library.Event()
        self._token = library.lowlevel.current_trio_token()

    def go(self) -> None:
        """Let the task go on; called from any thread."""
        try:
            self._token.run_sync_soon(self._event.set)
        except RuntimeError:  # trio has ended: nobody waits there
            return

    def done(self) -> bool:
        """As of a future that can be ended more than once."""
        return False

    def set_result(self, _: None) -> None:
        """The same."""
        self.go()

    async def wait(self, seconds: float) -> None:
        """Return when it may go on, or after some time."""
        with self._trio.move_on_after(seconds):
            await self._event.wait()
        self._event = self._trio.Event()


class InTrio:
    """The gates of the tasks of trio."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self.parked: dict[int, ParkedTask] = {}

    async def turn(self, gate: int | None) -> bool:
        """Return when it is the turn of a gate; whether the caller is a task of trio at all."""
        library, turnstile = trio(), self._turnstile
        if library is None:
            return False
        await library.lowlevel.checkpoint()
        if gate is None:
            return True
        parked = ParkedTask(gate, library)
        with turnstile.lock:
            turnstile.arrived()
            self.parked[gate] = parked
            turnstile._advance()
        try:
            while (seconds := self._left(parked)) > 0:
                await parked.wait(seconds)
        finally:
            with turnstile.lock:
                self.parked.pop(gate, None)
                turnstile._advance()
        return True

    def rouse(self, gate: int) -> None:
        """It is the turn of a gate."""
        parked = self.parked.get(gate)
        if parked is not None:
            parked.go()

    async def endless(self, step: int) -> None:
        """Return only when the cancellation that ended ``step`` in the recorded run cannot come any more."""
        library, turnstile = trio(), self._turnstile
        if library is None:
            return
        waiting = ParkedTask(0, library)
        with turnstile.lock:
            turnstile._endless[step] = None, waiting
            turnstile.arrived()
        try:
            hung = 0
            while not (turnstile.free or hung):
                await waiting.wait(_LOOK)
                with turnstile.lock:
                    hung = turnstile._look()
        finally:
            with turnstile.lock:
                turnstile._endless.pop(step, None)
        if hung:
            turnstile._hung(hung)

    def _left(self, parked: ParkedTask) -> float:
        """Seconds until a task looks again; 0 if it goes on now."""
        gate, turnstile = parked.gate, self._turnstile
        with turnstile.lock:
            if turnstile.free or turnstile._passed[gate]:
                return 0
            if turnstile.next() < gate:
                if next(iter(self.parked)) == gate:  # one looks for all
                    turnstile._look()
                return _LOOK
            if turnstile.settled(gate, parked.asked):
                turnstile._enter(gate)
                return 0
            parked.asked += 1
            return POLL
