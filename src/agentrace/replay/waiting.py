"""Whether a thread or an event loop has done all it can do, so that what it waits for may come."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final

from agentrace.native import get_ident


def _never(_: FrameType) -> bool:
    return False


def _notified(frame: FrameType) -> bool:
    """``Condition.wait``: it is not among those that wait any more. It may have its lock, and wait for the GIL."""
    waiter, waiters = frame.f_locals.get("waiter"), getattr(frame.f_locals.get("self"), "_waiters", ())
    if waiter is None:
        return False
    return not any(other is waiter for other in list(waiters)) or _starts_a_thread(frame)


def _starts_a_thread(frame: FrameType) -> bool:
    """``Thread.start``, which waits in an ``Event`` until the thread, which nobody can see so far, has begun."""
    event = frame.f_back
    caller = None if event is None else event.f_back
    return caller is not None and caller.f_code is _START


_START: Final = inspect.unwrap(threading.Thread.start).__code__


def _other_ended(frame: FrameType) -> bool:
    """``Thread.join``: the thread that is waited for has ended."""
    other = frame.f_locals.get("self")
    return isinstance(other, threading.Thread) and other.ident not in threading._active  # type: ignore[attr-defined]


def _called(frame: FrameType) -> bool:
    """``select`` of an event loop: something has been put into the loop."""
    outer = frame.f_back
    return outer is not None and bool(ready(outer.f_locals.get("self")))


def _has_job(frame: FrameType) -> bool:
    """A thread of trio: it has been given something."""
    return getattr(frame.f_locals.get("self"), "_job", None) is not None


def _has_tasks(frame: FrameType) -> bool:
    """The thread that trio runs in: something is to run there."""
    outer = frame.f_back
    runner: Any = None if outer is None else outer.f_locals.get("runner")
    queue = getattr(runner, "entry_queue", None)
    return queue is not None and (bool(runner.runq) or queue.size() > 0)


def _has_work(frame: FrameType) -> bool:
    """A worker of a pool: it has been given something."""
    work = frame.f_locals.get("work_queue")
    return work is not None and not work.empty()


_BLOCKED_IN: Final[dict[tuple[str, str], Callable[[FrameType], bool]]] = {
    ("threading.py", "wait"): _notified,
    ("threading.py", "_wait_for_tstate_lock"): _other_ended,
    ("threading.py", "join"): _other_ended,
    ("threading.py", "_join_os_thread"): _other_ended,
    ("selectors.py", "select"): _called,
    ("queue.py", "get"): _never,
    ("concurrent/futures/thread.py", "_worker"): _has_work,
    ("subprocess.py", "_try_wait"): _never,
    ("multiprocessing/popen_fork.py", "poll"): _never,
    ("trio/_core/_thread_cache.py", "_work"): _has_job,
    ("trio/_core/_io_epoll.py", "get_events"): _has_tasks,
}
"""File of the standard library, or of trio, and function of the top Python frame of a thread that is blocked, or has
nothing to do; and how one sees that what it waits for has come about, so that it is about to go on."""


_TURNS: Final = frozenset({"_sleep", "never"})
"""Functions of this package in which threads wait for their turn; one that just got it is there as well."""
_WAITING_HERE: Final = _TURNS | {"_before_iteration"}
"""The same, and where the thread of an event loop waits for what other threads do before its next iteration."""
_known: dict[CodeType, Callable[[FrameType], bool] | None] = {}
"""Of code that was seen: for threads that wait, whether they are about to go on; ``None`` for those at work."""


def _frames() -> dict[int, FrameType]:
    """The topmost frame of each thread.

    CPython 3.11 makes frame objects for this while it holds the lock that threads begin and end under. If that starts
    a garbage collection, and a finalizer lets another thread run that begins or ends, both wait for ever.
    """
    if not _COLLECTS_AT_ONCE or not gc.isenabled():
        return sys._current_frames()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        gc.enable()


_COLLECTS_AT_ONCE: Final = sys.version_info < (3, 12)


def blocked(ident: int) -> bool:
    """Whether a thread waits in one of the places of the standard library that threads wait in, or is gone."""
    frame = _frames().get(ident)
    return frame is None or bool(_waits(frame) and frame.f_code.co_name not in _TURNS)


def threads() -> frozenset[int]:
    """The threads that there are."""
    return frozenset(_frames())


def others_blocked(but: frozenset[int] | None = None) -> bool:
    """Whether no other thread of the program is at work: each waits, or has not moved for a while.

    With ``but``, a thread that is not one of those may be waiting for something real where it does not move.
    """
    frames = _frames()
    if len(frames) == 1:
        return True
    mine = get_ident()
    found = True
    for ident, frame in frames.items():  # all are looked at, so that each is seen standing still
        if ident != mine:
            waits = _waits(frame)
            if waits is None:
                waits = _is_ours(frame) or (_stands_still(ident, frame) and (but is None or ident in but))
            found = found and waits
    return found


def _is_ours(frame: FrameType | None) -> bool:
    """Whether a thread does agentrace's work and not the program's."""
    while frame is not None:
        code = frame.f_code
        if code.co_name in _OUR_WORK and code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False


_OUR_WORK: Final = frozenset({"_work", "_sync"})
_HERE: Final = os.path.dirname(__file__)
_PACKAGE: Final = os.path.dirname(_HERE) + os.sep
_STANDARD: Final = os.path.dirname(threading.__file__) + os.sep


def _stands_still(ident: int, frame: FrameType) -> bool:
    """Whether a thread is where it was some milliseconds ago: in a call that is not Python's, which may take long."""
    place = (id(frame), frame.f_lasti)
    now = now_ns()
    known = _seen.get(ident)
    if known is None or known[0] != place:
        _seen[ident] = (place, now)
        return False
    return now - known[1] > _STILL_NS


_seen: dict[int, tuple[tuple[int, int], int]] = {}
"""By thread, where it was seen, and since when."""
_STILL_NS: Final = 15_000_000


def _waits(frame: FrameType) -> bool | None:
    """Whether a thread waits, for its turn or for something that has not come about; ``None`` if it does not tell."""
    code = frame.f_code
    try:
        about_to_go_on = _known[code]
    except KeyError:
        about_to_go_on = _known[code] = _asked(code)
    return None if about_to_go_on is None else not about_to_go_on(frame)


def _asked(code: CodeType) -> Callable[[FrameType], bool] | None:
    file, name = code.co_filename, code.co_name
    if os.path.dirname(file) == _HERE:
        return _never if name in _WAITING_HERE else None
    _, of_trio, rest = file.rpartition("/trio/_core/")
    if of_trio:
        return _BLOCKED_IN.get((f"trio/_core/{rest}", name))
    return _BLOCKED_IN.get((file[len(_STANDARD) :], name)) if file.startswith(_STANDARD) else None


def running_loop() -> Any:
    """The event loop that runs in this thread; ``None`` also where nobody has imported asyncio."""
    known = sys.modules.get("asyncio.events")
    return None if known is None else known._get_running_loop()


def ready(loop: Any) -> bool | None:
    """Whether something is about to run in ``loop``; ``None`` where the loop does not tell."""
    waiting = getattr(loop, "_ready", None)
    return None if waiting is None else bool(waiting)


def now_ns() -> int:
    """Monotonic nanoseconds, whatever the program has made of its clocks."""
    return _monotonic_ns()


_monotonic_ns = time.monotonic_ns
