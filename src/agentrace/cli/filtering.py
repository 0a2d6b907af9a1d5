"""The options that say which runs are meant, the same for every command that looks at many of them."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, get_args

import click

from agentrace.cli.conditions import COUNTS, DURATIONS, MOMENTS, between, count, moment, nanoseconds
from agentrace.cli.words import completed_of, kinds_option, some_of
from agentrace.index.filters import BADLY, Between, Filter
from agentrace.query.summaries import Status

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])


_Callback: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]
AGES: Final = "90s, 15min, 12h, 30d or 8w"


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else moment(value, time.time_ns())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time. Possible are {MOMENTS} (local time).") from error


def _age(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """The moment that was so long ago, as Unix nanoseconds."""
    try:
        return None if value is None else max(0, time.time_ns() - nanoseconds(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no age: {AGES} is one.") from error


def _some_text(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Text in which there is something: nothing is a part of every name, and a script's variable may be empty."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty, and that would mean every run.")
    return value


def _between(amount: Callable[[str], int], possible: str) -> _Callback:
    def convert(_: click.Context, __: click.Parameter, value: str | None) -> Between:
        try:
            return Between() if value is None else between(value, amount)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is no range. Possible are {possible}.") from error

    return convert


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    # Loaded by name: whoever presses no tab does not pay for it.
    found: list[CompletionItem] = importlib.import_module("agentrace.cli.references").names(ctx, incomplete)
    return found


_OPTIONS: Final = (
    click.option("--since", callback=_moment, metavar="WHEN", help=f"Runs that began then or later: {MOMENTS}."),
    click.option("--until", callback=_moment, metavar="WHEN", help="Runs that began before."),
    click.option("--older-than", callback=_age, metavar="AGE", help=f"Runs that began longer ago: {AGES}."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        metavar="STATUS",
        callback=some_of(get_args(Status)),
        shell_complete=completed_of(get_args(Status)),
        help=f"How it is; several with commas: {', '.join(get_args(Status))}.",
    ),
    click.option("--failed", is_flag=True, help=f"In place of --status {','.join(BADLY)}."),
    click.option(
        "--name",
        metavar="NAME",
        callback=_some_text,
        shell_complete=_names,
        help="What it is called: a part of its name, or a pattern (*, ?, [...]).",
    ),
    kinds_option("It has a step of this kind"),
    click.option(
        "--model",
        metavar="MODEL",
        callback=_some_text,
        help="A model served it: a part of the model's name, or a pattern.",
    ),
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
    click.option(
        "--text",
        metavar="TEXT",
        callback=_some_text,
        help="TEXT is in what went in, came out, failed or was noted.",
    ),
    click.option("--workflow", metavar="NAME", help="The workflow that it is a run of, or a pattern."),
    click.option("--agent", metavar="NAME", help="The agent that ran it, or a pattern."),
    click.option("--session", metavar="ID", help="The conversation that it belongs to, or a pattern."),
    click.option("--project", metavar="NAME", help="Its project, or a pattern."),
)
_GIVEN: Final = (
    *("since", "until", "older_than", "statuses", "failed", "name", "kinds", "model", "tags", "tokens", "duration"),
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
    statuses, failed = given.pop("statuses"), given.pop("failed")
    if statuses and failed:
        raise click.UsageError(f"--failed is --status {','.join(BADLY)}: say one of them.")
    ends = [moment for moment in (given.pop("until"), given.pop("older_than")) if moment is not None]
    return Filter(statuses=BADLY if failed else statuses, until=min(ends, default=None), **given)
