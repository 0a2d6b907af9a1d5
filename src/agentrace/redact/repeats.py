"""Texts that repeat themselves: each event of a streamed answer, and each answer, has the shape of the one before.

A text is cut at its quotation marks. Two clean texts with the same cuts show which parts vary; what does not vary is
proved harmless once for any word in those places. A text of that shape whose varying parts are short plain words, or
numbers, or clean by themselves is clean without being searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

_AROUND: Final = r"[]\[{}:, \n]"
_NUMBER: Final = rf"{_AROUND}*-?[0-9]{{1,20}}(?:\.[0-9]{{1,20}})?{_AROUND}*"
_IS_NUMBER: Final = re.compile(_NUMBER).fullmatch
_WORD: Final = r"""(?: ?[A-Za-z0-9 ,!?']{0,7}(?=")|([^"\\]*+))"""
"""What a string holds. A short plain word needs no search: known secrets have more than seven letters, and so has every
other; a space before them is not counted, because no secret begins with one. Anything else is a group, to be searched.
"""
_FIGURE: Final = rf"""(?:{_AROUND}*[0-9]{{1,4}}{_AROUND}{{0,4}}(?="|\Z)|({_NUMBER}(?="|\Z)))"""
"""A number between two strings; a long one is searched."""
_DIGITS: Final = re.compile(r"[0-9]+")
_BEHIND_VALUE: Final = (",", "}", "]")
"""What a string is followed by that is no name of something."""
_PROBES: Final = ("Zx9k3LmQ2p8Rt5VwA7bC4dE6", "password")
"""A word that reads as a secret wherever a name or a sign before it makes a value one, and one that is such a name."""
_MOST_PARTS: Final = 400
_MOST_SLOTS: Final = 24
_MOST_SHAPES: Final = 8
_MOST_SEEN: Final = 64
_MOST_WORDS: Final = 1024
_SHORT: Final = 100
"""Characters below which a word is searched at once, and remembered."""
_TRIES: Final = 64
"""Texts from which one shape may be learnt before nobody tries any more."""

_Key = tuple[int, str]
"""How many parts a text has, and the first of them."""


class _Shape(NamedTuple):
    """What texts of one shape have in common."""

    slots: tuple[int, ...]
    """Which parts vary."""
    match: Callable[[str], re.Match[str] | None]
    """Matches a text of this shape; its groups are what has to be searched."""


class Repeats:
    """The shapes that one redactor has seen. Threads may share it: what one of them learns is whole or not there."""

    __slots__ = ("_clean", "_latest", "_search", "_seen", "_shapes", "_tries", "_words")

    def __init__(self, clean: Callable[[str], bool], search: Callable[[str], object]) -> None:
        """``clean(text)`` searches a text of any length; ``search(word)`` a short one: None says that it is clean."""
        self._clean = clean
        self._search = search
        self._latest: tuple[_Shape, ...] = ()
        self._shapes: dict[_Key, _Shape] = {}
        self._seen: dict[_Key, list[str]] = {}
        self._tries: dict[_Key, int] = {}
        self._words: set[str] = set()
        """Words that were searched and are clean."""

    def holds(self, text: str) -> bool:
        """Whether ``text`` is clean because it has a known shape and nothing that needs a search, or none is found."""
        for shape in self._latest:
            found = shape.match(text)
            if found is not None:
                return found.lastindex is None or self._harmless(found.groups())
        return False

    def learn(self, text: str) -> None:
        """``text`` was searched and is clean."""
        parts = text.split('"')
        key = (len(parts), parts[0])
        tries = self._tries.get(key, 0)
        if not 3 <= len(parts) <= _MOST_PARTS or tries >= _TRIES:
            return
        if len(self._tries) >= _MOST_SEEN:
            self._tries, self._seen, self._shapes = {}, {}, {}
        self._tries[key] = tries + 1
        before, self._seen[key] = self._seen.get(key), parts
        if before is None or before == parts:
            return
        known = self._shapes.get(key)
        slots = sorted({*(known.slots if known else ()), *(at for at, part in enumerate(parts) if part != before[at])})
        if len(slots) > _MOST_SLOTS or not all(_may_vary(parts, at) and _may_vary(before, at) for at in slots):
            return
        if all(self._clean(probe) for probe in _probed(parts, slots)):
            shape = self._shapes[key] = _shape(parts, slots)
            self._latest = (shape, *(other for other in self._latest if other is not known))[:_MOST_SHAPES]

    def _harmless(self, words: Sequence[str | None]) -> bool:
        """Whether nothing is found in any of these, which stand in their places by themselves."""
        known = self._words
        for word in words:
            if word is not None and word not in known:
                clean = self._search(f'"{word}"') is None if len(word) < _SHORT else self._clean(word)
                if not clean:
                    return False
                if len(word) < _SHORT:
                    if len(known) >= _MOST_WORDS:
                        known = self._words = set()
                    known.add(word)
        return True


def _shape(parts: Sequence[str], slots: Sequence[int]) -> _Shape:
    """The shape of texts that are ``parts`` with these varying."""
    told = [re.escape(part) for part in parts]
    for slot in slots:
        told[slot] = _WORD if slot % 2 else _FIGURE
    return _Shape(tuple(slots), re.compile('"'.join(told)).fullmatch)


def _may_vary(parts: Sequence[str], at: int) -> bool:
    """Whether any word may stand here: the value of a string that is no name, or a number."""
    if at % 2 == 0:
        return _IS_NUMBER(parts[at]) is not None
    return "\\" not in parts[at] and at + 1 < len(parts) and parts[at + 1].startswith(_BEHIND_VALUE)


def _probed(parts: Sequence[str], slots: Sequence[int]) -> Iterator[str]:
    # Whatever a word is, it stands between two quotation marks, so only a rule that takes it for the value of the name
    # before it, or for the name of the value after it, could find something.
    for probe in _PROBES:
        tried = list(parts)
        for slot in slots:
            tried[slot] = probe if slot % 2 else _DIGITS.sub("12345678", parts[slot])
        yield '"'.join(tried)
