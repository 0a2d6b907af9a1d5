"""Random numbers that answered tools drew, drawn again, so that the program draws from the generator what it drew."""

from __future__ import annotations

from typing import Final

from agentrace.capture.chance import WORDS, generator, standing

_MOST: Final = 8 * WORDS
"""Words that one answer draws at most."""
_TRIES: Final = 3
"""Answers in a row after which the generator is another one than in the recorded run, as where nobody seeds it."""


class Draws:
    """The generator of one process."""

    def __init__(self) -> None:
        self._failed = 0

    def until(self, stands: int) -> None:
        """Draw until the generator stands there; nothing if that is not near."""
        drawn = generator() if stands and self._failed < _TRIES else None
        if drawn is None:
            return
        if standing(drawn) == stands:
            self._failed = 0
            return
        before, total = drawn.getstate(), 0
        words = (stands % 1024 - standing(drawn) % 1024) % WORDS or WORDS
        while total < _MOST:
            drawn.getrandbits(32 * words)
            if standing(drawn) == stands:
                self._failed = 0
                return
            total, words = total + words, WORDS
        drawn.setstate(before)
        self._failed += 1
