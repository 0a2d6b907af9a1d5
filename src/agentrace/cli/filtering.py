"""The options that say which runs are meant, the same for every command that looks at many of them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args

import click

from agentrace.cli.conditions import COUNTS, DURATIONS, MOMENTS, between, count, moment, nanoseconds
from agentrace.index.filters import Between, Filter
from agentrace.query.summaries import Status

KINDS: Final = ("model", "embedding", "tool", "retriever", "planner", "validator", "safety", "agent", "task")
BADLY: Final = ("failed", "aborted", "interrupted", "unreadable")
"""What ``--failed`` stands for."""

Command = TypeVar("Command", bound=Callable[..., Any])


class _Moment(click.ParamType):
    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else moment(value, time.time_ns())
        except ValueError:
            self.fail(f"{value!r} is no time. Possible are {MOMENTS} (local time).", param, ctx)


class _Between(click.ParamType):
    def __init__(self, name: str, amount: Callable[[str], int], possible: str) -> None:
        self.name = name
        self._amount = amount
        self._possible = possible

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Between:
        try:
            return value if isinstance(value, Between) else between(value, self._amount)
        except ValueError:
            self.fail(f"{value!r} is no range. Possible are {self._possible}.", param, ctx)


class _OneOf(click.ParamType):
    """Some of a few words, with commas between them."""

    def __init__(self, name: str, words: tuple[str, ...]) -> None:
        self.name = name
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        given = tuple(word.strip() for word in value.split(",") if word.strip())
        wrong = [word for word in given if word not in self._words]
        if wrong or not given:
            self.fail(f"{(wrong or [value])[0]!r} is none. Possible are {', '.join(self._words)}.", param, ctx)
        return given


_OPTIONS: Final = (
    click.option("--since", type=_Moment(), metavar="WHEN", help=f"Runs that began then or later: {MOMENTS}."),
    click.option("--until", type=_Moment(), metavar="WHEN", help="Runs that began before."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=_OneOf("status", get_args(Status)),
        help=f"How it is; several with commas: {', '.join(get_args(Status))}.",
    ),
    click.option("--failed", is_flag=True, help=f"Short for --status {','.join(BADLY)}."),
    click.option("--name", metavar="NAME", help="What it is called: a part of its name, or a pattern (*, ?, [...])."),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=_OneOf("kind", KINDS),
        help=f"It has a step of this kind; several with commas: {', '.join(KINDS)}.",
    ),
    click.option("--model", metavar="MODEL", help="A model served it: a part of the model's name, or a pattern."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="It has this tag; given again, this one, too."),
    click.option(
        "--tokens", type=_Between("range", count, COUNTS), metavar="RANGE", help=f"Tokens in and out: {COUNTS}."
    ),
    click.option(
        "--duration",
        type=_Between("range", nanoseconds, DURATIONS),
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
_GIVEN: Final = ("since", "until", "statuses", "failed", "name", "kinds", "model", "tags", "tokens", "duration") + (
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
    statuses = [word for words in given.pop("statuses") for word in words]
    if given.pop("failed"):
        statuses.extend(BADLY)
    kinds = [word for words in given.pop("kinds") for word in words]
    return Filter(
        statuses=tuple(dict.fromkeys(statuses)),
        kinds=tuple(dict.fromkeys(kinds)),
        tags=tuple(given.pop("tags")),
        tokens=given.pop("tokens") or Between(),
        duration=given.pop("duration") or Between(),
        **given,
    )
