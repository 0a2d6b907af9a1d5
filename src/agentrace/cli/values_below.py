"""What went into the steps of a tree and what came out, below their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agentrace.cli.drawing import room_below
from agentrace.cli.terminal import Terminal
from agentrace.cli.values import value_lines
from agentrace.query import InferredRow, ProcessRow, Row, RunRecord, input_of, output_of


def values_below(record_of: Callable[[bytes], RunRecord], to: Terminal) -> Callable[[Row], Sequence[str]]:
    """What gives the lines for a row."""

    def below(row: Row) -> Sequence[str]:
        if isinstance(row, ProcessRow):
            return ()
        if isinstance(row, InferredRow):
            told = [("in", row.call.arguments), ("out", row.call.result)]
        else:
            record = record_of(row.run_id)
            told = [("in", input_of(record, row.state)), ("out", output_of(record, row.state))]
        return [line for title, value in told if value is not None for line in _titled(title, value, row, to)]

    return below


def _titled(title: str, value: object, row: Row, to: Terminal) -> Iterator[str]:
    room = room_below(row, to)
    for number, line in enumerate(value_lines(value)):
        head = to.paint(f"{title:<4}", "dim") if number == 0 else "    "
        for part, piece in enumerate(_pieces(line, room)):
            yield (head if part == 0 else "    ") + piece


def _pieces(line: str, width: int) -> Iterator[str]:
    """A line in pieces that fit; nothing is left out."""
    while len(line) > width:
        at = line.rfind(" ", width // 2, width) + 1 or width
        yield line[:at]
        line = line[at:]
    yield line
