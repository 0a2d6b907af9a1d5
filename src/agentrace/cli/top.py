"""``agentrace top``: what was slowest, used most tokens or failed most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click

from agentrace.cli import table
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.indexed import index_of
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.run_table import unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import age, counted, duration, iso
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.index.reports import RANKINGS, By, Group, Groups, Ranking, Single, Singles, ranked, ranked_steps

_By = Literal["name", "model", "kind", "run", "step"]
_USUAL: Final[dict[Ranking, By]] = {"slowest": "name", "tokens": "model", "failing": "name"}


@click.command()
@click.argument("ranking", metavar="[slowest|tokens|failing]", type=click.Choice(RANKINGS), default="slowest")
@click.option(
    "--by",
    type=click.Choice(get_args(_By)),
    help="What is told in one row; without it steps of one name, for tokens those of one model.",
)
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True, help="How many rows.")
@click.option("--from", "file", metavar="FILE", help="A trace file, in place of the store.")
@filter_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each row, one on each line.")
def command(
    ranking: Ranking, by: _By | None, number: int, file: str | None, wanted: Filter, home: Path | None, as_json: bool
) -> None:
    """Show which steps were slowest, used most tokens, or failed most.

    slowest: those that took the longest together, with mean, median (p50), p95 and longest. tokens: those that used
    most, in and out; calls that do not tell, as most that failed, are told under "no count". failing: those that failed
    most often, with the share and the last error. With --by step single steps are listed: the longest, those with most
    tokens, the last that failed.

    Filters say in which runs; --kind and --model also which steps.

    \b
    Example:
      agentrace top
      agentrace top slowest --by step --kind tool
      agentrace top tokens --since 7d
      agentrace top failing --by model --json
    """
    runs = open_runs(home) if file is None else file_runs(file)
    digits = unique_digits(runs.ids)
    grouped: _By = by or _USUAL[ranking]
    with index_of(runs) as session:
        if grouped == "step":
            singles = ranked_steps(session, ranking, wanted, number)
            found, objects = len(singles.steps), map(_single_json, singles.steps)
            lines = step_lines(singles, digits, terminal())
        else:
            groups = ranked(session, ranking, grouped, wanted, number)
            found, objects = len(groups.groups), map(partial(_group_json, grouped), groups.groups)
            lines = group_lines(ranking, grouped, groups, digits, terminal())
    if as_json:
        write(map(json_text, objects))
    elif found:
        write(lines)
    else:
        click.echo(_NOTHING[ranking], err=True)


_UNCOUNTED: Final = "no count"


def _each(group: Group) -> str:
    """The tokens of one call, of those that tell."""
    telling = group.steps - group.uncounted
    return f"{(group.input_tokens + group.output_tokens) // telling:,}" if telling else ""


_Column = tuple[str, Callable[[Group, Terminal], str]]
_COLUMNS: Final[dict[Ranking, tuple[_Column, ...]]] = {
    "slowest": (
        ("count", lambda group, _: f"{group.steps:,}"),
        ("total", lambda group, _: duration(group.duration_ns)),
        ("mean", lambda group, _: duration(group.mean_ns)),
        ("p50", lambda group, _: duration(group.p50_ns)),
        ("p95", lambda group, _: duration(group.p95_ns)),
        ("max", lambda group, _: duration(group.max_ns)),
    ),
    "tokens": (
        ("count", lambda group, _: f"{group.steps:,}"),
        ("in", lambda group, _: f"{group.input_tokens:,}"),
        ("cached", lambda group, _: f"{group.cache_read:,}"),
        ("out", lambda group, _: f"{group.output_tokens:,}"),
        ("each", lambda group, _: _each(group)),
        (_UNCOUNTED, lambda group, _: f"{group.uncounted:,}" if group.uncounted else ""),
    ),
    "failing": (
        ("count", lambda group, _: f"{group.steps:,}"),
        ("failed", lambda group, _: f"{group.failed_steps:,}"),
        ("rate", lambda group, _: f"{group.failed_steps / group.steps:.1%}"),
        ("last", lambda group, to: age(to.now_ns - group.last_failed_ts)),
        ("last error", lambda group, _: plain(group.last_error)),
    ),
}


def group_lines(ranking: Ranking, by: By, found: Groups, digits: int, to: Terminal) -> Iterator[str]:
    """Groups of steps, one in each row."""
    some = any(group.uncounted for group in found.groups)
    columns = [column for column in _COLUMNS[ranking] if some or column[0] != _UNCOUNTED]
    first = [by, "kind"] if by == "name" else [by, "name"] if by == "run" else [by]
    rows = [[*_named(group, by, digits), *(tell(group, to) for _, tell in columns)] for group in found.groups]
    headings = [*first, *(heading for heading, _ in columns)]
    right = frozenset(at for at, heading in enumerate(headings) if at >= len(first) and heading != "last error")
    yielding = len(headings) - 1 if ranking == "failing" else 0
    yield from table.lines(headings, rows, to, right=right, yielding=yielding)
    yield from _more(len(found.groups), found.matching, f"{by}s", to)


def step_lines(found: Singles, digits: int, to: Terminal) -> Iterator[str]:
    """Single steps."""
    headings = ["step", "run", "kind", "name", "model", "age", "duration", "tokens", "error"]
    rows = [
        [
            f"{step.run_id.hex()[:digits]}:{step.step_id}",
            plain(step.run_name) or "?",
            step.kind,
            plain(step.name),
            plain(step.model),
            age(to.now_ns - step.started_ts),
            duration(step.duration_ns),
            f"{step.input_tokens + step.output_tokens:,}" if step.input_tokens or step.output_tokens else "",
            plain(step.error),
        ]
        for step in found.steps
    ]
    empty = [at for at in (4, 7, 8) if not any(row[at] for row in rows)]
    kept = [at for at in range(len(headings)) if at not in empty]
    right = frozenset(place for place, at in enumerate(kept) if at in (5, 6, 7))
    shown = [[row[at] for at in kept] for row in rows]
    yielding = len(kept) - 1 if 8 in kept else 3
    yield from table.lines([headings[at] for at in kept], shown, to, right=right, yielding=yielding)
    yield from _more(len(found.steps), found.matching, "steps", to)
    if found.uncounted:
        yield to.paint(_untold(found.uncounted), "dim")


def _untold(count: int) -> str:
    return f"tokens are not told by {counted(count, 'more call')}"


_NOTHING: Final[dict[Ranking, str]] = {
    "slowest": "no steps",
    "tokens": "no tokens were used",
    "failing": "nothing failed",
}


def _more(shown: int, matching: int, what: str, to: Terminal) -> Iterator[str]:
    if shown < matching:
        yield to.paint(f"{shown:,} of {matching:,} {what}; -n {matching} shows all", "dim")


def _named(group: Group, by: By, digits: int) -> Sequence[str]:
    if by == "run":
        return group.what.replace("-", "")[:digits], plain(group.more) or "?"
    if by == "name":
        return plain(group.what), group.more
    return (plain(group.what) or "-",)


def _group_json(by: By, group: Group) -> dict[str, Any]:
    more = {"kind": group.more or None} if by == "name" else {"run_name": group.more} if by == "run" else {}
    return {
        "run_id" if by == "run" else by: group.what or None,
        **more,
        "steps": group.steps,
        "failed_steps": group.failed_steps,
        "failure_rate": group.failed_steps / group.steps,
        "duration_ns": group.duration_ns,
        "mean_ns": group.mean_ns,
        "p50_ns": group.p50_ns,
        "p95_ns": group.p95_ns,
        "max_ns": group.max_ns,
        "input_tokens": group.input_tokens,
        "output_tokens": group.output_tokens,
        "uncounted": group.uncounted,
        "cache_read": group.cache_read,
        "last_error": group.last_error or None,
        "last_failed": iso(group.last_failed_ts) or None,
    }


def _single_json(step: Single) -> dict[str, Any]:
    return {
        "run_id": format_run_id(step.run_id),
        "run_name": step.run_name,
        "step_id": step.step_id,
        "kind": step.kind or None,
        "name": step.name,
        "model": step.model or None,
        "status": step.status,
        "started": iso(step.started_ts),
        "duration_ns": step.duration_ns,
        "input_tokens": step.input_tokens,
        "output_tokens": step.output_tokens,
        "error": step.error or None,
    }
