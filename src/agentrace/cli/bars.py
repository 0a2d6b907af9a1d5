"""Bars on a time line: when something ran, to half a column."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_DRAWN: Final = {"  ": " ", " -": "╶", "- ": "╴", "--": "─", " =": "╺", "= ": "╸", "==": "━", "-=": "╼"}
"""What is drawn for the two halves of a column, each of them nothing, thin or thick."""


def bar(start: int, waited: int, end: int, total: int, width: int, *, unicode: bool = True) -> tuple[int, str]:
    """A bar from ``start`` to ``end`` on a line of ``width`` columns that stands for ``total``.

    Its first ``waited`` are thin: nothing had come yet. It is at least half a column long. Given are the blank
    columns before it, and the bar.
    """
    whole = 2 * width
    if not total:
        return 0, _drawn(0, 0, whole, unicode)
    first = start * whole // total
    first = 0 if first < 0 else whole - 1 if first >= whole else first
    last = -(-end * whole // total)
    last = whole if last > whole else first + 1 if last <= first else last
    thick = first if not waited else min(last - 1, max(first, (start + waited) * whole // total))
    odd = first % 2
    return first // 2, _drawn(odd, odd + thick - first, odd + last - first, unicode)


@lru_cache(2048)
def _drawn(first: int, thick: int, last: int, unicode: bool) -> str:
    halves = " " * first + "-" * (thick - first) + "=" * (last - thick) + " " * (last % 2)
    pairs = [halves[at : at + 2] for at in range(0, len(halves), 2)]
    return "".join(_DRAWN[pair] if unicode else max(pair) for pair in pairs)
