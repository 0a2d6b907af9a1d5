"""Canonical values as JSON whose unchanged parts are the same objects each time: for reading what grows step by step.

A history that is sent again on every turn is stored as what was added to it. Read here it costs what was added: the
list is put together from elements that were read before, and a caller sees by ``is`` which those are.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from agentrace.canonical import tags
from agentrace.canonical.decoding import Reader, Resolve
from agentrace.canonical.loading import Tagged, load
from agentrace.errors import CorruptRecord

REMEMBERED: Final = 64 << 20
"""Bytes of encoded values that a reader keeps; what was not used for longest goes first, and is read again."""
_POINTER: Final = 8
_SHARED: Final = frozenset({"str", "value", "list"})


class ListNode(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node of a growing list, as ``history`` writes it."""

    base: bytes | None
    kept: int
    added: list[Raw]


_node = msgspec.msgpack.Decoder(ListNode).decode


def list_node(data: bytes) -> ListNode:
    """A stored node of a list, its elements still encoded. Raises ``CorruptRecord``."""
    try:
        found = _node(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CorruptRecord("a list in the record is malformed", do="run `agentrace verify` on the run") from error
    if found.kept < 0:
        raise CorruptRecord("a list in the record is malformed", do="run `agentrace verify` on the run")
    return found


class SharedReader(Reader):
    """Reads the values of one run as JSON. What it gives is shared between calls: it is read and never changed."""

    def __init__(self, resolve: Resolve) -> None:
        super().__init__(resolve)
        self._known: dict[bytes, tuple[int, Any, int]] = {}
        """By reference or by encoding: how deep it stood, its JSON, its size."""
        self._room = REMEMBERED

    def _json(self, value: Any, depth: int) -> Any:
        if type(value) is not Tagged or value.code != tags.PAYLOAD:
            return super()._json(value, depth)
        kind, digest = self._payload(value.data)
        if kind not in _SHARED:
            return super()._json(value, depth)
        if kind == "list":
            return self._list(digest, depth)
        known = self._recalled(value.data, depth)
        if known is None:
            data = self._resolve(digest)
            known = data.decode() if kind == "str" else self._json(load(data), depth + 1)
            self._remember(value.data, depth, known, len(data))
        return known

    def _recalled(self, key: bytes, depth: int) -> Any:
        """What was read before, unless it stood less deep then: its own depth may now be more than is followed."""
        known = self._known.pop(key, None)
        if known is None:
            return None
        if known[0] < depth:
            self._room += known[2]
            return None
        self._known[key] = known  # as the one that was used last
        return known[1]

    def _remember(self, key: bytes, depth: int, json: Any, size: int) -> None:
        if json is None or size > REMEMBERED // 4:
            return
        size += len(key)
        self._known[key] = (depth, json, size)
        self._room -= size
        while self._room < 0:
            self._room += self._known.pop(next(iter(self._known)))[2]

    def _list(self, digest: bytes, depth: int) -> list[Any]:
        """A stored list, from the longest of the lists it grew from that was read before."""
        nodes: list[tuple[bytes, ListNode]] = []
        passed: set[bytes] = set()
        items: list[Any] = []
        current: bytes | None = digest
        while current is not None:
            known = self._recalled(current, depth)
            if known is not None:
                items = known
                break
            if current in passed:
                raise CorruptRecord("a list in the record contains itself", do="run `agentrace verify` on the run")
            passed.add(current)
            node = list_node(self._resolve(current))
            nodes.append((current, node))
            current = node.base
        for name, node in reversed(nodes):
            items = [*items[: node.kept], *(self._element(bytes(raw), depth + 1) for raw in node.added)]
            self._remember(name, depth, items, _POINTER * len(items))
        return items

    def _element(self, data: bytes, depth: int) -> Any:
        known = self._recalled(data, depth)
        if known is None:
            known = self._json(load(data), depth)
            self._remember(data, depth, known, len(data))
        return known
