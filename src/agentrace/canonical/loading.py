"""Canonical bytes as msgpack has them, before anything is made of what it has no word for."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from agentrace.errors import CorruptRecord


class Tagged(Struct, frozen=True):
    """An extension value as it stands in the encoding."""

    code: int
    data: bytes


_decode = msgspec.msgpack.Decoder(ext_hook=lambda code, data: Tagged(code, bytes(data))).decode


def load(data: bytes | Raw) -> Any:
    """The msgpack of a canonical value, with extensions as :class:`Tagged`."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, TypeError) as error:
        raise CorruptRecord(
            f"a recorded value cannot be read: {error}", do="run `agentrace verify` on the run"
        ) from error
