"""What is written for a value that a codec of the program encodes, and for one that it was asked for in vain."""

from __future__ import annotations

import msgspec
from msgspec import Raw
from msgspec.msgpack import Ext

from agentrace.canonical import tags
from agentrace.canonical.objects import described, type_name

_encode = msgspec.msgpack.Encoder().encode


def coded(codec: str, value: Raw) -> Raw:
    """What a codec of the program gave, with its name."""
    return Raw(_encode(Ext(tags.CODED, _encode((codec, value)))))


def opaque(value: object, reason: str) -> Raw:
    """What stands for a value that cannot be encoded, for a reason that only the caller knows."""
    return Raw(_encode(Ext(tags.OPAQUE, _encode((type_name(type(value)), described(value), reason)))))
