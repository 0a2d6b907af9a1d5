"""How a flow gets into greenlets of gevent, and when their order is a matter of timing.

A greenlet begins with an empty context, so nothing would tell whose it is. gevent says when one is started, where it
is started: there it is given a context with a flow of its own. Which of several goes on at what moment is the hub's
business. Whether the standard library was patched, and when, does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from types import ModuleType
from typing import Any

from agentrace.capture.carriers import STARTING, Job, branch, replace
from agentrace.capture.guard import fault
from agentrace.capture.scope import FLOW, Flow


class Greenlets:
    """The greenlets of the program in this process."""

    def __init__(self) -> None:
        self._living: set[int] = set()
        """Identities of those that were started and have not ended."""
        self._current: Callable[[], Any] = _none
        self._stop: Callable[[], None] = _none

    def carry(self, module: ModuleType) -> None:
        """Greenlets carry the flow of where they were started. ``module`` is ``gevent``."""
        greenlet, started = module.Greenlet, self.started
        self._current = module.getcurrent
        greenlet.add_spawn_callback(started)
        self._stop = lambda: greenlet.remove_spawn_callback(started)
        replace(module, "spawn_raw", _spawn_raw)

    def remove(self) -> None:
        """Take back what :meth:`carry` put in place."""
        self._stop()
        self._stop = _none

    def started(self, greenlet: Any) -> None:
        """A greenlet is started by the calling code."""
        if STARTING.get():  # when a pool starts its workers depends on timing
            return
        flow = branch("task")
        if flow is None:
            return
        try:
            _give(greenlet, flow)
            self._living.add(id(greenlet))
            greenlet.rawlink(self._ended)
        except Exception as error:
            fault(error)

    def _ended(self, greenlet: Any) -> None:
        self._living.discard(id(greenlet))

    def beside_others(self) -> bool:
        """Whether other greenlets are there beside the calling one."""
        living = self._living
        return bool(living) and (len(living) > 1 or id(self._current()) not in living)


def _none() -> None:
    return None


def _give(greenlet: Any, flow: Flow) -> None:
    if greenlet.gr_context is None:
        greenlet.gr_context = Context()
    greenlet.gr_context.run(FLOW.set, flow)


def _spawn_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    def spawn_raw(function: Any, *args: Any, **kwargs: Any) -> Any:
        flow = branch("task")
        greenlet = original(function, *args, **kwargs)
        if flow is not None:
            flow.shared = True  # nobody says when it ends
            try:
                _give(greenlet, flow)
            except Exception as error:
                fault(error)
        return greenlet

    return spawn_raw


def carry_gevent_threads(module: ModuleType) -> None:
    """Jobs of gevent's thread pools carry their flow. ``module`` is ``gevent.threadpool``."""
    replace(module.ThreadPool, "spawn", _spawn)


def _spawn(original: Callable[..., Any]) -> Callable[..., Any]:
    def spawn(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        flow = branch("thread")
        return original(self, func if flow is None else Job(func, flow), *args, **kwargs)

    return spawn
