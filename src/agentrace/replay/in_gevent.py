"""Waiting in a greenlet of gevent, so that the others go on meanwhile. Nothing is imported that the program has not."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from agentrace.native import allocate_lock

if TYPE_CHECKING:
    from agentrace.replay.order import Turnstile

_LOOK: Final = 0.01
"""Seconds between two looks at whether a cancellation may still come."""


def gevent() -> Any:
    """The module, in a thread that has a hub; ``None`` elsewhere."""
    found = sys.modules.get("gevent")
    if found is None or importlib.import_module("gevent._hub_local").get_hub_if_exists() is None:
        return None
    return found


def lock() -> Any:
    """A lock that lets other greenlets go on while one waits for it, where there are any."""
    return allocate_lock() if gevent() is None else importlib.import_module("gevent.thread").allocate_lock()


def endless(turnstile: Turnstile, step: int) -> bool:
    """Return when the cancellation that ended ``step`` in the recorded run cannot come any more; ``False`` at once
    where it could not come."""
    library = gevent()
    if library is None:
        return False
    with turnstile.lock:
        turnstile._endless[step] = None, _Nobody()
        turnstile.arrived()
    try:
        hung = 0
        while not (turnstile.free or hung):
            library.sleep(_LOOK)
            with turnstile.lock:
                hung = turnstile._look()
    finally:
        with turnstile.lock:
            turnstile._endless.pop(step, None)
    return True


class _Nobody:
    """In place of a future: the one that waits looks for itself."""

    def done(self) -> bool:
        return True
