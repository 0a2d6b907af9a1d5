"""A run as one HTML file that shows itself: no server, no request, nothing in it that a trace could run.

Everything of the trace is data: JSON, compressed and in base64, in script elements of a type that no browser executes.
The page's own script and style are the files of ``page/``, named by their hashes in a policy that forbids everything
else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from msgspec import Struct

from agentrace.export.blocks import Blocks, compressed

SCRIPTS: Final = (
    "words.js",
    "blocks.js",
    "rows.js",
    "timeline.js",
    "table.js",
    "values.js",
    "detail.js",
    "search.js",
    "page.js",
)
"""The parts of the page's script, in order; they are one function."""


class Contents(Struct, frozen=True):
    """What a page shows."""

    title: str
    head: Mapping[str, Any]
    """What stands above the tree: JSON data."""
    columns: Mapping[str, Sequence[Any]]
    """The rows of the tree, column by column: JSON data."""
    outline: Iterable[str]
    """The rows as lines, for browsers without JavaScript."""
    blocks: Blocks
    """What there is to each row, by the number in the column ``detail``."""


def page(contents: Contents) -> Iterator[bytes]:
    """The parts of the file."""
    contents.blocks.finish()
    script, style = _script(), _read("page.css")
    before, at_outline, at_data, after = _template()
    head = {**contents.head, "first": contents.blocks.first}
    filled = before.replace("{policy}", _policy(script, style)).replace("{style}", style)
    # The title comes last: it is of the trace, and may hold anything.
    yield filled.replace("{title}", _shown(contents.title)).encode()
    for line in contents.outline:
        yield _shown(line + "\n").encode()
    yield at_outline.encode()
    yield f'<script type="application/json" id="head">{_data(head)}</script>\n'.encode()
    yield _block("columns", compressed(json.dumps(contents.columns, separators=(",", ":"), allow_nan=False)))
    yield at_data.replace("{script}", script).encode()
    for number, block in enumerate(contents.blocks.blocks):
        yield _block(f"block-{number}", block)
    yield after.encode()


def _template() -> tuple[str, str, str, str]:
    before, rest = _read("page.html").split("{outline}")
    at_outline, rest = rest.split("{data}\n")
    at_data, after = rest.split("{blocks}\n")
    return before, at_outline, at_data, after


def _script() -> str:
    return "(() => {\n'use strict';\n" + "\n".join(_read(name) for name in SCRIPTS) + "})();\n"


def _read(name: str) -> str:
    return (files("agentrace.export") / "page" / name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    allowed = {"script-src": script, "style-src": style}
    hashes = "; ".join(f"{what} 'sha256-{_hash(text)}'" for what, text in allowed.items())
    return f"default-src 'none'; {hashes}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _block(name: str, data: bytes) -> bytes:
    encoded = base64.b64encode(data)
    return b'<script type="text/plain" id="' + name.encode() + b'">' + encoded + b"</script>\n"


def _data(value: Any) -> str:
    """JSON that ends no script element, whatever is in it; all of it ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _shown(text: str) -> str:
    """Text that is nothing but text in HTML; halves of characters, which no file can hold, are replaced."""
    return html.escape(text.encode("utf-8", "replace").decode())
