"""Writes the pages of docs/ that are made from code: ``python -m tests.docs.generate [--check]``.

A page stands in PAGES with the function that renders it; tests/docs/test_docs.py fails while one is stale.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from agentrace.config import Settings, expects, variable
from tests.docs.cli_page import cli_page
from tests.docs.event_views import event_views
from tests.docs.querying_page import querying_page
from tests.docs.trace_file_page import trace_file_page
from tests.docs.trace_page import trace_page

DOCS = Path(__file__).parents[2] / "docs"
GENERATED = "<!-- Made by `make docs` from {source}: change it there. -->\n\n"


def settings_page() -> str:
    """docs/settings.md: where settings are looked for, and each of them."""
    return GENERATED.format(source="src/agentrace/config/settings.py") + SETTINGS_HEAD + "\n".join(_settings())


SETTINGS_HEAD = """\
# Settings

Each setting is looked for in this order, and the first place that has it wins:

1. the arguments of the call: `agentrace.init(durability="power")`; `None` means "not given"
2. the environment: `AGENTRACE_DURABILITY=power`; an empty variable means "not given"
3. `config.toml` in the store directory: `durability = "power"`
4. the `[tool.agentrace]` table of the nearest `pyproject.toml` that has it, from the working directory up
5. the default

A key that is no setting, or a value of the wrong type, is a [ConfigError](errors.md#config) that names the
place and the nearest right spelling. A variable `AGENTRACE_...` that is no setting only warns, except for
`AGENTRACE_PAGER`, which [the command line](cli.md#reading-the-tree) reads. A `.agentrace`
directory or a `pyproject.toml` that belongs to another user, in a directory that anyone may write (such as
`/tmp`), is passed over.

"""


def _settings() -> Iterator[str]:
    told = dict(attribute_docstrings(Settings))
    for field in msgspec.structs.fields(Settings):
        default = "found, see above" if field.required else _toml(field.default)
        yield f"## {field.name}\n\n{told[field.name]}\n"
        yield "| variable | accepts | default |\n| --- | --- | --- |"
        yield f"| `{variable(field.name)}` | {expects(field.name)} | {default} |\n"


def _toml(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return "`[]`"
        case str():
            return f'`"{value}"`'
        case _:
            return f"`{value}`"


def attribute_docstrings(cls: type) -> Iterator[tuple[str, str]]:
    """Each field of a class with the string that stands below it, joined to one paragraph."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef))
    for field, below in itertools.pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "02-canonical-trace-spec.md": lambda: (
        GENERATED.format(source="src/agentrace/events.py and canonical/tags.py") + trace_page()
    ),
    "trace-file.md": lambda: GENERATED.format(source="src/agentrace/archive and tests/docs") + trace_file_page(),
    "querying.md": lambda: GENERATED.format(source="src/agentrace/index/sql and tests/docs") + querying_page(),
    "../src/agentrace/index/sql/event_views.sql": event_views,
    "cli.md": lambda: GENERATED.format(source="the commands in src/agentrace/cli") + cli_page(),
}
"""The generated pages, by their path in docs/."""


def main(arguments: list[str]) -> int:
    """Write the stale pages, or with ``--check`` only name them; 1 if ``--check`` found one."""
    stale = [name for name, render in PAGES.items() if current(name) != render()]
    for name in stale:
        print(f"docs/{name} is out of date" if "--check" in arguments else f"docs/{name} written")
        if "--check" not in arguments:
            (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
            (DOCS / name).write_text(PAGES[name]())
    return 1 if stale and "--check" in arguments else 0


def current(name: str) -> str:
    """What the page says now; empty if there is none."""
    page = DOCS / name
    return page.read_text() if page.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
