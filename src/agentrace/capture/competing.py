"""Threads that take jobs from one queue: which of them gets which job is a matter of timing, and told as such.

Tasks of an event loop are another thing: in what order they go on is recorded and restored.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final
from weakref import ref

from agentrace.capture import process
from agentrace.capture.call import is_library
from agentrace.capture.carriers import replace
from agentrace.capture.guard import fault
from agentrace.capture.scope import Flow

_TAKER: Final = "_agentrace_taker"


def watch_queues(module: ModuleType) -> None:
    """Note who takes something from queues. ``module`` is ``queue``; its ``SimpleQueue`` cannot be watched."""
    if module.Queue.__module__ == module.__name__:  # gevent's own queues are for greenlets, whose order is told as such
        replace(module.Queue, "get", _get)


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        item = original(self, block, timeout)
        recording = process.current
        if recording is not None:
            try:
                flow = recording.flow_given()
                # Libraries keep connections and the like in queues: there it does not matter who gets which.
                if flow is not None and not is_library(sys._getframe(1).f_code.co_filename):
                    _taken(self, flow)
            except Exception as error:
                fault(error)
        return item

    return get


def _taken(queue: Any, flow: Flow) -> None:
    """The thread that runs ``flow`` got something, which another that takes from the queue might have got."""
    me = threading.get_ident()
    ident, before = queue.__dict__.get(_TAKER, (me, ref(flow)))
    queue.__dict__[_TAKER] = me, ref(flow)
    if ident != me or getattr(getattr(queue, "not_empty", None), "_waiters", ()):
        flow.shared = True
        other = before()
        if ident != me and other is not None:
            other.shared = True
