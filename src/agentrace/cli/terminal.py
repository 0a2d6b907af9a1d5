"""Where output goes: how wide it is, whether it has colours, what time it is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Final, TextIO

from msgspec import Struct

from agentrace.cli.escaping import cut

PIPED_WIDTH: Final = 100
NARROWEST: Final = 40
_STYLES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_AT_ONCE: Final = 512


class Terminal(Struct, frozen=True):
    """What a rendering needs to know."""

    width: int = PIPED_WIDTH
    """Columns."""
    colour: bool = False
    unicode: bool = True
    """Whether lines and bars can be drawn."""
    now_ns: int = 0
    """Unix nanoseconds, for ages."""

    def paint(self, text: str, *styles: str) -> str:
        """``text`` in these styles, or as it is where there are no colours."""
        if not self.colour or not text or not styles:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def cut(self, text: str, width: int) -> str:
        """Plain ``text`` in at most ``width`` columns, with a sign that something is cut off."""
        return cut(text, width, self.either("…", "~"))

    def either(self, drawn: str, plain: str) -> str:
        """``drawn``, or ``plain`` where only ASCII can be shown."""
        return drawn if self.unicode else plain


def terminal(stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> Terminal:
    """What ``stream`` (standard output) is."""
    out: TextIO = sys.stdout if stream is None else stream
    environ = os.environ if environ is None else environ
    interactive = out.isatty()
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        width = int(columns)
    else:
        width = _columns(out) if interactive else PIPED_WIDTH
    colour = interactive and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Terminal(max(NARROWEST, width), colour, _draws(out), time.time_ns())


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or PIPED_WIDTH
    except (OSError, ValueError):
        return PIPED_WIDTH


def _draws(stream: TextIO) -> bool:
    try:
        "│━…→".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write(lines: Iterable[str]) -> None:
    """Lines to standard output, many at a time."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == _AT_ONCE:
            sys.stdout.write("\n".join(waiting) + "\n")
            waiting.clear()
    if waiting:
        sys.stdout.write("\n".join(waiting) + "\n")
