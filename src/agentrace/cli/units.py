"""Numbers as people read them: durations, ages, sizes, counts, dates."""

from __future__ import annotations

import datetime
from typing import Final

_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_AGES: Final = ((86_400 * 365, "y"), (86_400, "d"), (3_600, "h"), (60, "min"))


def duration(ns: int) -> str:
    """``12 µs``, ``0.4 ms``, ``812 ms``, ``2.31 s``, ``3 min 12 s``, ``1 h 02 min``."""
    if 0 < ns < 50_000:  # which is no 0.0 ms
        return f"{ns / 1000:.0f} µs" if ns >= 1_000 else f"{ns} ns"
    if ns < 10 * _MS:
        return f"{ns / _MS:.1f} ms"
    if ns < 999.5 * _MS:
        return f"{ns / _MS:.0f} ms"
    if ns < 9.995 * _S:
        return f"{ns / _S:.2f} s"
    if ns < 59.95 * _S:
        return f"{ns / _S:.1f} s"
    seconds = round(ns / _S)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def age(ns: int) -> str:
    """How long ago, in the largest unit that fits: ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    seconds = max(0, ns) // _S
    for length, unit in _AGES:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def size(count: int) -> str:
    """``512 B``, ``1.2 MB``: powers of 1000."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.1f} {units[0]}"


def counted(count: int, what: str) -> str:
    """``1 step``, ``12,000 steps``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {_plural(what)}"


def _plural(what: str) -> str:
    if what.endswith("y"):
        return what[:-1] + "ies"
    return what + ("es" if what.endswith("s") else "s")


def date(ts: int) -> str:
    """Unix nanoseconds as local time: ``2026-11-20 12:25:01``."""
    try:
        return datetime.datetime.fromtimestamp(ts // _S).isoformat(" ")
    except (OverflowError, OSError, ValueError):
        return f"{ts} ns"


def iso(ts: int) -> str:
    """Unix nanoseconds as UTC: ``2026-11-20T12:25:01.123456Z``; empty for 0."""
    if not ts:
        return ""
    try:
        moment = datetime.datetime.fromtimestamp(ts // _S, datetime.UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts % _S // 1000:06d}Z"
