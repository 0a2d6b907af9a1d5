"""The runs that a filter lets through, as ``agentrace ls`` lists them: every one by itself, with where it belongs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from agentrace.cli.as_json import summary_json
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.indexed import index_of
from agentrace.cli.run_table import belongs, damage_lines, footer_lines, table_lines, unique_digits
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted
from agentrace.errors import RunNotFound
from agentrace.index.filters import Filter, Sort
from agentrace.index.finding import FoundRun, FoundRuns, Order, find
from agentrace.query import Listed, Runs


def show(runs: Runs, wanted: Filter, order: tuple[Sort, bool, int], *, everything: bool, as_json: bool) -> None:
    """Print them."""
    sort, reverse, number = order
    # Who only sorts wants the list that is there without: of those runs that no other one started.
    roots = wanted == Filter() and not everything
    with index_of(runs) as session:
        found = find(session, wanted, Order(sort, reverse, number), roots=roots)
    listed = list(_listed(runs, found.runs))
    if as_json:
        write(json_text(summary_json(one.summary, one.processes, one.jobs)) for one, _ in listed)
        return
    if not listed:
        none = f"none of {counted(found.among, 'run')} in {plain(str(runs.store.root))} is like that"
        click.echo(none, err=True)
        return
    write(found_lines(listed, found, unique_digits(runs.ids), runs.store.root, terminal()))


def _listed(runs: Runs, found: Sequence[FoundRun]) -> Iterator[tuple[Listed, FoundRun]]:
    for one in found:
        try:
            yield Listed(runs.summary(one.run_id), one.processes, one.jobs, failed=one.failed), one
        except RunNotFound:
            continue  # it was removed in this moment


def found_lines(
    listed: Sequence[tuple[Listed, FoundRun]], found: FoundRuns, digits: int, root: Path, to: Terminal
) -> Iterator[str]:
    """The table of the runs that were found in the store at ``root``."""
    yield from table_lines([(entry, _belongs(one, digits)) for entry, one in listed], digits, to)
    yield from footer_lines(_footer(len(listed), found, root), to)
    yield from damage_lines([entry for entry, _ in listed], digits, to)


def _belongs(one: FoundRun, digits: int) -> str:
    return belongs(one.parent, digits, is_job=one.is_job, step=one.parent_step)


def _footer(shown: int, found: FoundRuns, root: Path) -> str:
    place = f"in {plain(str(root))}"
    if shown < found.matching:
        there = f"{counted(found.matching, 'run')}, among {found.among:,} {place}"
        return f"{shown:,} of {there}; -n {found.matching} shows all"
    return f"{counted(shown, 'run')} among {found.among:,} {place}"
