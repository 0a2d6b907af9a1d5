"""Runs as the rows of a table, as ``agentrace ls`` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from textwrap import wrap

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
    notes = [_note(entry, first, digits) for entry, first in shown]
    wanted = [max(cells(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    if not any(row[_TOKENS] for row in rows):
        wanted[_TOKENS] = 0
    widths = _fitting(wanted, max(map(cells, notes), default=0), to)
    room = max(0, to.width - _taken(widths) - 2)
    yield to.paint(_line(_HEADINGS, widths, to).rstrip(), "dim")
    for (entry, _), row, note in zip(shown, rows, notes, strict=True):
        line = _line(row, widths, to, {_STATUS: _STATUS_COLOURS.get(entry.summary.status, "dim")})
        told = to.paint(to.cut(note, room), "dim") if room >= min(_LEAST_NOTE, cells(note)) else ""
        yield f"{line}  {told}".rstrip()


def _fitting(wanted: Sequence[int], note: int, to: Terminal) -> dict[int, int]:
    """The columns that there is room for, and how wide they are: a long name gives way, and then whole columns.

    ``note`` is how wide the notes behind them are, for which a name that is longer than it need be gives way, too.
    """
    kept = {column: width for column, width in enumerate(wanted) if width}
    for dropped in _YIELDING:
        if _taken(kept) - kept[_NAME] + min(_LEAST_NAME, kept[_NAME]) <= to.width:
            break
        kept.pop(dropped, None)
    missing = max(0, _taken(kept) - to.width)
    for_notes = max(0, _taken(kept) + 2 + min(note, _NOTE) - to.width) if note else 0
    spared = min(for_notes, kept[_NAME] - min(_SHORT_NAME, kept[_NAME]))
    if to.width - _taken(kept) + spared - 2 < _LEAST_NOTE:
        spared = 0  # it would not be enough
    kept[_NAME] -= max(missing, spared)
    return kept


def _taken(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def footer_lines(text: str, to: Terminal) -> Iterator[str]:
    """What stands below a table; a path in it is never broken, so that it can be copied."""
    for line in wrap(text, to.width, break_long_words=False, break_on_hyphens=False):
        yield to.paint(line, "dim")


def belongs(parent: bytes, digits: int, *, is_job: bool, step: int = 0) -> str:
    """Where a run belongs that another one started; empty for one that none did."""
    if not parent:
        return ""
    return f"{'job' if is_job else 'process'} of {parent.hex()[:digits]}{f':{step}' if step else ''}"


def damage_lines(shown: Sequence[Listed], digits: int, to: Terminal) -> Iterator[str]:
    """What to do about the damaged records among these runs."""
    damaged = [one.summary.run_id.hex()[:digits] for one in shown if "damaged" in one.summary.health]
    if damaged:
        named = damaged[0] if len(damaged) == 1 else "--all"
        told = f"{counted(len(damaged), 'damaged record')}: `agentrace verify {named}` tells what is missing"
        yield to.paint(told, "yellow")


_HEADINGS = ("run", "name", "status", "age", "duration", "steps", "tokens", "replayable")
_NAME, _STATUS, _TOKENS = 1, 2, 6
_RIGHT = frozenset({3, 4, 5, 6})
_YIELDING = (6, 4, 7, 5, 3)
"""Columns that a narrow terminal does without, in this order."""
_LEAST_NAME = 8
_SHORT_NAME, _NOTE = 16, 32
"""Columns that a name keeps where there are notes, and that notes are given if they need them."""
_LEAST_NOTE = 6
"""Fewer columns say nothing."""
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
        f"{run.totals.count:,}{f', {run.totals.failed:,} failed' if run.totals.failed else ''}",
        tokens_text(used.input_tokens, used.output_tokens, to) if used.input_tokens or used.output_tokens else "",
        _replayable(run),
    )


def _lasted(run: Summary, to: Terminal) -> int:
    """How long a run took; of one that goes on, until now: it may be in a call that hangs."""
    return max(run.duration_ns, to.now_ns - run.started_ts) if run.status == "running" else run.duration_ns


def _replayable(run: Summary) -> str:
    if run.status == "unreadable":
        return "no"
    return "yes" if run.replayable.yes else "no"


def _line(row: Sequence[str], widths: Mapping[int, int], to: Terminal, colours: Mapping[int, str] = _NONE) -> str:
    """The cells in their columns; ``widths`` and ``colours`` by column."""
    padded = []
    for column, width in widths.items():
        shown = to.cut(row[column], width)
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
    parts += [flag.replace("_", " ") for flag in run.health]
    if run.exit_code and not (run.error and run.exit_code == 1):  # that is what an exception ends with
        parts.append(f"exit code {run.exit_code}")
    if run.error:
        parts.append(run.error)
    below = [counted(n, what) for n, what in ((entry.processes, "process"), (entry.jobs, "job")) if n]
    if below:
        parts += [f"{entry.failed:,} failed below"] if entry.failed else []
        parts.append(f"+{' +'.join(below)}")
    if 0 < run.sample_rate < 1:
        parts.append(f"sampled at {run.sample_rate:.3g}")
    if not (run.totals.count or run.status in ("unreadable", "running", "pending") or "damaged" in run.health):
        parts.append("no steps")
    return plain(", ".join(parts))
