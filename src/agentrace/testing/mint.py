"""Where a stub's ids, times and words come from: chance, or a seed and the request itself."""

from __future__ import annotations

import re
import string
from random import Random
from typing import TypeVar

from .answers import Pause

T = TypeVar("T")

_LETTERS = string.ascii_letters + string.digits
_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")
_SUBJECTS = (
    "The harbour office",
    "A quiet survey",
    "The night train",
    "Our second draft",
    "The old ledger",
    "A small committee",
    "The northern route",
    "The archive",
    "A careful reader",
    "The lighthouse",
)
_VERBS = ("confirms", "questions", "describes", "outlines", "repeats", "measures", "compares", "collects")
_OBJECTS = (
    "the figures of last spring",
    "three separate accounts",
    "what the map leaves out",
    "a simpler way to count",
    "the same four names",
    "every letter in the box",
    "the distance between two towns",
    "a pattern in the tides",
)


class Mint:
    """Makes what one answer needs: its ids, its time and words to say.

    ``now`` is in seconds since 1970.
    """

    __slots__ = ("_random", "_request", "now")

    def __init__(self, random: Random, now: int) -> None:
        self._random = random
        self._request = ""
        self.now = now

    def request_id(self, prefix: str, length: int) -> str:
        """The request's id, ``length`` letters and digits behind ``prefix``: the same wherever the answer tells it."""
        self._request = self._request or prefix + self.letters(length)
        return self._request

    def hex(self, length: int) -> str:
        """``length`` hexadecimal digits."""
        return f"{self._random.getrandbits(4 * length):0{length}x}"

    def letters(self, length: int) -> str:
        """``length`` letters and digits."""
        return "".join(self._random.choices(_LETTERS, k=length))

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return self._random.randint(low, high)

    def pick(self, choices: tuple[T, ...]) -> T:
        """One of ``choices``."""
        return self._random.choice(choices)

    def seconds(self, pause: Pause) -> float:
        """The length of one pause."""
        return pause if isinstance(pause, int | float) else self._random.uniform(*pause)

    def words(self) -> str:
        """A few words, for a field that wants some."""
        return self.pick(_OBJECTS)

    def sentence(self) -> str:
        """A grammatical sentence without a meaning."""
        return f"{self.pick(_SUBJECTS)} {self.pick(_VERBS)} {self.pick(_OBJECTS)}."


def pieces(text: str) -> list[str]:
    """``text`` cut where a tokenizer might cut it; joined, the pieces are the text again."""
    return _PIECE.findall(text)


def estimate(characters: int) -> int:
    """About how many tokens a text of that many characters is."""
    return (characters + 3) // 4
