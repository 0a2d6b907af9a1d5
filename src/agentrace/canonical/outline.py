"""Values without what they refer to: what can be said of them by their own bytes alone, however large they are."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from agentrace.canonical import tags
from agentrace.canonical.decoding import Reader
from agentrace.canonical.loading import Tagged, load
from agentrace.errors import CorruptRecord

LEFT_OUT = "$left_out"
"""The key under which an outline says what stands in its place: kind and size in bytes of a payload."""


class Outline(Reader):
    """Reads values as JSON and no payload: of each it says its kind and its size."""

    def __init__(self) -> None:
        super().__init__(_nothing)
        self._whole = True

    def outline(self, data: bytes | Raw) -> tuple[Any, bool]:
        """The value as :meth:`json` gives it, and whether that is all of it. Raises ``CorruptRecord``."""
        self._whole = True
        return self.json(data), self._whole

    def _json(self, value: Any, depth: int) -> Any:
        if isinstance(value, Tagged) and value.code == tags.PAYLOAD:
            self._whole = False
            match load(value.data):
                case [bytes(), str(kind), int(size)]:
                    return {LEFT_OUT: kind, "bytes": size}
                case _:
                    raise CorruptRecord("a reference to a payload is malformed", do="do not trust this record")
        return super()._json(value, depth)


def _nothing(digest: bytes) -> bytes:
    raise CorruptRecord(f"payload {digest.hex()} is left out of an outline")
