"""Text from a record made safe to print: what a terminal would obey, or draw elsewhere, is shown as an escape."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

import msgspec

_OBEYED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, among them ESC and the C1 forms of escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # writing direction
    "\u200b\u2028\u2029\u2060-\u2064\ufeff\ufff9-\ufffb"  # invisible, or ends a line
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, and tags
)
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def plain(text: str) -> str:
    """``text`` as one line that only prints: a line end is shown as ``\\n``, an escape character as ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return _OBEYED.sub(_escape, text)


def plain_lines(text: str) -> list[str]:
    """The lines of ``text``, each made plain; tabs become spaces."""
    return [plain(line) for line in text.expandtabs(4).split("\n")]


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: Any) -> str:
    """``value`` as one line of JSON that only prints; every reader of JSON reads the same from it."""
    return _OBEYED.sub(_json_escape, msgspec.json.encode(value).decode("utf-8", "surrogatepass"))


def _json_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def cells(text: str) -> int:
    """Columns that plain ``text`` takes in a terminal."""
    return len(text) if text.isascii() else _cells(text)


@lru_cache(4096)
def _cells(text: str) -> int:
    return sum(map(_cells_of, text))


def _cells_of(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """Plain ``text`` in at most ``width`` columns; that something is cut off is told by ``ellipsis``, one column."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for char in text:
        used += _cells_of(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + ellipsis if width > 0 else ""
