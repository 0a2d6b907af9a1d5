"""The thread that seals while the process lives, and the sealing at its end.

It works on complete lane files only, in turns of a quarter of a millisecond with pauses between, because each turn
holds the GIL; compression releases it. Nothing waits for the thread. At the end the closing thread takes over.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from agentrace.journal.lanes import LaneFile
from agentrace.journal.losses import UNWRITTEN, Tombstone
from agentrace.journal.sealing import OutOfTime, Sealer
from agentrace.native import SimpleQueue, allocate_lock, sleep, start_new_thread

TURN: Final = 0.000_25
PAUSE: Final = 0.002
SHORT_PAUSE: Final = 0.000_25
BEHIND: Final = 4
"""With so many complete files waiting, the pauses are short: else the lanes would fill the disk."""


class Background:
    """Seals the files that a lane has completed."""

    def __init__(self, root: Path, tombstone: Tombstone) -> None:
        self._sealer = Sealer(root, tombstone)
        self._inbox: SimpleQueue[LaneFile | None] = SimpleQueue()  # None: there will be no more
        self._turn = allocate_lock()  # held by the one that uses the sealer
        self._running = False
        self._ending = False
        self._turn_began = 0.0

    def retired(self, file: LaneFile) -> None:
        """A file is complete. Called with the lane's lock held, also from signal handlers: must not wait."""
        self._inbox.put(file)
        if not (self._running or self._ending):
            self._running = True
            try:
                start_new_thread(self._work, ())  # threading.Thread.start() would wait for it
            except RuntimeError:
                self._running = False  # the interpreter is ending: finish() or recover() will do it

    def _work(self) -> None:
        try:
            while not self._ending:
                file = self._inbox.get()
                if file is None:
                    return
                with self._turn:
                    self._sealer.waiting.append(file)
                    self._turn_began = time.perf_counter()
                    try:
                        for _ in self._sealer.work(self._breathe):
                            pass
                    except OutOfTime:
                        return
                    except OSError:
                        continue  # a full disk, say: the next file, or the end, tries again
        finally:
            self._running = False

    def _breathe(self) -> None:
        if self._ending:
            raise OutOfTime
        if time.perf_counter() - self._turn_began > TURN:
            sleep(PAUSE if self._inbox.qsize() < BEHIND else SHORT_PAUSE)
            self._turn_began = time.perf_counter()

    def finish(self, last: list[LaneFile], deadline: float) -> bool:
        """Seal everything, until ``deadline`` (monotonic). False where the thread still holds a file of the
        lane.
        """
        self._ending = True
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False

        def breathe() -> None:
            if time.monotonic() > deadline:
                raise OutOfTime

        while not self._inbox.empty():
            self._sealer.waiting += filter(None, [self._inbox.get()])
        self._sealer.waiting += last
        self._inbox.put(None)
        try:
            for _ in self._sealer.work(breathe, end=UNWRITTEN):
                pass
        except (OutOfTime, OSError):
            return True  # the next reader's recover() seals the rest
        return True
