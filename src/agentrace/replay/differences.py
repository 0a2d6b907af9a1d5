"""Where two JSON values differ, as lines a person can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Final

MOST: Final = 8
"""Differences that are told."""
_CONTEXT: Final = 24
_LONGEST: Final = 20_000
_MOST_PAIRS: Final = 300_000
"""Pairs of equal words that are looked at: of texts that repeat themselves the rest is one change."""


def differences(expected: Any, observed: Any) -> list[str]:
    """The first places where the values differ: ``path: expected -> observed``."""
    found = list(islice(_differing(expected, observed, "$"), MOST + 1))
    return found if len(found) <= MOST else [*found[:MOST], "..."]


def _differing(expected: Any, observed: Any, path: str) -> Iterator[str]:
    if isinstance(expected, Mapping) and isinstance(observed, Mapping):
        for key in [*expected, *(key for key in observed if key not in expected)]:
            place = f"{path}.{key}"
            if key not in observed:
                yield f"{place}: only recorded: {_short(expected[key])}"
            elif key not in expected:
                yield f"{place}: only observed: {_short(observed[key])}"
            else:
                yield from _differing(expected[key], observed[key], place)
    elif isinstance(expected, list) and isinstance(observed, list):
        for index, (one, other) in enumerate(zip(expected, observed, strict=False)):
            yield from _differing(one, other, f"{path}[{index}]")
        if len(expected) != len(observed):
            yield f"{path}: {len(expected)} elements recorded, {len(observed)} observed"
    elif type(expected) is not type(observed) or expected != observed:
        if isinstance(expected, str) and isinstance(observed, str) and max(len(expected), len(observed)) < _LONGEST:
            yield f"{path}: {_text(expected, observed)}"
        else:
            yield f"{path}: {_short(expected)} -> {_short(observed)}"


def _text(expected: str, observed: str) -> str:
    """The changed words of a text, with a little of what stands around them."""
    one, other = expected.split(" "), observed.split(" ")
    parts: list[str] = []
    for tag, a, b, c, d in _changes(one, other):
        before, after = " ".join(one[a:b]), " ".join(other[c:d])
        if tag == "equal":
            kept = before if len(before) <= 2 * _CONTEXT else f"{before[:_CONTEXT]} ... {before[-_CONTEXT:]}"
            parts.append(kept)
        else:
            parts.append(f"[-{before}-]" * bool(before) + f"[+{after}+]" * bool(after))
    return repr(" ".join(parts))


def _changes(one: list[str], other: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """What becomes of the words, as ``SequenceMatcher`` tells it."""
    first = _common(one, other)
    last = _common(one[first:][::-1], other[first:][::-1])
    end, other_end = len(one) - last, len(other) - last
    if first:
        yield "equal", 0, first, 0, first
    middle, other_middle = one[first:end], other[first:other_end]
    counts = Counter(other_middle)
    if sum(counts[word] for word in middle) > _MOST_PAIRS:
        yield "replace", first, end, first, other_end
    else:
        for tag, a, b, c, d in SequenceMatcher(None, middle, other_middle, autojunk=False).get_opcodes():
            yield tag, first + a, first + b, first + c, first + d
    if last:
        yield "equal", end, len(one), other_end, len(other)


def _common(one: list[str], other: list[str]) -> int:
    """How many words both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (word, another) in enumerate(pairs) if word != another), min(len(one), len(other)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
