"""Whether a thread or an event loop has done all it can do, so that what it waits for may come."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any, Final

_BLOCKED_IN: Final = frozenset(
    {
        ("threading.py", "wait"),
        ("threading.py", "_wait_for_tstate_lock"),
        ("threading.py", "join"),
        ("threading.py", "_join_os_thread"),
        ("selectors.py", "select"),
        ("queue.py", "get"),
        ("thread.py", "_worker"),
        ("subprocess.py", "_try_wait"),
        ("popen_fork.py", "poll"),
        ("background.py", "_run"),
        ("behind.py", "_work"),
    }
)
"""File and function of the top Python frame of a thread that is blocked, or has nothing to do."""


_WAITING_HERE: Final = frozenset({("order.py", "_sleep"), ("turns.py", "never")})
"""The same for threads that wait for their turn; one that just got it is there as well."""
_known: dict[CodeType, int] = {}
"""Of code that was seen: 0 at work, 1 waiting for its turn, 2 blocked."""


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
    return frame is None or _state(frame.f_code) == 2


def others_blocked(*, patient: bool = False) -> bool:
    """Whether no other thread of the program is at work: each waits, or, unless ``patient``, has not moved for a while."""
    frames = _frames()
    if len(frames) == 1:
        return True
    mine = threading.get_ident()
    found = True
    for ident, frame in frames.items():  # all are looked at, so that each is seen standing still
        if ident != mine and not (
            _state(frame.f_code) or _is_ours(frame) or (_stands_still(ident, frame) and not patient)
        ):
            found = False
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
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


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
_STILL_NS: Final = 3_000_000


def _state(code: CodeType) -> int:
    found = _known.get(code)
    if found is None:
        place = os.path.basename(code.co_filename), code.co_name
        found = _known[code] = 2 if place in _BLOCKED_IN else int(place in _WAITING_HERE)
    return found


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
