"""``agentrace search``: where a text is in the records, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agentrace.cli.escaping import cells, json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.indexed import index_of
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.run_table import unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, iso
from agentrace.ids import format_run_id
from agentrace.index.filters import Filter
from agentrace.index.searching import Hit, Sought, search

_LEAST_AFTER = 20
"""Columns that stay free for what comes after a match."""


@click.command()
@click.argument("sought", metavar="TEXT")
@click.option("-n", "--number", type=click.IntRange(1), default=20, show_default=True, help="How many hits.")
@click.option("--case", "cased", is_flag=True, help="Capitals are other letters.")
@click.option("--regex", "is_pattern", is_flag=True, help="TEXT is a regular expression (RE2).")
@click.option("--from", "file", metavar="FILE", help="A trace file, in place of the store.")
@filter_options
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each hit, one on each line.")
@click.pass_context
def command(
    ctx: click.Context,
    sought: str,
    number: int,
    cased: bool,
    is_pattern: bool,
    file: str | None,
    wanted: Filter,
    home: Path | None,
    as_json: bool,
) -> None:
    """Look for TEXT in all that went into steps, came out, failed, was noted or said; the newest hits first.

    TEXT is taken as it is, whatever characters are in it; capitals make no difference. Values stand in records as JSON,
    so what JSON escapes (quotes, line ends) is found in both spellings. Each text counts once, however often TEXT is in
    it. The exit code is 1 if nothing is found.

    Filters say in which runs; --kind and --model also of which steps.

    \b
    Example:
      agentrace search 'insufficient funds'
      agentrace search --since 2h --kind tool timeout
      agentrace search --regex 'order [0-9]{6}' --case --json
    """
    if not sought:
        raise click.UsageError("TEXT is empty, and that is in every text.")
    runs = open_runs(home) if file is None else file_runs(file)
    with index_of(runs) as session:
        found = search(session, Sought(sought, is_pattern, cased), wanted, number)
    if as_json:
        write(json_text(hit_json(hit)) for hit in found.hits)
    elif found.hits:
        write(hit_lines(found.hits, found.matching, unique_digits(runs.ids), terminal()))
    else:
        click.echo("nothing found", err=True)
    if not found.hits:
        ctx.exit(1)


def hit_lines(hits: Sequence[Hit], matching: int, digits: int, to: Terminal) -> Iterator[str]:
    """A line that says where, and below it the match in its text."""
    for hit in hits:
        step = f":{hit.step_id}" if hit.step_id else ""
        what = " ".join(filter(None, (hit.kind, plain(hit.name))))
        said = f"{hit.role} in {hit.part}" if hit.role else hit.part
        head = f"{hit.run_id.hex()[:digits]}{step}"
        rest = to.cut(
            f"  {plain(hit.run_name) or '?'}  {f'{what}  ' if what else ''}{plain(said)}", to.width - len(head)
        )
        yield f"{to.paint(head, 'bold')}{to.paint(rest, 'dim')}"
        yield f"  {_excerpt(hit, to)}"
    if len(hits) < matching:
        yield to.paint(f"{len(hits):,} of {counted(matching, 'hit')}; -n {matching} shows all", "dim")
    else:
        yield to.paint(counted(matching, "hit"), "dim")


def _excerpt(hit: Hit, to: Terminal) -> str:
    """The match in one line, with as much around it as there is room for; marked by colour, or by »«."""
    open_, close = ("", "") if to.colour else (to.either("»", ">>"), to.either("«", "<<"))
    room = to.width - 2
    match = to.cut(plain(hit.match), max(8, room - 2 * _LEAST_AFTER))
    left = max(0, room - cells(match) - len(open_) - len(close))
    before, after = plain(hit.before), plain(hit.after)
    wanted_after = cells(after) + hit.cut_after
    for_before = max(left // 3, left - wanted_after)
    before = _end(before, for_before, to, more=hit.cut_before)
    after = _beginning(after, left - cells(before), to, more=hit.cut_after)
    return f"{before}{open_}{to.paint(match, 'bold', 'yellow')}{close}{after}"


def _end(text: str, width: int, to: Terminal, *, more: bool) -> str:
    """The end of ``text``; ``more`` says that it has a beginning beside."""
    if cells(text) + more <= width:
        return to.either("…", "~") + text if more else text
    return to.cut(text[::-1] + "  ", max(0, width))[::-1]


def _beginning(text: str, width: int, to: Terminal, *, more: bool) -> str:
    if cells(text) + more <= width:
        return text + to.either("…", "~") if more else text
    return to.cut(text + "  ", max(0, width))


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit; ``before``, ``match`` and ``after`` are pieces of the text as it is kept."""
    return {
        "run_id": format_run_id(hit.run_id),
        "run_name": hit.run_name,
        "step_id": hit.step_id,
        "kind": hit.kind or None,
        "name": hit.name or None,
        "part": hit.part,
        "role": hit.role or None,
        "started": iso(hit.ts),
        "before": hit.before,
        "match": hit.match,
        "after": hit.after,
    }
