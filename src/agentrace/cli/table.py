"""Aligned columns: numbers to the right, a column that may give way where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentrace.cli.escaping import cells
from agentrace.cli.terminal import Terminal

_LEAST = 8
"""Columns of the terminal that a text which gives way keeps."""


def lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], to: Terminal, *, right: frozenset[int], yielding: int
) -> Iterator[str]:
    """Headings, and rows of plain cells. Where there is no room, column ``yielding`` is cut, and then the line."""
    widths = [max(map(cells, column)) for column in zip(headings, *rows, strict=True)]
    room = to.width - sum(widths) - 2 * (len(widths) - 1)
    if room < 0:
        widths[yielding] = max(_LEAST, widths[yielding] + room)
    for number, row in enumerate((headings, *rows)):
        line = to.cut("  ".join(_padded(row, widths, to, right)).rstrip(), to.width)
        yield line if number else to.paint(line, "dim")


def _padded(row: Sequence[str], widths: Sequence[int], to: Terminal, right: frozenset[int]) -> Iterator[str]:
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        shown = to.cut(text, width)
        space = " " * (width - cells(shown))
        yield space + shown if column in right else shown + space
