"""The pages that are made from code leave nothing out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click

from agentrace import events, reading
from agentrace.canonical import tags
from agentrace.cli import COMMANDS, agentrace
from tests.docs.cli_page import cli_page
from tests.docs.trace_page import documented, trace_page


def test_every_field_of_every_event_says_what_it_means() -> None:
    tree = ast.parse(Path(events.__file__).read_text())
    told = {type_.__name__ for type_ in events.EVENT_TYPES} | {"Event", "Origin", "Parent", "Failure", "Chunk"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in told]

    silent = [
        f"{node.name}.{ast.unparse(field.target)}"
        for node in classes
        for field, text in documented(node)
        if not text.strip()
    ]

    assert len(classes) == len(told)
    assert silent == []


def test_the_page_of_the_trace_tells_every_event_and_every_kind_of_value() -> None:
    page = trace_page()

    assert [t.__name__ for t in events.EVENT_TYPES if f"### {t.__name__}\n" not in page] == []
    codes = {name: code for name, code in vars(tags).items() if name.isupper() and isinstance(code, int)}
    assert [name for name, code in codes.items() if f"| {code} | `{name.lower()}` |" not in page] == []


def test_the_page_of_the_command_line_tells_every_command_and_option() -> None:
    page, context = cli_page(), click.Context(agentrace)

    for name in COMMANDS:
        command = agentrace.get_command(context, name)
        assert command is not None
        section = page.partition(f"## agentrace {name}\n")[2].partition("\n## ")[0]
        options = [spelt for option in command.params if isinstance(option, click.Option) for spelt in option.opts]
        assert [spelt for spelt in options if spelt not in section] == []


def test_the_page_of_reading_tells_every_public_name() -> None:
    page = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text()
    kinds = [getattr(reading, name) for name in reading.__all__ if isinstance(getattr(reading, name), type)]
    ours = [kind for kind in kinds if kind.__module__.startswith("agentrace.reading")]
    names = {name for kind in ours for name in vars(kind) if not name.startswith("_")} | set(reading.__all__)

    assert len(ours) > 10
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", page)) == []
