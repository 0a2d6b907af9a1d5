"""``agentrace tail``: what happens in runs, told while it happens."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from agentrace.cli.escaping import json_text
from agentrace.cli.opening import home_option, settings
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.tail_view import Lines, happening_json
from agentrace.cli.terminal import terminal, write
from agentrace.errors import ConfigError
from agentrace.query import Following, Happening

_SOON: Final = 0.02
_LATE: Final = 0.25
"""Seconds between two looks: soon after something came, and less often the longer nothing does."""
_SLOWER: Final = 1.3


@click.command()
@click.argument("run", nargs=-1)
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="Lines to tell of what was before."
)
@click.option("--no-follow", is_flag=True, help="Tell what there is, and end.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line.")
def command(run: tuple[str, ...], lines: int, no_follow: bool, home: Path | None, as_json: bool) -> None:
    """Follow runs while they are recorded: a line when a step begins, and one when it ends.

    RUN is named as for `agentrace show`; the processes that it starts and the jobs that it sends belong to it.
    Without RUN, all runs that are live are followed, and those that begin later. It ends when all named runs have
    ended, with Ctrl-C, or where nobody reads its output any more. A run whose process dies is told as interrupted.

    Each line has the time of day, the run where there are several, a mark, the number and the name of the step; when
    it ends, how long it took, tokens in and out, and the error.

    \b
    Example:
      agentrace tail
      agentrace tail @last
      agentrace tail checkout 01a1f910 --json | jq -r 'select(.what == "step_ended") | .step.name'
    """
    if home is not None and home.is_file():
        raise ConfigError("a trace file is not being written", do="name a store directory, or use `agentrace show`")
    runs = open_runs(home)
    named = list(dict.fromkeys(runs.find(reference) for reference in run))
    following = Following(settings(home).home, named, history=lines)
    try:
        _follow(following, _printer(following, as_json), once=no_follow)
    except KeyboardInterrupt:
        sys.stdout.flush()
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    finally:
        following.close()


def _follow(following: Following, print_all: Callable[[list[Happening]], None], *, once: bool) -> None:
    pause = _SOON
    while True:
        happened = following.look()
        if happened:
            print_all(happened)
            sys.stdout.flush()
            pause = _SOON
        if once or following.over:
            return
        time.sleep(pause)
        pause = min(_LATE, pause * _SLOWER)


def _printer(following: Following, as_json: bool) -> Callable[[list[Happening]], None]:
    if as_json:
        return lambda happened: write(json_text(happening_json(one, following.json)) for one in happened)
    lines = Lines(terminal())
    return lambda happened: write(
        lines.line(one, labelled=following.several or one.run.id != one.root) for one in happened
    )
