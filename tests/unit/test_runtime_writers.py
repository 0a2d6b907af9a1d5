"""Ending waits for threads that are in the middle of writing, and for no others."""

from __future__ import annotations

import time

from agentrace.capture.behind import Behind, Notes
from agentrace.runtime.lifecycle import let_writers_finish


def test_a_writer_that_has_nothing_to_write_is_not_waited_for() -> None:
    behind = Behind()
    written: list[int] = []
    Notes(behind).put(written.append, 1)
    deadline = time.monotonic() + 5
    while not (written and behind._idle) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        began = time.perf_counter()
        let_writers_finish()
        assert time.perf_counter() - began < 0.05
    finally:
        behind.close()


def test_a_writer_that_writes_is_waited_for() -> None:
    behind = Behind()
    Notes(behind).put(time.sleep, 0.06)
    time.sleep(0.02)
    try:
        began = time.perf_counter()
        let_writers_finish()
        assert time.perf_counter() - began > 0.02
    finally:
        behind.close()
