"""JSON data in compressed blocks, each distinct part of it once, however often it occurs.

A conversation is sent again at every turn: here a message that came before is a number. A part is worth a number if
it is a text of more than ``SMALLEST`` characters or a container of more than ``FEWEST``. What a part refers to stands
before it, so one pass in order of the numbers sees everything before what it is in.

In a block a list is ``[0, item, ...]``, a mapping ``[1, key, value, key, value, ...]``, an earlier part ``[2, number]``
and a number that JavaScript would change ``[3, "text"]``; everything else is itself. A block is the gzip of the JSON
array of its parts.
"""

from __future__ import annotations

import gzip
import math
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from blake3 import blake3

SMALLEST: Final = 64
"""Characters of JSON up to which a text is written where it occurs."""
FEWEST: Final = 30
"""The same for lists and mappings, in which long texts are numbers already."""
BLOCK: Final = 256 << 10
"""Characters of JSON at which a block ends."""
EXACT: Final = 2**53
"""From here on JavaScript's numbers are not exact."""
UNREADABLE: Final = "nested too deep to be shown"
_LEVEL: Final = 6


class Blocks:
    """Values by number, and the blocks that they are in."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        """Finished blocks, gzip."""
        self.first: list[int] = []
        """The number of the first part of each block."""
        self.size = 0
        """Characters of JSON in all blocks."""
        self._numbers: dict[bytes, int] = {}
        self._waiting: list[str] = []
        self._waiting_size = 0

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self._numbers)

    def add(self, value: Any) -> int:
        """The number of ``value``, which is JSON data."""
        try:
            text = self._told(value)
        except RecursionError:
            text = encode_basestring_ascii(UNREADABLE)
        return int(text[3:-1]) if text.startswith("[2,") else self._part(text)

    def finish(self) -> None:
        """End the last block; nothing may be added any more."""
        if self._waiting:
            self.first.append(len(self._numbers) - len(self._waiting))
            self.blocks.append(compressed("[" + ",".join(self._waiting) + "]"))
            self._waiting, self._waiting_size = [], 0

    def _told(self, value: Any) -> str:
        """The JSON of a value, with a number in place of each part that is worth one."""
        least = FEWEST
        if isinstance(value, str):
            text, least = encode_basestring_ascii(value), SMALLEST
        elif isinstance(value, dict):
            pieces = ["[1"]
            for key, item in value.items():  # no comprehension: one frame for each level of nesting
                pieces.append(encode_basestring_ascii(str(key)))
                pieces.append(self._told(item))
            text = ",".join(pieces) + "]"
        elif isinstance(value, (list, tuple)):
            pieces = ["[0"]
            for item in value:
                pieces.append(self._told(item))
            text = ",".join(pieces) + "]"
        else:
            return _scalar(value)
        return text if len(text) <= least else f"[2,{self._part(text)}]"

    def _part(self, text: str) -> int:
        digest = blake3(text.encode()).digest(16)
        known = self._numbers.get(digest)
        if known is not None:
            return known
        number = self._numbers[digest] = len(self._numbers)
        self._waiting.append(text)
        self._waiting_size += len(text)
        self.size += len(text)
        if self._waiting_size >= BLOCK:
            self.finish()
        return number


def compressed(text: str) -> bytes:
    """The gzip of a text: the same bytes for the same text."""
    return gzip.compress(text.encode(), _LEVEL, mtime=0)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -EXACT < value < EXACT else f'[3,"{value}"]'
    if isinstance(value, float):
        plain = math.isfinite(value) and not value.is_integer()
        return repr(value) if plain else f'[3,"{value!r}"]'
    return encode_basestring_ascii(str(value))
