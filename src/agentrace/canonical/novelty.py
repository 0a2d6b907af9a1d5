"""What of a canonical value no earlier value of its run held, as JSON: for an index of texts that pays for what is new.

What was met is known again by its digest: a payload, an element of a growing list, a text or container of some size.
It is left out where it comes again. Small values are told whole each time. Of a request body that grew from another one
the inserted bytes are told.
"""

from __future__ import annotations

import binascii
import sys
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from blake3 import blake3
from msgspec import Raw

from agentrace.canonical import foreign, tags
from agentrace.canonical.decoding import MAX_NESTING, Reader, Resolve
from agentrace.canonical.loading import Tagged, load
from agentrace.canonical.sharing import ListNode, list_node
from agentrace.errors import CorruptRecord

MARK: Final = 16
"""Bytes of the digests by which something is known again."""
SMALL: Final = 32
"""Encoded bytes below which a value that stands in another is told each time."""
LEVELS: Final = 8
"""Levels of nesting below which nothing inside a payload is looked up."""

_encode = msgspec.msgpack.Encoder().encode


class _Known(dict[str, Any]):
    """What stands for a part that is known, until it is left out."""


KNOWN: Final = _Known()


class NewReader(Reader):
    """Reads the values of one run in turn. ``seen`` holds the marks of what was met, also by an earlier reader."""

    def __init__(self, resolve: Resolve, seen: Iterable[bytes] = ()) -> None:
        super().__init__(resolve)
        self.seen = set(seen)
        self._met: dict[bytes, None] = {}
        self._whole = Reader(resolve)

    def new(self, data: bytes | Raw) -> tuple[Any, list[bytes]]:
        """The value as JSON data without what is known, ``None`` if all of it is; and the marks that came to ``seen``.

        Raises ``CorruptRecord``, and has then met nothing.
        """
        self._met = {}
        told = self.json(data)
        met = list(self._met)
        self.seen.update(met)
        return None if told is KNOWN else told, met

    def _json(self, value: Any, depth: int) -> Any:
        if depth == 0:
            try:
                return self._news(value, 0)
            except RecursionError:  # it takes more of the stack than a plain reading, and what it met it has not told
                self._met = {}
                return self._whole._json(value, 0)
        return self._news(value, depth)

    def _news(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if depth > MAX_NESTING:
            return super()._json(value, depth)
        if cls is list:
            return [told for item in value if (told := self._part(item, depth + 1)) is not KNOWN]
        if cls is dict:
            return self._dict(value, depth)
        if cls is bytes:
            return _text_of(value)
        if cls is Tagged and value.code == tags.PAYLOAD:
            return self._payload_of(value.data, depth)
        if cls is Tagged and value.code == tags.OBJECT and load(value.data)[0] in foreign.KINDS:
            return self._whole._json(value, depth)  # told in one line that needs all its parts
        return super()._json(value, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        parts = {key: self._part(item, depth + 1) for key, item in value.items()}
        if all(type(key) is str for key in value):
            return {key: part for key, part in parts.items() if part is not KNOWN}
        return {"$dict": [[key] if part is KNOWN else [key, part] for key, part in parts.items()]}

    def _part(self, value: Any, depth: int) -> Any:
        """What is new of a value that stands in another."""
        cls = type(value)
        payload = cls is Tagged and value.code == tags.PAYLOAD
        if cls in _OF_ANY_SIZE and depth <= LEVELS and not payload:
            encoded = _encode(value)
            if len(encoded) >= SMALL and self._is_known(blake3(encoded).digest(length=MARK)):
                return KNOWN
        told = self._json(value, depth)
        return KNOWN if not told and (cls is list or cls is dict) and value else told

    def _payload_of(self, reference: bytes, depth: int) -> Any:
        kind, digest = self._payload(reference)
        # What a list or body is told by is looked up before it is known itself.
        if kind == "list":
            return self._list(digest, depth)
        if kind == "body":
            return self._body(digest)
        if self._is_known(digest[:MARK]):
            return KNOWN
        data = self._resolve(digest)
        if kind == "str":
            return data.decode()
        return _text_of(data) if kind == "bytes" else self._json(load(data), depth + 1)

    def _is_known(self, mark: bytes) -> bool:
        """Whether it was met before; from here on it was."""
        if mark in self.seen or mark in self._met:
            return True
        self._met[mark] = None
        return False

    def _list(self, digest: bytes, depth: int) -> Any:
        """The elements of a stored list beyond those that it has from a list that was met."""
        nodes: list[ListNode] = []
        passed: set[bytes] = set()
        current: bytes | None = digest
        while current is not None and current[:MARK] not in self.seen and current[:MARK] not in self._met:
            if current in passed:
                raise CorruptRecord("a list in the record contains itself", do="run `agentrace verify` on the run")
            passed.add(current)
            nodes.append(list_node(self._resolve(current)))
            current = nodes[-1].base
        self._is_known(digest[:MARK])
        items: list[Raw] = []
        met = 0 if current is None else sys.maxsize  # how many first elements are known, and are not in `items`
        for node in reversed(nodes):
            if node.kept < met:
                items, met = [], node.kept
            items = [*items[: node.kept - met], *node.added]
        told = [part for raw in items if (part := self._element(bytes(raw), depth + 1)) is not KNOWN]
        return told or KNOWN

    def _element(self, data: bytes, depth: int) -> Any:
        """An element of a stored list, known again at any size: now and then such a list is written whole."""
        value = load(data)
        stored = type(value) is Tagged and value.code == tags.PAYLOAD
        if not stored and self._is_known(blake3(_encode(value)).digest(length=MARK)):
            return KNOWN
        told = self._json(value, depth)
        return KNOWN if not told and isinstance(value, (list, dict)) and value else told

    def _body(self, digest: bytes) -> Any:
        """A stored request body: what was inserted into one that was met, or all of it."""
        if self._is_known(digest[:MARK]):
            return KNOWN
        match load(self._resolve(digest)):
            case [bytes(base), int(), bytes(inserted), int()] if base[:MARK] in self.seen or base[:MARK] in self._met:
                return _text_of(inserted) if inserted else KNOWN
            case _:
                return _text_of(self.body(digest))


_OF_ANY_SIZE: Final = frozenset({str, bytes, list, dict, Tagged})


def _text_of(data: bytes) -> dict[str, str]:
    """Bytes as the text that they are, where they are one; else as every reader tells them."""
    try:
        return {"$bytes": data.decode()}
    except UnicodeDecodeError:
        return {"$base64": binascii.b2a_base64(data, newline=False).decode()}
