"""What of a run is shown: which of its rows, and how those that are too many are folded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from agentrace.cli.escaping import plain
from agentrace.cli.folding import Command, Where, folded, page
from agentrace.cli.rows import Shown, Span, span, whole
from agentrace.cli.searching import PLACES, holding
from agentrace.cli.selecting import Selection, Test, failed, in_range, new_since, of_kinds, selected
from agentrace.cli.units import age, counted, date
from agentrace.query import Look, Row, RunRecord, Tree


class Asked(Struct, frozen=True):
    """What a person asks to see of a run, beside the run itself."""

    first: int = 0
    """The first step of a range; 0 for no range."""
    last: int = 0
    find: str = ""
    kinds: Sequence[str] = ()
    failed: bool = False
    new: bool = False
    depth: int = 0
    """Levels that are shown; 0 for all."""
    everything: bool = False
    """Whether nothing is folded."""
    io: bool = False

    @property
    def some(self) -> bool:
        """Whether only some of the rows are asked for."""
        return bool(self.first or self.find or self.kinds or self.failed or self.new)

    def options(self, home: Path | None) -> str:
        """The options of a command that asks for the same of another part of the run."""
        words = [
            *(["--find", self.find] if self.find else []),
            *(word for kind in self.kinds for word in ("--kind", kind)),
        ]
        words += ["--failed"] if self.failed else []
        words += ["--io"] if self.io else []
        words += ["--home", str(home)] if home is not None else []
        return shlex.join(words)


class View(Struct, frozen=True):
    """What is drawn of a tree."""

    rows: Sequence[Shown]
    time: Span
    """What the bars stand on."""
    told: str = ""
    """What was asked for, and how many rows that are."""


def typed(reference: Callable[[bytes], str], options: str = "") -> Command:
    """How a person is told to see what was folded; ``reference`` names a run."""

    def command(where: Where) -> str:
        steps = f":{where.first}..{where.last}" if where.last else f":{where.first}" if where.first else ""
        run = shlex.quote(f"{reference(where.run_id)}{steps}")
        return " ".join(filter(None, ["agentrace show", run, "--all" if where.everything else "", options]))

    return command


def view(
    tree: Tree, rows: Sequence[Row], asked: Asked, selection: Selection | None, command: Command, told: str = ""
) -> View:
    """What is drawn of ``rows``, which are all of the tree's or those inside of one step."""
    if selection is None:
        shown = folded(whole(rows), tree.run.id, command, depth=asked.depth, everything=asked.everything)
        return View(shown, span(rows), told)
    time = span([one.row for one in selection.rows if not one.context] if asked.first else rows)
    if asked.first and not asked.everything:
        return View(page(selection.rows, tree.run.id, asked.last, command), time, told)
    shown = folded(selection.rows, tree.run.id, command, depth=asked.depth, everything=asked.everything)
    return View(shown, time, told)


def choose(
    tree: Tree, rows: Sequence[Row], asked: Asked, record_of: Callable[[bytes], RunRecord], look: Look | None
) -> Selection | None:
    """The rows that are asked for; ``None`` for all of them."""
    tests: list[Test] = []
    if asked.first:
        tests.append(in_range(rows, tree.run.id, asked.first, asked.last))
    if asked.kinds:
        tests.append(of_kinds(asked.kinds))
    if asked.failed:
        tests.append(failed)
    if asked.new and look is not None:
        tests.append(new_since(look.seen))
    if asked.find:
        tests.append(holding(asked.find, record_of))
    return selected(rows, tests) if tests else None


def in_words(asked: Asked, selection: Selection | None, total: int, look: Look | None, now_ns: int) -> str:
    """What was asked for, and how much of it there is; empty for all."""
    if asked.new and look is None:
        return "nothing is kept of an earlier look at this run: all of it is new"
    if selection is None:
        return ""
    if asked.new and look is not None and not selection.count and len(list(_conditions(asked, look, now_ns))) == 1:
        return f"nothing is {_since(look, now_ns)}"
    count = "no row" if not selection.count else counted(selection.count, "row")
    return f"{count} of {total:,}: {'; '.join(_conditions(asked, look, now_ns))}"


def _conditions(asked: Asked, look: Look | None, now_ns: int) -> Iterator[str]:
    if asked.first:
        yield f"step {asked.first}" if asked.first == asked.last else f"steps {asked.first:,} to {asked.last:,}"
    if asked.kinds:
        yield f"kind {' or '.join(map(plain, asked.kinds))}"
    if asked.failed:
        yield "failed"
    if asked.new and look is not None:
        yield _since(look, now_ns)
    if asked.find:
        yield f"with {plain(asked.find)!r} in {PLACES}, in upper or lower case"


def _since(look: Look, now_ns: int) -> str:
    return f"new since the last look, {age(now_ns - look.at_ns)} ago ({date(look.at_ns)})"
