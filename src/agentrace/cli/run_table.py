"""Runs as the rows of a table, as ``agentrace ls`` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from agentrace.cli.drawing import tokens_text
from agentrace.cli.escaping import cells, plain
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import age, counted, duration
from agentrace.events import IMPORT
from agentrace.query import Listed, Summary

SHORTEST_ID = 8
_STATUS_COLOURS = {
    "completed": "green",
    "failed": "red",
    "aborted": "red",
    "unreadable": "red",
    "interrupted": "yellow",
    "running": "cyan",
    "pending": "cyan",
}


def table_lines(shown: Sequence[tuple[Listed, str]], digits: int, to: Terminal) -> Iterator[str]:
    """Runs, each with what is to be said first in the note behind it."""
    rows = [_cells(entry, digits, to) for entry, _ in shown]
    widths = [max(cells(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    room = to.width - sum(widths) - 2 * len(widths)
    if room < 0:  # a long name gives way
        widths[1] = max(8, widths[1] + room)
    yield to.paint(_line(_HEADINGS, widths, to).rstrip(), "dim")
    for (entry, first), row in zip(shown, rows, strict=True):
        note = to.cut(_note(entry, first, digits), max(0, to.width - sum(widths) - 2 * len(widths)))
        line = _line(row, widths, to, {2: _STATUS_COLOURS.get(entry.summary.status, "dim")})
        yield f"{line}  {to.paint(note, 'dim')}".rstrip()


_HEADINGS = ("run", "name", "status", "age", "time", "steps", "tokens", "replayable")
_RIGHT = frozenset({3, 4, 5, 6})
_NONE: Mapping[int, str] = {}


def unique_digits(ids: Sequence[bytes]) -> int:
    """How many hex digits tell every run from every other."""
    known = sorted(run_id.hex() for run_id in ids)
    digits = SHORTEST_ID
    for one, other in pairwise(known):
        while digits < 32 and one[:digits] == other[:digits]:
            digits += 1
    return digits


def _cells(entry: Listed, digits: int, to: Terminal) -> tuple[str, ...]:
    run = entry.summary
    used = run.totals.usage
    return (
        run.run_id.hex()[:digits],
        plain(run.name) or "?",
        run.status,
        age(to.now_ns - run.started_ts) if run.started_ts else "",
        duration(_lasted(run, to)) if run.started_ts else "",
        f"{run.totals.count:,}",
        tokens_text(used.input, used.output, to) if used.input or used.output else "",
        _replayable(run),
    )


def _lasted(run: Summary, to: Terminal) -> int:
    """How long a run took; of one that goes on, until now: it may be in a call that hangs."""
    return max(run.duration_ns, to.now_ns - run.started_ts) if run.status == "running" else run.duration_ns


def _replayable(run: Summary) -> str:
    if run.status == "unreadable":
        return "no"
    return "yes" if run.replayable.yes else "no"


def _line(row: Sequence[str], widths: Sequence[int], to: Terminal, colours: Mapping[int, str] = _NONE) -> str:
    """The cells in their columns; ``colours`` by column."""
    padded = []
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        shown = to.cut(text, width)
        space = " " * (width - cells(shown))
        shown = to.paint(shown, colours[column]) if column in colours else shown
        padded.append(space + shown if column in _RIGHT else shown + space)
    return "  ".join(padded)


def _note(entry: Listed, first: str, digits: int) -> str:
    run = entry.summary
    parts = [first] if first else []
    if run.mode == IMPORT:
        parts.append("imported")
    elif run.mode != "live":
        verdict = f": {run.verdict.replace('_', ' ')}" if run.verdict else ""
        parts.append(f"{run.mode} of {run.source.hex()[:digits]}{verdict}")
    below = [counted(n, what) for n, what in ((entry.processes, "process"), (entry.jobs, "job")) if n]
    if below:
        parts.append(f"+{' +'.join(below)}")
    if 0 < run.sample_rate < 1:
        parts.append(f"sampled at {run.sample_rate:.3g}")
    if not run.totals.count and run.status not in ("unreadable", "running", "pending"):
        parts.append("no steps")
    parts += [flag.replace("_", " ") for flag in run.health]
    if run.error:
        parts.append(run.error)
    return plain(", ".join(parts))
