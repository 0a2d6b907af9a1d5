"""``agentrace stats``: what a store adds up to."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from agentrace.cli import table
from agentrace.cli.bars import bar
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.indexed import index_of
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, date, duration, iso, size
from agentrace.index.filters import Filter
from agentrace.index.reports import DaySum, ModelSum, Stats, stats
from agentrace.query import RunsSource

_DAYS: Final = 14
"""Days in the chart: the last that something happened on."""
_PARTS: Final = {
    "segments": "runs that are over",
    "journal": "runs that go on",
    "payloads": "payloads",
    "index.duckdb": "index",
    "derived": "kept results",
}


@click.command()
@click.option("--from", "file", metavar="FILE", help="A trace file, in place of the store.")
@filter_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(file: str | None, wanted: Filter, home: Path | None, as_json: bool) -> None:
    """Sum up the store: runs, steps, tokens by model and day, failures, and what it takes on the disk.

    Runs of child processes and jobs count. Filters say which runs; the size is always that of the whole store. Days are
    those of UTC.

    \b
    Example:
      agentrace stats
      agentrace stats --since 7d --project shop
      agentrace stats --json | jq .by_day
    """
    runs = open_runs(home) if file is None else file_runs(file)
    with index_of(runs) as session:
        found = stats(session, wanted)
    parts = _parts(runs.store)
    if as_json:
        write([json_text(_json(found, parts))])
        return
    write(stats_lines(found, runs.store.root, parts, terminal()))


def _parts(store: RunsSource) -> dict[str, int]:
    """What the parts of a store take on the disk, the largest first; a trace file has none."""
    whole = store.size()
    if not store.root.is_dir():
        return {"file": whole}
    sizes = {part: _size(store.root / name) for name, part in _PARTS.items()}
    sizes["other"] = max(0, whole - sum(sizes.values()))
    return dict(sorted(((part, taken) for part, taken in sizes.items() if taken), key=lambda one: -one[1]))


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(_size(inner) for inner in path.iterdir())
        return path.stat().st_blocks * 512
    except OSError:  # it went while it was looked at
        return 0


def stats_lines(found: Stats, root: Path, parts: dict[str, int], to: Terminal) -> Iterator[str]:
    """The whole page."""
    taken = ", ".join(f"{part} {size(bytes_)}" for part, bytes_ in parts.items())
    yield f"{to.paint(plain(str(root)), 'bold')}  {size(sum(parts.values()))}"
    if len(parts) > 1:
        yield to.paint(to.cut(f"  {taken}", to.width), "dim")
    if not found.runs:
        yield "no runs"
        return
    yield ""
    yield from _runs(found, to)
    yield ""
    kinds = [
        [one.kind or "-", f"{one.steps:,}", f"{one.failed_steps:,}", f"{one.retries:,}", duration(one.duration_ns)]
        for one in found.kinds
    ]
    yield from _table(["steps by kind", "count", "failed", "retries", "duration"], kinds, to)
    if found.models:
        models = [
            [
                plain(one.model) or "-",
                *(f"{n:,}" for n in (one.steps, one.input_tokens, one.cache_read, one.output_tokens)),
            ]
            for one in found.models
        ]
        yield ""
        yield from _table(["tokens by model", "calls", "in", "cached", "out"], models, to)
    if any(day.input_tokens or day.output_tokens for day in found.days):
        yield ""
        yield from _chart(found.days, to)
    if found.failures:
        yield ""
        failures = [[f"{one.runs:,}", date(one.last_ts), plain(one.error) or "-"] for one in found.failures]
        yield from table.lines(["runs", "the last", "ended with"], failures, to, right=frozenset({0}), yielding=2)


def _runs(found: Stats, to: Terminal) -> Iterator[str]:
    special = [(found.children, "of a child process or job"), (found.replays, "a replay or fork")]
    told = ", ".join(f"{number:,} {what}" for number, what in special if number)
    yield f"{counted(found.runs, 'run')}{f' ({told})' if told else ''}, {counted(found.events, 'event')}"
    statuses = ", ".join(f"{number:,} {status}" for status, number in found.statuses.items())
    yield to.cut(f"  {statuses}; {found.replayable:,} replayable", to.width)
    if found.oldest_ts:
        yield f"  from {date(found.oldest_ts)} to {date(found.newest_ts)}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], to: Terminal) -> Iterator[str]:
    if rows:
        yield from table.lines(headings, rows, to, right=frozenset(range(1, len(headings))), yielding=0)


def _chart(days: Sequence[DaySum], to: Terminal) -> Iterator[str]:
    """A bar for each of the last days, also for those in between on which nothing happened."""
    by_day = {one.day: one.input_tokens + one.output_tokens for one in days}
    last = max(by_day)
    first = max(min(by_day), last - datetime.timedelta(days=_DAYS - 1))
    shown = [first + datetime.timedelta(days=number) for number in range((last - first).days + 1)]
    most = max(by_day.get(day, 0) for day in shown)
    figures = [f"{by_day.get(day, 0):,}" for day in shown]
    digits = max(map(len, figures))
    room = max(8, min(50, to.width - digits - 14))
    yield to.paint(f"{'tokens by day':<13}", "dim")
    for day, figure in zip(shown, figures, strict=True):
        tokens = by_day.get(day, 0)
        drawn = bar(0, 0, tokens, most, room, unicode=to.unicode)[1] if tokens else ""
        yield f"{day.isoformat()}  {figure:>{digits}}  {to.paint(drawn.rstrip(), 'cyan')}".rstrip()


def _json(found: Stats, parts: dict[str, int]) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "children": found.children,
        "replays": found.replays,
        "replayable_runs": found.replayable,
        "events": found.events,
        "first_started": iso(found.oldest_ts) or None,
        "last_started": iso(found.newest_ts) or None,
        "by_status": found.statuses,
        "by_kind": [
            {
                "kind": one.kind or None,
                "steps": one.steps,
                "failed_steps": one.failed_steps,
                "retries": one.retries,
                "duration_ns": one.duration_ns,
            }
            for one in found.kinds
        ],
        "by_model": [_model_json(one) for one in found.models],
        "by_day": [
            {
                "day": one.day.isoformat(),
                "steps": one.steps,
                "failed_steps": one.failed_steps,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
            }
            for one in found.days
        ],
        "failures": [
            {"error": one.error or None, "runs": one.runs, "last_started": iso(one.last_ts)} for one in found.failures
        ],
        "bytes": sum(parts.values()),
        "bytes_by_part": parts,
    }


def _model_json(one: ModelSum) -> dict[str, Any]:
    return {
        "model": one.model or None,
        "steps": one.steps,
        "failed_steps": one.failed_steps,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "input_fresh": one.input_fresh,
        "cache_read": one.cache_read,
        "cache_write": one.cache_write,
        "output_visible": one.output_visible,
        "reasoning": one.reasoning,
    }
