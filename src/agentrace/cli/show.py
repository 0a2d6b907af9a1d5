"""``agentrace show``: a run as a tree, or some of its rows, one of its steps in full, or its events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from textwrap import wrap
from typing import Any, Final

import click
from msgspec import structs

from agentrace.archive import split_file
from agentrace.cli.around import foot_lines, head_lines
from agentrace.cli.as_json import row_json, tree_json
from agentrace.cli.detail import step_lines
from agentrace.cli.drawing import tree_lines
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.events_view import event_json_lines, event_lines
from agentrace.cli.folding import Command
from agentrace.cli.opening import home_option, named
from agentrace.cli.page_options import asked_page, page_options
from agentrace.cli.paging import show_lines
from agentrace.cli.progress import Progress
from agentrace.cli.selecting import Selection
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, iso
from agentrace.cli.values_below import values_below
from agentrace.cli.view import Asked, View, choose, in_words, typed, view
from agentrace.cli.words import KINDS, kinds_option
from agentrace.errors import RunNotFound
from agentrace.ids import format_run_id
from agentrace.query import Look, Row, RunRecord, Runs, StepRow, Tree, keep_look, last_look, look_at

_RANGE: Final = re.compile(r"(.+):(\d{1,18})?\.\.(\d{1,18})?", re.DOTALL)
_LAST: Final = 10**18


@click.command()
@click.argument("run", metavar="RUN[:STEP|:FROM..TO]", default="@last")
@click.option("--io", is_flag=True, help="Also show what went into each step and what came out.")
@click.option("--all", "everything", is_flag=True, help="Show every row, however many there are.")
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Fold what is more than N levels deep.")
@click.option("--find", "--search", metavar="TEXT", help="Only rows that hold this, in upper or lower case.")
@kinds_option("Only rows of this kind", (*KINDS, "process", "job"))
@click.option("--failed", is_flag=True, help="Only rows of what failed.")
@click.option("--new", is_flag=True, help="Only rows that began, ended or got notes since you last looked.")
@click.option("--events", is_flag=True, help="Show the events of the record instead.")
@click.option("--no-pager", is_flag=True, help="Do not use a pager.")
@page_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --events one object on each line.")
def command(run: str, **options: Any) -> None:
    """Show a run as a tree, some of its rows, or one of its steps in full.

    RUN is @last (the default), @last~2, the beginning of an id, or a name: the newest run of that name; or a trace
    file, of which FILE@RUN names one run of several. RUN:200..300 are its steps 200 to 300 and what they are
    inside of.

    Steps that ran at the same time have bars above one another; the thin part of a bar is the time before the
    first piece of a streamed answer.

    Of a tree of more than 500 rows, long stretches are folded: a line tells how many rows it stands for, how they
    went, and the command that shows them. Rows that failed, have not ended or have notes stay, up to ten beside one
    another. --all folds nothing, and --json has every row; with --depth it leaves out those that are deeper, and
    tells how many as folded_rows.

    --find looks in names, arguments, results, errors and notes. The options that choose rows can be combined.

    On a terminal, what does not fit goes through $AGENTRACE_PAGER, $PAGER or `less -FRX`.

    --html writes all of it, the payloads too, as one page that opens in any browser and asks for nothing else; with a
    step, the page opens there.

    \b
    Example:
      agentrace show
      agentrace show @last:7
      agentrace show checkout --io
      agentrace show checkout:200..300
      agentrace show checkout --find timeout --kind tool
      agentrace show checkout --new
      agentrace show shop.agentrace:7
      agentrace show @last --html trip.html
      agentrace show 01a1f910 --json | jq '.rows[] | select(.kind == "model") | .input_tokens'
    """
    reference, first, last = _range(run)
    asked = _asked(options, first, last)
    page = asked_page(options, refused=_refused_by_a_page(options, asked))
    runs, run_id, step_id = named(reference, options["home"])
    if page is not None:
        # What makes pages is loaded for them only: a run is shown in the terminal far more often.
        import_module("agentrace.cli.html").write_page(_tree(runs, run_id), runs.record, page, chosen=step_id)
        return
    lines: Iterable[str]
    if options["events"]:
        if asked.some or asked.depth or asked.everything:
            raise click.UsageError("--events shows all events of a run, or of one step.")
        record = runs.record(run_id)
        lines = event_json_lines(record, step_id) if options["as_json"] else event_lines(record, step_id, terminal())
    else:
        command = typed(_reference(runs, reference), asked.options(options["home"]))
        lines = _lines(runs, run_id, step_id, asked, command, options["as_json"])
    if options["as_json"]:
        write(lines)
    else:
        show_lines(lines, pager=not options["no_pager"])


def _range(text: str) -> tuple[str, int, int]:
    """The run, and the first and the last step, of ``RUN:FROM..TO``; zeros where no range is named."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return text, 0, 0
    first, last = int(found[2] or 1), int(found[3] or _LAST)
    if not 1 <= first <= last:
        raise click.BadParameter(
            f"{plain(text)!r}: steps are numbered from 1, and a range ends where it begins or later."
        )
    return found[1], first, last


def _asked(options: dict[str, Any], first: int, last: int) -> Asked:
    return Asked(
        first=first,
        last=last,
        find=options["find"] or "",
        kinds=options["kinds"],
        failed=options["failed"],
        new=options["new"],
        depth=options["depth"] or 0,
        everything=options["everything"],
        io=options["io"],
    )


def _refused_by_a_page(options: dict[str, Any], asked: Asked) -> dict[str, bool]:
    """The options that are of no use with a page, which has everything, and whether they are given."""
    names = ("io", "events", "find", "failed", "new", "depth")
    given = {f"--{name}": bool(options[name]) for name in names}
    more = {"--json": options["as_json"], "--all": asked.everything, "--kind": bool(asked.kinds)}
    return {**given, **more, "a range of steps": bool(asked.first)}


def _reference(runs: Runs, reference: str) -> Callable[[bytes], str]:
    """How the runs of this source are named in commands: as shortly as tells them apart."""
    file = split_file(reference)
    before = "" if file is None else f"{file.path}@"
    ids = [run_id.hex() for run_id in runs.ids]

    def of(run_id: bytes) -> str:
        short = run_id.hex()[:12]
        return before + (short if sum(known.startswith(short) for known in ids) == 1 else format_run_id(run_id))

    return of


def _tree(runs: Runs, run_id: bytes) -> Tree:
    """The tree of a run, of which a large one takes seconds to read and to fold."""
    with Progress("reading", "event") as progress:
        record = runs.record(run_id)
        if progress.draws:
            record.watch = progress.over
            assert record.trace.run.id == run_id  # what can be counted is read here
            progress.advance(0)
        return runs.tree(run_id)


def _lines(runs: Runs, run_id: bytes, step_id: int, asked: Asked, command: Command, as_json: bool) -> Iterable[str]:
    """What is printed of a run, or of one of its steps."""
    tree = _tree(runs, run_id)
    to = terminal()
    if asked.last == _LAST:
        asked = structs.replace(asked, last=max(runs.record(run_id).trace.steps, default=1))
    top = _row(tree, run_id, step_id) if step_id else None
    rows = tree.rows if top is None else list(_below(tree, top))
    look = last_look(runs.store, run_id) if asked.new else None
    selection = choose(tree, rows, asked, runs.record, look)
    told = in_words(asked, selection, len(rows), look, to.now_ns)
    if top is None and not (asked.first or asked.find or asked.kinds or asked.failed):
        kept = keep_look(runs.store, run_id, look_at(tree, to.now_ns))
        if asked.new and not kept:
            told += "; a look cannot be kept here, so the next one will not know of this one"
    if as_json:
        return [json_text(_json(tree, top, selection, look, runs.record, asked))]
    seen = view(tree, rows, asked, selection, command, told)
    if top is None:
        return shown_run(tree, runs.record, to, io=asked.io, seen=seen)
    return shown_step(top, seen, runs.record, to, io=asked.io)


def shown_run(
    tree: Tree,
    record_of: Callable[[bytes], RunRecord],
    to: Terminal,
    *,
    io: bool = False,
    seen: View | None = None,
) -> Iterator[str]:
    """The lines that show a run: what it is, its tree, or what is ``seen`` of it, and what it adds up to."""
    if seen is None:
        seen = view(tree, tree.rows, Asked(), None, typed(lambda run_id: run_id.hex()[:12]))
    yield from head_lines(tree, to)
    yield from _seen(seen, record_of, to, io)
    yield ""
    yield from foot_lines(tree, to)


def shown_step(
    row: StepRow, seen: View, record_of: Callable[[bytes], RunRecord], to: Terminal, *, io: bool = False
) -> Iterator[str]:
    """The lines that show a step: itself in full, then what is seen of what is inside of it."""
    yield from step_lines(row, record_of(row.run_id), to)
    if seen.rows or seen.told:
        yield ""
        yield to.paint("inside", "bold")
        yield from islice(_seen(seen, record_of, to, io), 1, None)


def _seen(seen: View, record_of: Callable[[bytes], RunRecord], to: Terminal, io: bool) -> Iterator[str]:
    """An empty line, what was asked for, and the tree."""
    if seen.told:
        yield ""
        yield from (to.paint(line, "bold") for line in wrap(seen.told, to.width))
    if seen.rows:
        yield ""
        yield from tree_lines(seen.rows, seen.time, to, values_below(record_of, to) if io else None)


def _json(
    tree: Tree,
    top: StepRow | None,
    selection: Selection | None,
    look: Look | None,
    record_of: Callable[[bytes], RunRecord],
    asked: Asked,
) -> dict[str, Any]:
    """The run or the step; with a selection the rows that were asked for, and what they are inside of."""
    deepest = asked.depth or _LAST
    among: Sequence[Row] = tree.rows if selection is None else [one.row for one in selection.rows]
    kept = [row for row in among if row.depth < deepest]
    tree = structs.replace(tree, rows=kept if selection is None else ())
    told = tree_json(tree, record_of, io=asked.io) if top is None else row_json(top, record_of, io=True)
    if asked.depth and (top is None or selection is not None):
        told["folded_rows"] = len(among) - len(kept)
    if asked.new:
        told["new_since"] = None if look is None else iso(look.at_ns)
    if selection is None:
        return told
    rows = [
        {**row_json(one.row, record_of, io=asked.io), "matched": not one.context, "found": list(one.found)}
        for one in selection.rows
        if one.row.depth < deepest
    ]
    return {**told, "matches": selection.count, "rows": rows}


def _row(tree: Tree, run_id: bytes, step_id: int) -> StepRow:
    for row in tree.rows:
        if isinstance(row, StepRow) and row.run_id == run_id and row.state.id == step_id:
            return row
    raise RunNotFound(
        f"run {format_run_id(run_id)} has no step {step_id}",
        do=f"it has {counted(tree.run.steps, 'step')}: agentrace show {run_id.hex()[:12]}",
    )


def _below(tree: Tree, top: StepRow) -> Iterator[Row]:
    rows = iter(tree.rows)
    for row in rows:
        if row is top:
            break
    for row in rows:
        if row.depth <= top.depth:
            return
        yield structs.replace(row, depth=row.depth - top.depth - 1)
