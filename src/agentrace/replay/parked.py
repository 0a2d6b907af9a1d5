"""Code of the program that waits for its turn, in a thread or in an event loop, and how it is let go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentrace.replay import waiting
from agentrace.replay.in_gevent import lock


class Parked:
    """A gate that waits for its turn."""

    __slots__ = ("asked", "came_ns", "cancelled", "future", "gate", "hops", "lock", "loop", "strict")

    def __init__(self, gate: int, loop: Any = None) -> None:
        self.gate = gate
        self.loop = loop
        """``None`` in a thread."""
        self.future: Any = None if loop is None else loop.create_future()
        self.lock: Any = None
        self.came_ns = 0
        """When its turn came."""
        self.asked = 0
        """How often it was asked since whether other threads have settled."""
        self.hops = 0
        """How often its loop has looked at it since."""
        self.cancelled = False
        """Whether it does not go on by itself, but is cancelled."""
        self.strict = False
        """Whether it was let go in vain, so that it waits until everything before it has come about."""
        if loop is None:
            self.lock = lock()
            self.lock.acquire()

    def go(self) -> None:
        """Let the waiting code go on; called in its own loop, or from any thread for a thread."""
        if self.lock is not None:
            if self.lock.locked():
                self.lock.release()
        else:
            end(self.future)


def end(future: Any) -> None:
    """Let whoever waits for ``future`` go on."""
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
