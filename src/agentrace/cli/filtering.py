"""The options that say which runs are meant, the same for every command that looks at many of them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, get_args

import click

from agentrace.cli.conditions import COUNTS, DURATIONS, MOMENTS, between, count, moment, nanoseconds
from agentrace.index.filters import Between, Filter
from agentrace.query.summaries import Status

KINDS: Final = ("model", "embedding", "tool", "retriever", "planner", "validator", "safety", "agent", "task")
BADLY: Final = ("failed", "aborted", "interrupted", "unreadable")
"""What ``--failed`` stands for."""

Command = TypeVar("Command", bound=Callable[..., Any])


_Callback = Callable[[click.Context, click.Parameter, Any], Any]


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else moment(value, time.time_ns())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time. Possible are {MOMENTS} (local time).") from error


def _between(amount: Callable[[str], int], possible: str) -> _Callback:
    def convert(_: click.Context, __: click.Parameter, value: str | None) -> Between:
        try:
            return Between() if value is None else between(value, amount)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is no range. Possible are {possible}.") from error

    return convert


def _some_of(words: Sequence[str]) -> _Callback:
    """Some of a few words, the option given several times or with commas between them."""

    def convert(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
        given = [word.strip() for value in values for word in value.split(",")]
        for word in given:
            if word not in words:
                raise click.BadParameter(f"{word!r} is none. Possible are {', '.join(words)}.")
        return tuple(dict.fromkeys(given))

    return convert


_OPTIONS: Final = (
    click.option("--since", callback=_moment, metavar="WHEN", help=f"Runs that began then or later: {MOMENTS}."),
    click.option("--until", callback=_moment, metavar="WHEN", help="Runs that began before."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        metavar="STATUS",
        callback=_some_of(get_args(Status)),
        help=f"How it is; several with commas: {', '.join(get_args(Status))}.",
    ),
    click.option("--failed", is_flag=True, help=f"Short for --status {','.join(BADLY)}."),
    click.option("--name", metavar="NAME", help="What it is called: a part of its name, or a pattern (*, ?, [...])."),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        metavar="KIND",
        callback=_some_of(KINDS),
        help=f"It has a step of this kind; several with commas: {', '.join(KINDS)}.",
    ),
    click.option("--model", metavar="MODEL", help="A model served it: a part of the model's name, or a pattern."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="It has this tag; given again, this one, too."),
    click.option("--tokens", callback=_between(count, COUNTS), metavar="RANGE", help=f"Tokens in and out: {COUNTS}."),
    click.option(
        "--duration",
        callback=_between(nanoseconds, DURATIONS),
        metavar="RANGE",
        help=f"How long it took: {DURATIONS}.",
    ),
    click.option("--replayable/--not-replayable", default=None, help="Whether it can be replayed."),
    click.option("--replays/--no-replays", default=None, help="Only replays and forks, or none of them."),
    click.option("--text", metavar="TEXT", help="TEXT is in what went in, came out, failed or was noted."),
    click.option("--workflow", metavar="NAME", help="The workflow that it is a run of, or a pattern."),
    click.option("--agent", metavar="NAME", help="The agent that ran it, or a pattern."),
    click.option("--session", metavar="ID", help="The conversation that it belongs to, or a pattern."),
    click.option("--project", metavar="NAME", help="Its project, or a pattern."),
)
_GIVEN: Final = (
    *("since", "until", "statuses", "failed", "name", "kinds", "model", "tags", "tokens", "duration"),
    *("replayable", "replays", "text", "workflow", "agent", "session", "project"),
)


def filter_options(command: Command) -> Command:
    """Add the options; the command is given what they say as ``wanted``, a :class:`Filter`."""

    @functools.wraps(command)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        return command(*args, wanted=_filter({name: kwargs.pop(name) for name in _GIVEN}), **kwargs)

    found: Any = filtered
    for option in reversed(_OPTIONS):
        found = option(found)
    result: Command = found
    return result


def _filter(given: dict[str, Any]) -> Filter:
    statuses = [*given.pop("statuses"), *(BADLY if given.pop("failed") else ())]
    return Filter(statuses=tuple(dict.fromkeys(statuses)), **given)
