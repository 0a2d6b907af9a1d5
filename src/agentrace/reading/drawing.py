"""How what was read shows itself in a console and in a notebook: short, and with nothing in it that is obeyed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final

WIDEST: Final = 60
"""Characters of a text that are shown."""
_COLUMNS: Final = 14
_STYLE: Final = "text-align: left; vertical-align: top; white-space: pre-wrap"


def brief(value: object, most: int = WIDEST) -> str:
    """A value in one short line of characters that only print."""
    text = value[: most + 1] if isinstance(value, str) else str(_told(value))[: 4 * most]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _told(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, timedelta):
        return in_seconds(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(brief(item, 20) for item in value[:8])
    return value


def counted(number: int, plural: str) -> str:
    """``1 run``, ``1,200 runs``."""
    one = plural.removesuffix("es") if plural == "matches" else plural.removesuffix("s")
    return f"{number:,} {one if number == 1 else plural}"


def in_seconds(duration: timedelta) -> str:
    """``12 ms``, ``3.1 s``."""
    seconds = duration.total_seconds()
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:,.1f} s"


def html_table(names: Sequence[str], rows: Iterable[Sequence[Any]], beside: str) -> str:
    """A table for a notebook; everything in it is text. ``beside`` stands below it."""
    shown = [brief(name) for name in names[:_COLUMNS]]
    if len(names) > _COLUMNS:
        beside = f"{beside}; {len(names) - _COLUMNS} more columns"
    head = "".join(f'<th style="{_STYLE}">{escape(name)}</th>' for name in shown)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row[:_COLUMNS])}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div>{table}<p>{escape(beside)}</p></div>"


def _cell(value: object) -> str:
    return f'<td style="{_STYLE}">{"" if value is None else escape(brief(value))}</td>'
