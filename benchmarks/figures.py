"""What a benchmark gives: figures, each with its rounds, its bound and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field


class Unsound(Exception):
    """The measured program did not do what was to be measured, so its figures mean nothing."""


class NotPossible(Exception):
    """Something that the benchmark needs is not there; the message says what."""


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    promise: str
    """What is promised, in the README's words."""
    unit: str
    values: list[float]
    """One for each round."""
    how: str
    """How it was measured, in a few words."""
    below: float | None = None
    """The promise: the median is below this."""
    above: float | None = None
    """The promise: the median is above this."""
    exactly: float | None = None
    """The promise: every value is this."""

    @property
    def value(self) -> float:
        """What the figure is said to be: the median of its rounds, or the worst where all have to be the same."""
        return statistics.median(self.values) if self.exactly is None else max(self.values)

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED``, or empty where nothing is promised."""
        if self.below is not None:
            return "met" if self.value < self.below else "MISSED"
        if self.above is not None:
            return "met" if self.value > self.above else "MISSED"
        if self.exactly is not None:
            return "met" if all(value == self.exactly for value in self.values) else "MISSED"
        return ""

    @property
    def bound(self) -> str:
        """The promise as it is printed; empty if there is none."""
        if self.below is not None:
            return f"< {number(self.below)} {self.unit}".rstrip()
        if self.above is not None:
            return f"> {number(self.above)} {self.unit}".rstrip()
        return "" if self.exactly is None else f"{number(self.exactly)} {self.unit}".rstrip()

    @property
    def ours(self) -> str:
        """The value as it is printed."""
        return f"{number(self.value)} {self.unit}".rstrip()

    @property
    def spread(self) -> str:
        """The least and the most of the rounds as they are printed."""
        return f"{number(min(self.values))} to {number(max(self.values))}"


def number(value: float) -> str:
    """Three digits that mean something, and no more."""
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    name: str
    share: float
    """Of the calls that a full measurement makes."""
    most_rounds: int = 100
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of what is measured."""

    def calls(self, full: int, least: int = 1) -> int:
        """How many calls to make where a full measurement makes ``full``."""
        return max(least, round(full * self.share))

    def rounds(self, full: int) -> int:
        """How many rounds to make where a full measurement makes ``full``."""
        return min(full, self.most_rounds)


FULL = Effort(name="full", share=1.0)
QUICK = Effort(name="quick", share=0.1, most_rounds=2)

Benchmark: TypeAlias = Callable[[Effort], Sequence[Figure]]
"""Raises ``Unsound`` when what it measured is not what it was to measure, ``NotPossible`` when it cannot."""
