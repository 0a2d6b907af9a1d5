"""What the stub answers when nobody told it what to say: an echo of the request, in the shape it wants."""

from __future__ import annotations

import math
import re
import zlib
from itertools import accumulate

import msgspec

from .answers import Reply, ToolCall
from .mint import Mint, estimate, pieces
from .shaped import shaped
from .wire import Ask

_WORD = re.compile(r"\w+")
_SPREAD = 8
"""How many places of a vector one word moves; with several, two words seldom look alike."""


def reply_to(ask: Ask, mint: Mint) -> Reply:
    """A tool call if one is demanded, else a value of the wanted shape, else an echo of the last message."""
    if ask.must_call:
        tools = {tool.name: tool for tool in ask.tools}
        called = [tools[name] for name in ask.must_call[:1]]
        return Reply(tool_calls=tuple(ToolCall(tool.name, shaped(tool.schema, mint)) for tool in called))
    if ask.schema is not None:
        value = shaped(ask.schema, mint) if ask.schema else {"echo": ask.text}
        return Reply(text=msgspec.json.encode(value).decode())
    return _limited(f'You said "{ask.text[:200]}". {mint.sentence()} {mint.sentence()}', ask.limit)


def _limited(text: str, limit: int | None) -> Reply:
    """``text`` within ``limit`` tokens, ended as a model's answer ends that ran out of them."""
    if limit is None or estimate(len(text)) <= limit:
        return Reply(text=text)
    parts = pieces(text)
    lengths = accumulate(len(part) for part in parts)
    kept = [part for part, end in zip(parts, lengths, strict=True) if estimate(end) <= limit]
    return Reply(text="".join(kept), finish_reason="length")


def vector_of(text: str, dimensions: int) -> tuple[float, ...]:
    """A unit vector for ``text``: the same for the same words, and nearer the more words two texts share."""
    moves: dict[int, float] = {}
    for word in _WORD.findall(text.lower()) or [text]:
        place = zlib.crc32(word.encode())
        for _ in range(_SPREAD):
            index = (place >> 8) % dimensions
            moves[index] = moves.get(index, 0.0) + (1.0 if place & 0x80 else -1.0)
            place = (place * 1103515245 + 12345) & 0xFFFFFFFF
    length = math.hypot(*moves.values())
    if not length:  # every move was taken back by another
        moves, length = {0: 1.0}, 1.0
    vector = [0.0] * dimensions
    for index, move in moves.items():
        vector[index] = move / length
    return tuple(vector)
