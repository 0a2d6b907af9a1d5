"""docs/02-canonical-trace-spec.md: every event and every kind of value, from the docstrings beside them."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from agentrace import events
from agentrace.canonical import tags

WIDTH = 110

HEAD = """\
# The canonical trace

A trace is the record of one run: a sequence of **events**, and the **payloads** that their values refer to. Everything
else that agentrace shows (trees, times, tokens, whether a run can be replayed) is computed from these and can be
computed again. This page is the vocabulary; where the bytes stand is told in
[data storage and retention](03-data-storage-and-retention.md). Format version: `{version}`, in which
1.0 is whole: a version 1.x is 1.0 with something added. What reads 1.0 reads all of 1.x, and keeps what it does not
know: it shows a value of an `OBJECT` kind of its future as the fields that it has, exports it with its payloads, and
refuses to rebuild it. 1.1 added the kinds of `OBJECT` that are values of libraries, `CODED` values, and fields at the end of events.

## How an event is written

{module}

Every event begins with:

{event}

An event is identified by its run and its `seq`. `seq` has no duplicates and, in a record that is complete, no gaps:
where events were lost, an `EventsLost` stands for them. Readers stop at the first gap of a run that is still being
written.

## The events

{table}
"""

PARTS = """
## Parts of events

Structs that stand inside of events, as msgpack arrays in the order of their fields.
"""

VALUES = """
## Values

{module}

| code | kind | data |
| --- | --- | --- |
{rows}

A value says how faithful it is: `exact` (decoding makes an equal value of the same type), `structural` (the same
content in a plainer type) or `opaque` (only described: type, text and reason). Nothing is cut silently. Decoding
never imports a module and never runs code that a record names; classes come from what the running program has
loaded.

As JSON (`agentrace show --json`, `--events`), what JSON has no word for is an object with one key that begins with
`$`: `{{"$tuple": [1, 2]}}`, `{{"$bytes": "text"}}` or `{{"$base64": "..."}}`, `{{"$datetime": "..."}}`; an object of a
class is its fields with its class under `$type`; what could not be encoded is `{{"$opaque": ..., "type": ...,
"reason": ...}}`. What a codec of the program gave is `{{"$codec": name, "value": ...}}`; reading it runs nothing of the
codec, which is the program's.
"""


def trace_page() -> str:
    """The page, without its first line."""
    tree = ast.parse(Path(events.__file__).read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    known = {type_.__name__: type_.__struct_config__.tag for type_ in events.EVENT_TYPES}
    table = "\n".join(
        ["| tag | event | says |", "| --- | --- | --- |"]
        + [f"| {tag} | [{name}](#{name.lower()}) | {_cell(_doc(classes[name]))} |" for name, tag in known.items()]
    )
    module = (ast.get_docstring(tree) or "").partition("\n\n")[2]
    parts = [name for name, node in classes.items() if "Part" in map(ast.unparse, node.bases)]
    return "".join(
        [
            HEAD.format(
                version=events.FORMAT_VERSION,
                module=_text(module),
                event=_fields(classes["Event"], 1, required=False),
                table=table,
            ),
            *(_section(classes[name], 4, f"Tag {tag}. ") for name, tag in known.items()),
            PARTS,
            *(_section(classes[name], 0) for name in parts),
            VALUES.format(module=_text(_values_module()), rows="\n".join(_tag_rows())),
        ]
    )


def _section(node: ast.ClassDef, first: int, lead: str = "") -> str:
    return f"\n### {node.name}\n\n{_text(lead + _doc(node))}\n\n{_fields(node, first)}\n"


def _fields(node: ast.ClassDef, first: int, *, required: bool = True) -> str:
    """The fields of a class as a table, counted from position ``first``."""
    rows = ["| position | field | type | default | meaning |", "| --- | --- | --- | --- | --- |"]
    if not required:
        rows = ["| position | field | type | meaning |", "| --- | --- | --- | --- |"]
        rows.append("| 0 | `tag` | `int` | Which event it is. |")
    for position, (field, told) in enumerate(documented(node), first):
        default = f" {_default(field)} |" if required else ""
        type_ = ast.unparse(field.annotation).replace("|", "\\|")
        rows.append(f"| {position} | `{ast.unparse(field.target)}` | `{type_}` |{default} {_cell(told)} |")
    return "\n".join(rows) if len(rows) > 2 else "It has no fields of its own."


def documented(node: ast.ClassDef | ast.Module) -> Iterator[tuple[ast.AnnAssign, str]]:
    """Each annotated field with the string that stands below it; empty if none does."""
    for one, below in itertools.zip_longest(node.body, node.body[1:]):
        if isinstance(one, ast.AnnAssign):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield one, text
                case _:
                    yield one, ""


def _default(field: ast.AnnAssign) -> str:
    if field.value is None:
        return "required"
    text = ast.unparse(field.value)
    return _DEFAULTS.get(text) or f"`{text}`".replace("'", '"')


_DEFAULTS = {"NO_VALUE": "`None`", "b''": "no bytes", "FORMAT_VERSION": "this version"}


def _values_module() -> str:
    docstring = ast.get_docstring(ast.parse(Path(tags.__file__).read_text())) or ""
    return docstring.partition("\n\n")[2]


def _tag_rows() -> Iterator[str]:
    seen: set[str] = set()
    for field, told in documented(ast.parse(Path(tags.__file__).read_text())):
        name = ast.unparse(field.target)
        if isinstance(field.value, ast.Constant) and isinstance(field.value.value, int) and name not in seen:
            seen.add(name)
            yield f"| {field.value.value} | `{name.lower()}` | {_cell(told)} |"


def _doc(node: ast.ClassDef) -> str:
    return ast.get_docstring(node) or ""


def _cell(text: str) -> str:
    """A docstring as a cell of a table."""
    return _marked(" ".join(text.split())).replace("|", "\\|")


def _text(text: str) -> str:
    """A docstring as paragraphs."""
    paragraphs = re.split(r"\n\s*\n", _marked(text))
    return "\n\n".join(textwrap.fill(" ".join(p.split()), WIDTH, break_on_hyphens=False) for p in paragraphs)


def _marked(text: str) -> str:
    """Double backquotes and roles of reStructuredText as single backquotes."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
