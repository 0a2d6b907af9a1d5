"""Whether a thread or an event loop has done all it can do, so that what it waits for may come."""

from __future__ import annotations

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


def blocked(ident: int) -> bool:
    """Whether a thread waits in one of the places of the standard library that threads wait in, or is gone."""
    frame = sys._current_frames().get(ident)
    return frame is None or _state(frame.f_code) == 2


def others_blocked() -> bool:
    """Whether no other thread of the program is at work: each waits, or has not moved for a while."""
    frames = sys._current_frames()
    if len(frames) == 1:
        return True
    mine = threading.get_ident()
    found = True
    for ident, frame in frames.items():  # all are looked at, so that each is seen standing still
        if ident != mine and not _state(frame.f_code) and not _stands_still(ident, frame):
            found = False
    return found


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


def next_timer(loop: Any, own: object) -> float | None:
    """When the next timer of ``loop`` is due, in its time; those that are methods of ``own`` do not count."""
    timers = getattr(loop, "_scheduled", None)
    if not timers:
        return None
    due = [
        timer.when()
        for timer in timers
        if not timer.cancelled() and getattr(timer._callback, "__self__", None) is not own
    ]
    return min(due, default=None)


def now_ns() -> int:
    """Monotonic nanoseconds, whatever the program has made of its clocks."""
    return _monotonic_ns()


_monotonic_ns = time.monotonic_ns
