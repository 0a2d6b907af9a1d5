"""What the values of filters mean: moments, durations, counts, and ranges of them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Final

from agentrace.index.filters import Between

_S: Final = 1_000_000_000
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": _S,
    "m": 60 * _S,
    "min": 60 * _S,
    "h": 3_600 * _S,
    "d": 86_400 * _S,
    "w": 604_800 * _S,
}
"""Nanoseconds in each unit."""
_MULTIPLES: Final = {"": 1, "k": 1_000, "m": 1_000_000}
_NUMBER: Final = re.compile(r"(\d+(?:[_,]\d{3})*(?:\.\d+)?) ?([a-zµ]*)", re.IGNORECASE)
_MOST: Final = 2**63 - 1
MOMENTS: Final = "2h, 3d, today, yesterday, 2026-11-20 or 2026-11-20T14:30"
DURATIONS: Final = "'>5s', '<200ms', '1s..5s'"
COUNTS: Final = "'>1000', '<=2k', '1000..5000'"


def moment(text: str, now: int) -> int:
    """A moment as Unix nanoseconds: so long before ``now``, or a day or time of the local time zone.

    Raises ``ValueError`` for what is none.
    """
    word = text.strip()
    if word.lower() in ("now", "today", "yesterday"):
        return now if word.lower() == "now" else _midnight(now, days=word.lower() == "yesterday")
    if _NUMBER.fullmatch(word) and not word.isdecimal():
        return max(0, now - nanoseconds(word))
    if word.isdecimal():
        raise ValueError(f"{text!r} has no unit")
    found = datetime.datetime.fromisoformat(word)
    try:
        return int(found.timestamp()) * _S + found.microsecond * 1000
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error


def _midnight(now: int, *, days: int) -> int:
    day = datetime.datetime.fromtimestamp(now // _S).date() - datetime.timedelta(days=days)
    return int(datetime.datetime.combine(day, datetime.time()).timestamp()) * _S


def nanoseconds(text: str) -> int:
    """``5s``, ``200ms``, ``1.5h``. Raises ``ValueError``."""
    return _amount(text, _UNITS)


def count(text: str) -> int:
    """``1000``, ``1,000``, ``2k``, ``1.5M``. Raises ``ValueError``."""
    return _amount(text, _MULTIPLES)


def _amount(text: str, units: dict[str, int]) -> int:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or found[2].lower() not in units:
        raise ValueError(f"{text!r} is not understood")
    whole, _, part = re.sub("[_,]", "", found[1]).partition(".")
    unit = units[found[2].lower()]
    return int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)


def between(text: str, amount: Callable[[str], int]) -> Between:
    """``>1000``, ``>=``, ``<``, ``<=``, ``=``, ``1000..5000``, or a number by itself. Raises ``ValueError``."""
    word = text.strip()
    first, dots, last = word.partition("..")
    if dots:
        found = Between(amount(first) if first.strip() else None, amount(last) if last.strip() else None)
    else:
        sign = word[: len(word) - len(word.lstrip("<>="))]
        value = amount(word[len(sign) :])
        if sign not in _SIGNS:
            raise ValueError(f"{sign!r} is not understood")
        found = _SIGNS[sign](value)
    if found.least is not None and found.most is not None and found.least > found.most:
        raise ValueError(f"{text!r} is empty")
    if max(found.least or 0, found.most or 0) > _MOST:
        raise ValueError(f"{text!r} is too large")
    return found


_SIGNS: Final[dict[str, Callable[[int], Between]]] = {
    ">": lambda value: Between(least=value + 1),
    ">=": lambda value: Between(least=value),
    "<": lambda value: Between(most=value - 1),
    "<=": lambda value: Between(most=value),
    "=": lambda value: Between(value, value),
    "": lambda value: Between(value, value),
}
