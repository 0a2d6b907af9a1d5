"""The tree of a run as lines: what ran inside what, how it went, how long it took, and when on a common time line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from textwrap import wrap
from typing import Final, NamedTuple, TypeAlias

from agentrace.cli.bars import bar
from agentrace.cli.escaping import cells, plain
from agentrace.cli.notes_view import folded
from agentrace.cli.rows import FoldedRow, Picked, Shown, Span
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import counted, duration
from agentrace.events import StepFailed
from agentrace.fold import ExchangeState
from agentrace.query import InferredRow, ProcessRow, Row, StepRow, in_one_line

_COLOURS: Final = {
    "model": "magenta",
    "embedding": "magenta",
    "tool": "green",
    "retriever": "cyan",
    "process": "yellow",
}
MARKS: Final = {
    "failed": ("✗", "x", "red"),
    "aborted": ("✗", "x", "red"),
    "cancelled": ("⊘", "-", "yellow"),
    "running": ("▸", ">", "cyan"),
    "pending": ("▸", ">", "cyan"),
    "interrupted": ("…", "~", "yellow"),
    "inferred": ("?", "?", "yellow"),
    "parallel": ("∥", "=", "dim"),
}
"""What stands before a row that is not simply ok: drawn, in ASCII, and its colour."""

CANCELLED: Final = {
    "task": "cancelled from outside",
    "timeout": "cancelled by a timeout",
    "generator": "closed before it was exhausted",
    "process": "cancelled by the end of the process",
}
"""Who cancelled a step, by the source that its failure tells."""

_WIDEST_BAR: Final = 48
_NARROWEST_BAR: Final = 12
_NARROWEST_LABEL: Final = 24
_LEVELS: Final = 12
"""Levels of nesting whose lines are drawn; deeper rows say how deep they are."""

Label: TypeAlias = list[tuple[str, tuple[str, ...]]]
"""Words and how they are painted."""

Below: TypeAlias = Callable[[Row], Sequence[str]]
"""Further lines that belong to a row."""


class _Layout(NamedTuple):
    """Columns of each part; 0 where a part is left out."""

    ids: int
    label: int
    time: int
    tokens: int
    bar: int
    start_ns: int
    """Where the time line begins, from the start of the run."""
    total_ns: int
    """What it stands for."""


class _Drawn(NamedTuple):
    """A row before it is laid out."""

    shown: Shown
    id: str
    status: str
    rails: str
    """Lines that lead to the row."""
    below: str
    """Lines that go on below it."""
    label: Label
    cells: int
    """Columns that rails and label need."""
    time: str
    tokens: str


def tree_lines(rows: Sequence[Shown], time: Span, terminal: Terminal, below: Below | None = None) -> Iterator[str]:
    """The rows of a tree on a line of ``time``, with further lines below each."""
    all_drawn = [_drawn(row, rails, under, terminal) for row, rails, under in _with_rails(rows, terminal)]
    if not all_drawn:
        return
    layout = _layout(all_drawn, time, terminal.width)
    repeated = _repeated_failures(rows)
    yield _heading(layout, terminal)
    for drawn in all_drawn:
        yield _line(drawn, layout, terminal)
        room = max(10, terminal.width - layout.ids - 3 - cells(drawn.below))
        one = drawn.shown
        if isinstance(one, FoldedRow):
            for text in _left_out(one, room, terminal):
                yield _below(drawn, layout, text, terminal)
            continue
        noted = bool(drawn.status or drawn.tokens or getattr(one.row, "notes", ())) and not one.context
        for text, style in _remarks(one.row, repeated, terminal) if noted else ():
            yield _below(drawn, layout, terminal.paint(terminal.cut(text, room), style), terminal)
        for text in one.found:
            found = terminal.cut(f"{terminal.either('»', '>>')} {text}", room)
            yield _below(drawn, layout, terminal.paint(found, "bold", "yellow"), terminal)
        for text in below(one.row) if below is not None and not one.context else ():
            yield _below(drawn, layout, text, terminal)


def room_below(row: Row, terminal: Terminal) -> int:
    """Columns for a line below a row, at least."""
    return max(20, terminal.width - 12 - 3 * min(row.depth + 1, _LEVELS))


# --- what is in a row ---------------------------------------------------------------------------------------


def _with_rails(rows: Sequence[Shown], terminal: Terminal) -> Iterator[tuple[Shown, str, str]]:
    """Each row with the lines that lead to it and the lines that go on below it."""
    through, branch, corner = (terminal.either(*pair) for pair in (("│  ", "|  "), ("├─ ", "|- "), ("└─ ", "`- ")))
    open_rails: list[str] = []
    for position, row in enumerate(rows):
        depth = row.depth
        del open_rails[depth:]
        own = "   " if row.last else through
        leading = following = ""
        if depth:
            hidden = max(0, depth - _LEVELS)
            inherited = "".join(open_rails[1 + hidden :])
            if hidden:
                inherited = f"{terminal.either('⋯', '..')}{hidden} {inherited}"
            leading, following = inherited + (corner if row.last else branch), inherited + own
        open_rails.append(own)
        deeper = position + 1 < len(rows) and rows[position + 1].depth > depth
        yield row, leading, following + (through if deeper else "   ")


def _drawn(one: Shown, rails: str, below: str, terminal: Terminal) -> _Drawn:
    number = status = time = tokens = ""
    if isinstance(one, FoldedRow):
        rows = counted(one.count, "row")
        label: Label = [(terminal.either("⋯", "..."), _DIM), (f"{rows} folded", _DIM)]
        return _Drawn(one, "", "", rails, below, label, _width(rails, label), duration(one.duration_ns), "")
    row = one.row
    if isinstance(row, StepRow):
        label = step_label(row)
        tokens = "" if row.usage is None else tokens_text(row.usage.input_tokens, row.usage.output_tokens, terminal)
        number, time = str(row.state.id), _time(row.status, row.duration_ns)
        status = "parallel" if row.parallel and row.status == "ok" else row.status
    elif isinstance(row, ProcessRow):
        name, short = plain(row.run.name) or "?", row.run_id.hex()[:12]
        label = [(row.kind, styles_of("process")), (name, ()), (short, _DIM)]
        status, time = row.status, _time(row.status, row.duration_ns)
    else:
        status = "inferred"
        said = "inferred, not recorded" if row.call.answered else "inferred, no result seen"
        label = [("tool", styles_of("tool")), (plain(row.call.name), ()), (said, ("yellow",))]
    if one.context:
        label = [(text, _DIM) for text, _ in label]
        status = time = tokens = ""
    return _Drawn(one, number, status, rails, below, label, _width(rails, label), time, tokens)


def _width(rails: str, label: Label) -> int:
    return cells(rails) + cells(" ".join([text for text, _ in label]))


def _left_out(row: FoldedRow, room: int, terminal: Terminal) -> Iterator[str]:
    """What a line stands for that stands for many, and what shows them."""
    how = (
        (row.failed, "failed"),
        (row.cancelled, "cancelled"),
        (row.unfinished, "not ended"),
        (row.noted, "with notes"),
    )
    parts = [", ".join(f"{count:,} {plain(kind)}" for kind, count in row.kinds.items())]
    parts += [f"{count:,} {what}" for count, what in how if count]
    for line in wrap("; ".join(parts), room):
        yield terminal.paint(line, "yellow" if row.failed or row.unfinished else "dim")
    yield terminal.paint(plain(row.command), "dim")  # whole, however narrow: it is there to be typed


def step_label(row: StepRow) -> Label:
    """Kind, model or name, and how much of a stream came."""
    state = row.state
    sent = state.dispatched
    label: Label = [(plain(sent.kind) or "step", styles_of(sent.kind))]
    name = plain(sent.name)
    if row.model:
        label.append((plain(row.model), ("bold",)))
        label.append((name.removeprefix(f"{sent.integration}."), _DIM))
    else:
        label.append((name, ()))
    if row.streamed:
        label.append((counted(state.chunks, "chunk"), _DIM))
    return label


_DIM: Final = ("dim",)


@cache
def styles_of(kind: str) -> tuple[str, ...]:
    """How a kind of step is painted."""
    return (_COLOURS.get(kind, "blue"),)


def _time(status: str, duration_ns: int) -> str:
    return duration(duration_ns) + ("+" if status in ("running", "pending", "interrupted") else "")


def tokens_text(used_in: int, used_out: int, terminal: Terminal) -> str:
    """``1,204 → 96``; without an answer ``1,204``."""
    return f"{used_in:,} {terminal.either('→', '>')} {used_out:,}" if used_out else f"{used_in:,}"


def _remarks(row: Row, repeated: set[tuple[bytes, int]], terminal: Terminal) -> Iterator[tuple[str, str]]:
    """What is out of the ordinary about a row, and its colour."""
    if isinstance(row, ProcessRow):
        if row.run.failure is not None:
            yield plain(in_one_line(row.run.failure)), "red"
        yield from folded(row.notes, terminal)
        return
    if not isinstance(row, StepRow):
        return
    if row.retries:
        outcomes = [outcome_of(exchange) for exchange in row.exchanges]
        arrow = terminal.either(" → ", " > ")
        yield f"{counted(row.retries, 'retry')}: {plain(arrow.join(outcomes))}", "yellow"
    ended = row.state.ended
    if isinstance(ended, StepFailed) and row.status == "cancelled":
        yield CANCELLED.get(ended.source, plain(f"cancelled {ended.source}".rstrip())), "yellow"
    elif isinstance(ended, StepFailed) and (row.run_id, row.state.id) not in repeated:
        yield plain(in_one_line(ended.failure)), "red"
    if row.state.dispatched.seq == 0:
        yield "its beginning is lost", "yellow"
    yield from folded(row.notes, terminal)


def outcome_of(exchange: ExchangeState) -> str:
    """How one request went: its status, or the error that came instead."""
    if exchange.ended is not None and exchange.ended.failure is not None:
        return exchange.ended.failure.type.rpartition(":")[2]
    return "no answer" if exchange.answered is None else str(exchange.answered.status)


def _repeated_failures(shown: Sequence[Shown]) -> set[tuple[bytes, int]]:
    """Steps that failed with the exception of a step inside them: it is told once, where it came from."""
    rows = [one.row for one in shown if isinstance(one, Picked) and not one.context]
    failed = {
        (row.run_id, row.state.id): (row.state.failure.type, row.state.failure.message)
        for row in rows
        if isinstance(row, StepRow) and row.state.failure is not None
    }
    return {
        outer
        for row in rows
        if isinstance(row, StepRow) and (key := (row.run_id, row.state.id)) in failed
        if failed.get(outer := (row.run_id, row.state.dispatched.parent)) == failed[key]
    }


# --- how it is laid out -------------------------------------------------------------------------------------


def _layout(rows: Sequence[_Drawn], line: Span, width: int) -> _Layout:
    """Names get what they need, up to what leaves room for the bars; on a narrow terminal the bars go first."""
    ids = max(3, max(len(drawn.id) for drawn in rows) + 1)
    time = max(4, max(len(drawn.time) for drawn in rows))
    tokens = max(len(drawn.tokens) for drawn in rows)
    tokens = max(6, tokens) if tokens else 0
    wanted = max(drawn.cells for drawn in rows)
    left = width - (ids + 3 + 2 + time + (2 + tokens if tokens else 0))
    bar_width = min(_WIDEST_BAR, max(_NARROWEST_BAR, left // 3, left - 2 - wanted))
    label = min(wanted, left - 2 - bar_width)
    if label < min(wanted, _NARROWEST_LABEL):
        label, bar_width = max(10, left), 0
    return _Layout(ids, label, time, tokens, bar_width, line.start_ns, line.duration_ns)


def _heading(layout: _Layout, terminal: Terminal) -> str:
    line = f"{'':{layout.ids + 3}}{'step':{layout.label}}  {'time':>{layout.time}}"
    if layout.tokens:
        line += f"  {'tokens':>{layout.tokens}}"
    if layout.bar:
        begin, end = duration(layout.start_ns), duration(layout.start_ns + layout.total_ns)
        line += f"  {begin}{end:>{max(1, layout.bar - len(begin))}}"
    return terminal.paint(line.rstrip(), "dim")


def _line(drawn: _Drawn, layout: _Layout, terminal: Terminal) -> str:
    mark = MARKS.get(drawn.status)
    shown = " " if mark is None else terminal.paint(terminal.either(mark[0], mark[1]), mark[2])
    label = _label(drawn, layout.label, terminal)
    line = f"{drawn.id.rjust(layout.ids)} {shown} {label}  {drawn.time.rjust(layout.time)}"
    if layout.tokens:
        line += f"  {drawn.tokens.rjust(layout.tokens)}"
    if layout.bar and drawn.time:
        line += "  " + _bar(drawn.shown, layout, terminal)
    return line.rstrip()


def _label(drawn: _Drawn, width: int, terminal: Terminal) -> str:
    """Rails and label in exactly ``width`` columns."""
    label, room = drawn.label, width - drawn.cells
    if room < 0:
        label, room = _cut_label(drawn, width, terminal)
    if not terminal.colour:
        return terminal.cut(drawn.rails, width) + " ".join([text for text, _ in label]) + " " * room
    words = " ".join([terminal.paint(text, *styles) for text, styles in label])
    return terminal.paint(terminal.cut(drawn.rails, width), "dim") + words + " " * room


def _cut_label(drawn: _Drawn, width: int, terminal: Terminal) -> tuple[Label, int]:
    """What of a label fits beside the rails, and the columns that are left."""
    room = width - cells(drawn.rails)
    kept: Label = []
    for text, styles in drawn.label:
        shown = terminal.cut(text, room - bool(kept))
        if not shown:
            break
        room -= cells(shown) + bool(kept)
        kept.append((shown, styles))
    return kept, max(0, room)


def _bar(one: Shown, layout: _Layout, terminal: Terminal) -> str:
    row = one if isinstance(one, FoldedRow) else one.row
    if isinstance(row, InferredRow):
        return ""
    begin = row.start_ns - layout.start_ns
    styles, waited = styles_of("process"), 0
    if isinstance(row, FoldedRow):
        styles = _DIM
    elif row.status == "failed":
        styles = ("red",)
    elif isinstance(row, StepRow):
        styles = styles_of(row.state.dispatched.kind)
    if isinstance(row, StepRow) and row.streamed:
        waited = row.state.first_chunk_ns
    blank, drawn = bar(begin, waited, begin + row.duration_ns, layout.total_ns, layout.bar, unicode=terminal.unicode)
    return " " * blank + terminal.paint(drawn, *styles)


def _below(drawn: _Drawn, layout: _Layout, text: str, terminal: Terminal) -> str:
    return f"{'':{layout.ids + 3}}{terminal.paint(drawn.below, 'dim')}{text}".rstrip()
