"""Notes that are taken of what a program says anyway, to its log or its terminal, without ever disturbing it.

While one is written by a thread, what that same thread says (a ``__str__`` that logs, a message of ours) is kept for
later, so that nothing recurses. A run takes a bounded number of them, and says so when it takes no more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from agentrace import events
from agentrace.capture.guard import fault
from agentrace.capture.notes import place
from agentrace.capture.recording import RunRecording

MOST: Final = 100_000
"""Notes that a run takes by itself: more would be a loop that prints, and would fill a disk."""
_MOST_WAITING: Final = 100

Said: TypeAlias = tuple[str, str, Any, str]
"""Message, level, fields and logger of a note."""
Telling: TypeAlias = Callable[[RunRecording], Said]

_Waiting: TypeAlias = tuple[Telling, tuple[RunRecording, int]]


class _Busy(threading.local):
    """What this thread is doing."""

    writing = False
    left_out = 0
    """Of what it says while it writes a note, what is not waiting either."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()


_busy = _Busy()


def tell(telling: Telling, at: tuple[RunRecording, int] | None = None) -> None:
    """Write a note, at the place of the calling code unless another is given. Its faults pass the guard."""
    try:
        found = place() if at is None else at
        if found is None:
            return
        if _busy.writing:
            if len(_busy.waiting) < _MOST_WAITING:
                _busy.waiting.append((telling, found))
            else:
                _busy.left_out += 1
            return
        _busy.writing = True
        try:
            _write(telling, *found)
            for _ in range(_MOST_WAITING):  # what is said while these are written may go on for ever
                if not _busy.waiting:
                    break
                waiting, (run, step_id) = _busy.waiting.popleft()
                _write(waiting, run, step_id)
            _tell_left_out(*found)
        finally:
            _busy.writing, _busy.left_out = False, 0
            _busy.waiting.clear()
    except Exception as error:
        fault(error)


def _tell_left_out(run: RunRecording, step_id: int) -> None:
    count = len(_busy.waiting) + _busy.left_out
    if count and not run.closed:
        what = f"{count} more of what was said while notes were written is not recorded"
        run.emit(events.Logged, step_id, what, "warning", events.NO_VALUE, "agentrace")


def _write(telling: Telling, run: RunRecording, step_id: int) -> None:
    if run.closed:
        return
    run.said += 1
    if run.said > MOST:
        if run.said == MOST + 1:
            what = f"the program has said more than {MOST:,} things: what it says from here on is not recorded"
            run.emit(events.Logged, events.RUN_STEP, what, "warning", events.NO_VALUE, "agentrace")
        return
    run.open()  # first: an exception is told by the run's encoder
    message, level, fields, logger = telling(run)
    kept = events.NO_VALUE if not fields else run.value(fields)[0]
    run.emit(events.Logged, step_id, run.clean(message), level, kept, run.clean(logger))
