"""The index as a command uses it: brought up to date first, and said on stderr where that takes long or cannot be."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import click

from agentrace.cli.escaping import plain
from agentrace.cli.units import counted
from agentrace.index import Session, Watching, opened
from agentrace.index.indexing import Progress
from agentrace.query import Runs

_QUIET: Final = 1.0
"""Seconds in which nothing is said."""
_EVERY: Final = 0.1
_ERASE: Final = "\r\x1b[K"
_INTERRUPTED: Final = "Query interrupted"
"""What the engine raises, as a ``RuntimeError``, in place of ``KeyboardInterrupt``."""


@contextmanager
def index_of(runs: Runs) -> Generator[Session, None, None]:
    """The index of these runs. Raises ``StoreError``; an interrupt also in the middle of a query."""
    try:
        with opened(runs.store, watching("indexing")) as session:
            if session.stale is not None:
                _say(f"as of {_moment(session.stale.as_of_ns)}, because {plain(session.stale.because)}")
            yield session
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from error
        raise


def _moment(ns: int) -> str:
    moment = datetime.datetime.fromtimestamp(ns // 1_000_000_000)
    return f"{moment:%H:%M:%S}" if moment.date() == datetime.date.today() else moment.isoformat(" ")


def watching(doing: str) -> Watching:
    """What is said on stderr while the index is written, or another process writes it."""
    return Watching(progress(doing), _waiting)


def progress(doing: str) -> Progress:
    """Shows how many of how many runs are done: after a second, and only to a person."""
    began = time.monotonic()
    drawn = [began + _QUIET - _EVERY, 0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty():
            return
        if done < total and now - drawn[0] >= _EVERY:
            drawn[:] = now, 1.0
            sys.stderr.write(f"{_ERASE}{doing} {done:,} of {counted(total, 'run')}")
            sys.stderr.flush()
        elif done >= total and drawn[1]:
            drawn[1] = 0.0
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    return show


def _waiting() -> None:
    _say("waiting for another process that writes the index")


def _say(text: str) -> None:
    click.echo(f"{click.style('note', fg='cyan')}: {text}", err=True)
