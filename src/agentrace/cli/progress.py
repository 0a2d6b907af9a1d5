"""A bar on stderr for what takes longer than a second, drawn only where a person can see it, and erased at the end.

It is none of click's, which draws at once, leaves its last state on the screen, and prints its label into a pipe.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Self, TextIO, TypeVar

from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted

AFTER: Final = 1.0
"""Seconds in which nothing is drawn."""
EVERY: Final = 0.1
"""Seconds from one drawing to the next."""
_WIDTH: Final = 30
_LEAST_WIDTH: Final = 8
_ERASE: Final = "\r\x1b[K"

Item = TypeVar("Item")


class Progress:
    """How far something is: ``with Progress("checking", "run", total=10) as progress: ... progress.advance()``.

    ``total``: of ``what``, if it is known. What is written to the screen meanwhile goes through ``write``, or stands in
    ``with progress.aside()``; else it would be written into the bar.
    """

    def __init__(
        self,
        doing: str,
        what: str,
        total: int | None = None,
        *,
        stream: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.done = 0.0
        self._doing, self._what, self._total = doing, what, total
        self._stream: TextIO = sys.stderr if stream is None else stream
        environ = os.environ if environ is None else environ
        self._draws = self._stream.isatty() and environ.get("TERM") != "dumb"
        self._environ = environ
        self._clock = clock
        self._began = clock()
        self._next = self._began + AFTER
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._draws = False
        self._erase()

    def advance(self, by: float = 1) -> None:
        """So much more is done; less than one where one thing takes long."""
        self.done += by
        if self._draws and (now := self._clock()) >= self._next:
            self._next = now + EVERY
            to = terminal(self._stream, self._environ)
            self._put(_ERASE + line(self, now - self._began, to))
            self._drawn = True

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """These items; each is done when the next is asked for."""
        for item in items:
            yield item
            self.advance()

    def write(self, lines: Iterable[str]) -> None:
        """Lines to standard output, which may be the same screen."""
        with self.aside():
            write(lines)

    @contextmanager
    def aside(self) -> Generator[None, None, None]:
        """While something else is written to the screen; the bar comes again when it is next drawn."""
        self._erase()
        yield
        if self._draws:
            sys.stdout.flush()

    @property
    def draws(self) -> bool:
        """Whether there is anybody to see it."""
        return self._draws

    @property
    def doing(self) -> str:
        """What is done, as a participle."""
        return self._doing

    @property
    def total(self) -> int | None:
        """How much there is to do, if it is known."""
        return self._total

    @property
    def what(self) -> str:
        """The word for one of it."""
        return self._what

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._put(_ERASE)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._draws = False  # the terminal is gone, and nobody looks any more


def line(progress: Progress, seconds: float, to: Terminal) -> str:
    """The bar after so many seconds, at most as wide as the terminal less one column, in which a cursor may stand."""
    done, total = progress.done, progress.total
    rate = done / seconds if seconds > 0 else 0.0
    if total is None:
        parts = [counted(int(done), progress.what), _per_second(rate)]
        return to.cut("  ".join(filter(None, [progress.doing, *parts])), to.width - 1)
    share = min(1.0, done / total) if total else 1.0
    left = f"{_short((total - done) / rate)} left" if rate and done < total else ""
    told = f"{share:4.0%}  {int(done):,}/{counted(total, progress.what)}"
    text = "  ".join(filter(None, [told, _per_second(rate), left]))
    room = min(_WIDTH, to.width - 1 - len(progress.doing) - len(text) - 4)
    if room < _LEAST_WIDTH:
        return to.cut(f"{progress.doing}  {text}", to.width - 1)
    full = round(share * room)
    bar = to.either("█", "#") * full + to.either("░", "-") * (room - full)
    return f"{progress.doing}  {bar}  {text}"


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 1 else ""


def _short(seconds: float) -> str:
    """``7 s``, ``3 min``, ``2 h``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"
