"""Streams that repeat themselves: each event of an answer differs from the one before in one short word.

What surrounds the word is learnt from two clean pieces and proved harmless for any word once; a piece with the same
surroundings and a short plain word is clean without being searched. A longer word, or one with a character that a rule
looks for, is searched as ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_LONGEST: Final = 7
"""Letters of a word that need no search: known secrets have more, and so has every other. A space before it is not
counted, because no secret begins with one."""
_PLAIN: Final = re.compile(rb" ?[A-Za-z0-9 ,!?']{0,%d}" % _LONGEST).fullmatch
_PROBE: Final = b"Zx9k3LmQ2p8Rt5VwA7bC4dE6"
"""Reads as a secret wherever a name or a sign before it makes a value one."""


class Repeats:
    """The surroundings of one stream."""

    __slots__ = ("_clean", "_head", "_last", "_tail")

    def __init__(self, clean: Callable[[bytes], bool]) -> None:
        self._clean = clean
        self._head = b""
        self._tail = b""
        self._last = b""

    def holds(self, piece: bytes) -> bool:
        """Whether ``piece`` is clean because it repeats what was seen, but for a short plain word."""
        head, tail = self._head, self._tail
        if not head or not piece.startswith(head) or not piece.endswith(tail):
            return False
        word = piece[len(head) : len(piece) - len(tail)]
        return len(head) + len(tail) <= len(piece) and _PLAIN(word) is not None

    def learn(self, piece: bytes) -> None:
        """``piece`` was searched and is clean."""
        if self._head and piece.startswith(self._head) and piece.endswith(self._tail):
            return
        before, self._last = self._last, piece
        if not before or before == piece:
            return
        head = piece[: piece.rfind(b'"', 0, _common_start(before, piece)) + 1]
        rest = piece[len(head) :]
        end = _common_start(before[len(head) :][::-1], rest[::-1])
        quote = rest.find(b'"', len(rest) - end)
        if not head or quote < 0:
            return
        tail = rest[quote:]
        # Whatever the word is, it stands between two quotation marks, so only a rule that takes it for the value of
        # the name before it, or for the name of the value after it, could find something.
        if self._clean(head + _PROBE + tail) and self._clean(head + b"password" + tail):
            self._head, self._tail = head, tail


def _common_start(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
