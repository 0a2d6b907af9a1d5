"""Code of the program that waits for its turn, in a thread or in an event loop, and how it is let go."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections.abc import Callable
from functools import partial
from typing import Any

from agentrace.capture.scope import TURN
from agentrace.replay import waiting


class Parked:
    """A gate that waits for its turn."""

    __slots__ = ("came_ns", "future", "gate", "hops", "lock", "loop", "quiet", "scheduled", "thread", "timed")

    def __init__(self, gate: int, loop: Any = None) -> None:
        self.gate = gate
        self.loop = loop
        self.future: Any = None if loop is None else loop.create_future()
        self.lock: Any = None
        self.thread = get_ident()
        self.came_ns = 0
        """When its turn came."""
        self.scheduled = False
        self.quiet = 0
        self.hops = 0
        self.timed = False
        """Whether timers were waited for: then the loop does all that follows from them."""
        if loop is None:
            self.lock = allocate_lock()
            self.lock.acquire()

    def go(self, *, at_once: bool = False) -> None:
        """Let the waiting code go on; called in its own loop, or from any thread for a thread.

        Code in a loop goes on in the next iteration, or, with ``at_once``, before this returns.
        """
        if self.lock is not None:
            if self.lock.locked():
                self.lock.release()
        elif not self.future.done():
            ready = getattr(self.loop, "_ready", None)
            before = 0 if ready is None else len(ready)
            self.future.set_result(None)
            if at_once and ready is not None and len(ready) == before + 1:
                ready.pop()._run()  # resumes the task


def next_iteration(loop: Any) -> Callable[..., Any]:
    """How to be called at the end of the loop's next iteration, where answers come in: as a timer that is due."""
    return partial(loop.call_at, loop.time()) if hasattr(loop, TURN) else loop.call_soon


def end(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def call(loop: Any, function: Callable[..., None], *given: Any) -> None:
    """Call ``function`` in a loop, from any thread; at once where there is none."""
    if loop is None:
        function(*given)
        return
    try:
        if waiting.running_loop() is loop:
            loop.call_soon(function, *given)
        else:
            loop.call_soon_threadsafe(function, *given)
    except RuntimeError:  # the loop is closed: nobody waits there
        return
