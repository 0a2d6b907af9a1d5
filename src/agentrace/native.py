"""Threads, locks and clocks of the operating system, also where gevent has put its own in their place.

What agentrace does in the background is done by real threads: greenlets would hold up the program's hub while they
compress, and would not run while the program computes. And a lock that is held for microseconds must not be a point
at which gevent goes on with something else.
"""

from __future__ import annotations

import _thread
import os
import queue
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

T = TypeVar("T")


def _original(module: ModuleType, name: str, ours: T) -> T:
    """What ``ours`` was before gevent replaced it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return ours
    found: T = monkey.get_original(module.__name__, name)
    return found


get_ident = _original(_thread, "get_ident", _thread.get_ident)
start_new_thread = _original(_thread, "start_new_thread", _thread.start_new_thread)
allocate_lock = _original(_thread, "allocate_lock", _thread.allocate_lock)
RLock = _original(_thread, "RLock", _thread.RLock)
if TYPE_CHECKING:
    from queue import SimpleQueue as SimpleQueue
else:
    SimpleQueue = _original(queue, "SimpleQueue", queue.SimpleQueue)
sleep = _original(time, "sleep", time.sleep)


class Repeating:
    """A thread that calls something every so many seconds until it is stopped."""

    def __init__(self, call: Callable[[], Any], seconds: float) -> None:
        """Raises ``RuntimeError`` where no thread can be started, as at the end of the interpreter."""
        self._call = call
        self._seconds = seconds
        self._stop = allocate_lock()
        self._stop.acquire()
        start_new_thread(self._work, ())

    def stop(self) -> None:
        """Call no more; may be called once. Does not wait for a call that goes on."""
        self._stop.release()

    def _work(self) -> None:
        while not self._stop.acquire(timeout=self._seconds):
            self._call()


_own: Final[set[OwnFile]] = set()


class OwnFile:
    """An open file of this process alone: a child that is forked closes it before it does anything else.

    A lock belongs to the open file, whoever has a copy of its descriptor. So what this process has locked is free once
    the process is gone, although its children live on; and no child lets go of what its parent has locked.
    """

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """-1 once it is closed."""
        _own.add(self)

    def close(self) -> None:
        """Close it; doing it twice is harmless. Raises OSError."""
        fd, self.fd = self.fd, -1
        _own.discard(self)
        if fd >= 0:
            os.close(fd)


def _close_inherited() -> None:
    for one in list(_own):
        one.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
