"""Texts that UTF-8 cannot say, such as file names of other encodings, as an event says them: with escapes."""

from __future__ import annotations

from typing import Any

import msgspec

from agentrace import events


def sayable(text: str) -> str:
    r"""``text`` with ``\udcff`` and the like in place of what cannot be encoded."""
    try:
        if text.isascii() or text.encode():
            return text
    except UnicodeEncodeError:
        pass
    return text.encode("utf-8", "backslashreplace").decode()


def encoded(event: msgspec.Struct) -> bytes:
    """The bytes of an event, whatever its texts are."""
    try:
        return events.encode(event)
    except UnicodeEncodeError:
        return events.encode(as_sayable(event))


def as_sayable(part: Any) -> Any:
    """An event, or a part of one, with every text in it made sayable."""
    if isinstance(part, str):
        return sayable(part)
    if isinstance(part, (list, tuple)):
        return type(part)(map(as_sayable, part))
    if isinstance(part, dict):
        return {as_sayable(key): as_sayable(value) for key, value in part.items()}
    if isinstance(part, msgspec.Struct):
        return type(part)(*(as_sayable(getattr(part, name)) for name in part.__struct_fields__))
    return part
