"""The index as a command uses it: brought up to date first, and said on stderr where that takes long or cannot be."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import click

from agentrace.cli.escaping import plain
from agentrace.cli.progress import Progress
from agentrace.errors import StoreError
from agentrace.index import Session, Watching, opened
from agentrace.query import Runs

_INTERRUPTED: Final = "Query interrupted"
"""What the engine raises, as a ``RuntimeError``, in place of ``KeyboardInterrupt``."""


@contextmanager
def index_of(runs: Runs, *, up_to_date: bool = False) -> Generator[Session, None, None]:
    """The index of these runs. Raises ``StoreError``; an interrupt also in the middle of a query.

    Where another program holds it, it is as it was, which is said; who asks for it ``up_to_date`` is refused.
    """
    try:
        with opened(runs.store, watching("indexing")) as session:
            if session.stale is not None and up_to_date:
                raise StoreError(
                    f"which runs are meant cannot be told, because {plain(session.stale.because)}",
                    do="close that program, then try again, or name the runs",
                    slug="index-held",
                )
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
    """What is said on stderr while the index is written, or another process writes it; and who helps with it."""
    return Watching(_bar(doing), _waiting, os.cpu_count() or 1)


def _bar(doing: str) -> Callable[[int, int], None]:
    """Shows how many of how many runs are done."""
    bars: list[Progress] = []

    def show(done: int, total: int) -> None:
        if not bars:
            bars.append(Progress(doing, "run", total))
        if done < total:
            bars[0].advance(done - bars[0].done)
        else:
            bars.pop().__exit__()

    return show


def _waiting() -> None:
    _say("waiting for another process that writes the index")


def _say(text: str) -> None:
    click.echo(f"{click.style('note', fg='cyan')}: {text}", err=True)
