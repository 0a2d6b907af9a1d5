"""Paging: output that is longer than the screen goes through the user's pager, as long as somebody is looking."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import IO, Final

from agentrace.cli.terminal import write

_DEFAULT: Final = "less -FRX"
_NO_PAGER: Final = frozenset({"", "cat"})


def show_lines(lines: Iterable[str], *, pager: bool = True) -> None:
    """Lines to standard output; to a pager if that is a terminal and they do not fit on it."""
    coming = iter(lines)
    command = pager_command(os.environ) if pager and sys.stdout.isatty() else ()
    if not command:
        write(coming)
        return
    first = list(islice(coming, max(1, shutil.get_terminal_size().lines - 1)))
    if len(first) < shutil.get_terminal_size().lines - 1 or not _paged(chain(first, coming), command):
        write(chain(first, coming))


def pager_command(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The words of the pager's command line; none for no pager."""
    named = environ.get("AGENTRACE_PAGER", environ.get("PAGER", _DEFAULT)).strip()
    try:
        return () if named in _NO_PAGER else tuple(shlex.split(named))
    except ValueError:
        return ()


def _paged(lines: Iterator[str], command: tuple[str, ...]) -> bool:
    """Hand the lines to a pager and wait until it is left; False if there is no such program."""
    # What a user has set for less goes before our own options: without -R it would show colours as codes.
    environ = {"LESS": "FRX", "LV": "-c", **os.environ}
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environ, text=True, errors="backslashreplace", encoding=_encoding()
        )
    except OSError:
        return False
    assert process.stdin is not None  # it is a pipe
    with _left_to_the_pager():
        _feed(process.stdin, lines)
        process.wait()
    return True


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _feed(pipe: IO[str], lines: Iterator[str]) -> None:
    """All lines, or as many as the pager takes before it is left; the first screen at once."""
    with suppress(BrokenPipeError):
        try:
            while True:
                some = list(islice(lines, 200))
                if not some:
                    break
                pipe.write("\n".join(some) + "\n")
                pipe.flush()
        finally:
            with suppress(BrokenPipeError):
                pipe.close()


@contextmanager
def _left_to_the_pager() -> Generator[None, None, None]:
    """Ctrl-C is the pager's to answer, and that it is left is no reason to die."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, *_broken_pipe())}
    for name in before:
        signal.signal(name, signal.SIG_IGN)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _broken_pipe() -> tuple[signal.Signals, ...]:
    return (signal.SIGPIPE,) if hasattr(signal, "SIGPIPE") else ()
