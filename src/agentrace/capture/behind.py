"""What a wire carries is written by a thread behind the program, which waits for the network anyway.

The program's thread only notes what passed, in order; the thread writes it within milliseconds. Before a step ends,
whatever of it is still noted is written by the thread that ends it: a finished step never waits for anybody.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from agentrace.capture.guard import fault
from agentrace.errors import RecordingFailed
from agentrace.native import RLock, allocate_lock, sleep, start_new_thread

PAUSE: Final = 0.004
"""Seconds between two rounds of the thread while there is something to write: as long anything is noted at most."""
ROUNDS: Final = 8
"""Rounds with nothing to write after which the thread sleeps until it is roused, which costs the program something."""
PATIENCE: Final = 5.0
"""Seconds that one who ends a step waits for the thread that is writing it."""


class Behind:
    """The thread, of which a process has one. It is started when first needed, and sleeps while there is nothing."""

    def __init__(self) -> None:
        self._handed: deque[Notes] = deque()
        self._idle = True
        self._started = False
        self._over = False
        self._wake = allocate_lock()
        self._wake.acquire()

    def hand(self, notes: Notes) -> None:
        """Write ``notes`` soon. Costs the caller an append, and a system call if the thread is asleep."""
        self._handed.append(notes)
        if self._idle:
            self._idle = False
            self._rouse()

    def close(self) -> None:
        """Let the thread end. What is not written by then is written by those who end their steps."""
        self._over = True
        self._rouse()

    def _rouse(self) -> None:
        if self._started:
            with contextlib.suppress(RuntimeError):  # roused by another thread at the same moment
                self._wake.release()
        elif not self._over:
            self._started = True
            with contextlib.suppress(RuntimeError):  # the interpreter is ending
                start_new_thread(self._work, ())

    def _work(self) -> None:
        handed = self._handed
        while not self._over:
            rounds = ROUNDS
            while rounds and not self._over:
                rounds = ROUNDS if handed else rounds - 1
                for _ in range(len(handed)):
                    handed.popleft().write()
                sleep(PAUSE)
            self._idle = True
            if not handed:
                self._wake.acquire()
            self._idle = False


class Notes:
    """What of one step is noted and not yet written. Any thread may note and write; the order is kept."""

    __slots__ = ("_behind", "_handed", "_noted", "_refusal", "_turn", "_writing")

    def __init__(self, behind: Behind | None) -> None:
        self._behind = behind
        """``None``: everything is written at once."""
        self._noted: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._handed = False
        self._turn = RLock()  # re-entrant: a signal handler may end the steps that this thread was about to write
        self._writing = False
        self._refusal: RecordingFailed | None = None
        """What a program that must not run unrecorded has to be told."""

    def put(self, write: Callable[..., None], *arguments: Any) -> None:
        """Call ``write`` soon. Never waits, so that finalizers may use it."""
        self._noted.append((write, arguments))
        if self._behind is None:
            self.settle()
        elif not self._handed:
            self._handed = True
            self._behind.hand(self)

    def settle(self) -> None:
        """Write what is noted. Returns when it is written, or when this very thread is writing further up its stack.

        Raises ``RecordingFailed`` if it could not be written and the program asked for that.
        """
        self.write()
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal

    def write(self) -> None:
        """The same in a thread that nobody waits for: the refusal is kept for whoever settles."""
        while self._noted and self._turn.acquire(timeout=PATIENCE):
            outermost = not self._writing
            try:
                if not outermost:
                    return
                self._writing, self._handed = True, False
                self._write()
            finally:
                if outermost:
                    self._writing = False
                self._turn.release()

    def _write(self) -> None:
        noted = self._noted
        while noted:
            write, arguments = noted[0]
            try:
                write(*arguments)
            except RecordingFailed as refusal:
                self._refusal = refusal
            except Exception as error:
                # Raises what a signal handler raised in the middle: then the note stays, for whoever comes next.
                fault(error)
            noted.popleft()  # only now: whoever finds nothing noted may rely on all being written
