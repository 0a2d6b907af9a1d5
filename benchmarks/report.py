"""The figures as a table: for a terminal, and between the marks of a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.figures import Figure, number
from benchmarks.machine import Machine

HEAD = ("promise", "bound", "ours", "spread", "verdict", "how measured")
BEGIN, END = "<!-- {name}: begin -->\n", "<!-- {name}: end -->"


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one benchmark."""

    figures: list[Figure] = []
    skipped: str = ""
    """Why it could not be measured."""
    unsound: str = ""
    """Why its figures mean nothing."""
    seconds: float = 0.0
    load: float = 0.0
    """What else the machine had to do when it began: the load average of the last minute."""
    pace: float = 0.0
    """How fast the machine was when it began: milliseconds of a fixed loop."""

    @property
    def kept(self) -> bool:
        """Whether every promise was met."""
        return not self.unsound and all(figure.verdict != "MISSED" for figure in self.figures)


class Measured(Struct, frozen=True, kw_only=True):
    """All that one source measured on one machine."""

    machine: Machine
    source: str
    effort: str
    outcomes: dict[str, Outcome] = {}


def rows(outcomes: Mapping[str, Outcome]) -> list[tuple[str, ...]]:
    """The table's rows, without its head."""
    made: list[tuple[str, ...]] = []
    for name, outcome in outcomes.items():
        made += [(f.promise, f.bound, f.ours, f.spread, f.verdict, f.how) for f in outcome.figures]
        if outcome.skipped:
            made.append((name, "", "", "", "skipped", outcome.skipped))
        if outcome.unsound:
            made.append((name, "", "", "", "UNSOUND", outcome.unsound.partition("\n")[0]))
    return made


def terminal(outcomes: Mapping[str, Outcome]) -> str:
    """The table in columns."""
    table = [HEAD, *rows(outcomes)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def markdown(measured: Measured) -> str:
    """The table for a page, with the machine above it."""
    return "\n".join([_where(measured), "", *markdown_table(HEAD, rows(measured.outcomes)), ""])


def markdown_in_short(measured: Measured) -> str:
    """What is promised and what was measured, for the README."""
    head = ("promise", "bound", "measured", "")
    figures = [figure for outcome in measured.outcomes.values() for figure in outcome.figures if figure.verdict]
    table = [(figure.promise, figure.bound, figure.ours, figure.verdict) for figure in figures]
    return "\n".join([*markdown_table(head, table), "", f"{place(measured.machine)}.", ""])


def _where(measured: Measured) -> str:
    told, outcomes = [place(measured.machine)], measured.outcomes.values()
    if outcomes:
        paces = [outcome.pace for outcome in outcomes]
        told.append(f"load at most {max(outcome.load for outcome in outcomes):.1f} before a benchmark")
        told.append(f"200,000 squares summed up in {number(min(paces))} to {number(max(paces))} ms")
    return ", ".join(told) + "."


def place(machine: Machine) -> str:
    """The machine in a line."""
    cores = f"{machine.cores} cores ({machine.processor})"
    return f"{machine.date}, {machine.python}, {machine.system}, {cores}, {machine.memory_gb:.0f} GB"


def markdown_table(head: Sequence[str], table: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *table]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines]


def fill(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks of ``name`` in a page. Raises ``ValueError`` if they are not there."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, mark, rest = page.read_text().partition(begin)
    _, mark_of_end, after = rest.partition(end)
    if not mark or not mark_of_end:
        raise ValueError(f"{page} has no marks {begin.strip()} and {end}")
    page.write_text(f"{before}{begin}{text.rstrip()}\n{end}{after}")
