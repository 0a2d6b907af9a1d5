"""The views of the index in a terminal: what can be asked."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from agentrace.cli.escaping import cells
from agentrace.cli.terminal import Terminal
from agentrace.index.describing import View


def view_lines(views: Sequence[View], to: Terminal) -> Iterator[str]:
    """Each view with the names of its columns; those of events by their names only."""
    for view in views:
        if not view.of_event:
            yield f"{to.paint(view.name, 'bold')}  {to.paint(view.comment, 'dim')}"
            yield from _wrapped(", ".join(column.name for column in view.columns), to)
    yield ""
    yield to.paint("One for each type of event:", "dim")
    yield from _wrapped(", ".join(view.name for view in views if view.of_event), to)
    yield ""
    yield 'agentrace sql --schema tells what is in them; agentrace sql "from runs limit 5" asks'


def schema_lines(views: Sequence[View], to: Terminal) -> Iterator[str]:
    """Each view with its columns, one in each line."""
    for view in views:
        yield f"{to.paint(view.name, 'bold')}  {to.paint(view.comment, 'dim')}"
        names = max(cells(column.name) for column in view.columns)
        kinds = max(cells(column.type) for column in view.columns)
        for column in view.columns:
            line = f"  {column.name:<{names}}  {column.type:<{kinds}}  {column.comment}"
            yield to.cut(line.rstrip(), to.width)
        yield ""


def schema_json(view: View) -> dict[str, Any]:
    """A view."""
    return {
        "view": view.name,
        "comment": view.comment,
        "columns": [
            {"name": column.name, "type": column.type, "comment": column.comment or None} for column in view.columns
        ],
    }


def _wrapped(text: str, to: Terminal) -> Iterator[str]:
    indent = "  "
    yield from textwrap.wrap(text, to.width, initial_indent=indent, subsequent_indent=indent)
