"""Lists that grow: a conversation that is sent again on every turn is stored as what was added to it.

The list's content is compared as a whole with the lists seen before, in C and type-exactly: a key is a byte string of
self-delimiting elements, so "starts with the earlier key" proves "starts with the earlier elements". Nothing is
remembered about the list object itself, so a mutation is never missed. Only lists of plain data have a history: of
anything else a key could be the same for values that are not.

A node is the msgpack of ``[parent digest or None, elements kept from the parent, new elements]``.
"""

from __future__ import annotations

import gc
import marshal
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

import msgspec
from msgspec.msgpack import Ext

from agentrace.native import allocate_lock

KeyBuffer: TypeAlias = bytes | bytearray
ListKey: TypeAlias = Callable[[list[Any], bytearray], tuple[KeyBuffer, int] | None]
"""Writes the elements of a list as self-delimiting byte strings, into the scratch buffer if it can: the buffer they
are in and where in it they start; ``None`` if they cannot be told that way."""

Tree: TypeAlias = Callable[[list[Any]], list[Any] | None]
"""Elements as msgspec can encode them; ``None`` if one of them cannot be told exactly."""

_encode = msgspec.msgpack.Encoder().encode
_encode_into = msgspec.msgpack.Encoder().encode_into

LINKS: Final = 32
"""Nodes after which a list is written whole again, so that reading one follows a bounded chain."""
_REMEMBERED: Final = 8
_REMEMBERED_BYTES: Final = 8 << 20
_SMALLEST_KEY: Final = 1024


def json_key(items: list[Any], scratch: bytearray) -> tuple[KeyBuffer, int] | None:
    """Equal for lists that are equal as JSON."""
    try:
        _encode_into(items, scratch)
    except (TypeError, OverflowError, ValueError, RecursionError):
        return None
    return scratch, 1 if len(items) < 16 else 3 if len(items) < 1 << 16 else 5


def python_key(items: list[Any], _: bytearray) -> tuple[KeyBuffer, int] | None:
    """Equal for lists of plain data that are equal in value and in type; version 2 does not depend on identity."""
    try:
        return marshal.dumps(items, 2), 5
    except ValueError:
        return None


_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
_PLAIN: Final = _LEAVES | {dict, list, tuple}
_LEVELS: Final = 64
_CROWDED: Final = 20_000
_UNFOLDING: Final = 4


class Unfolding(Exception):
    """A list is a graph in which the same few containers come again and again."""


def plain(items: list[Any]) -> bool:
    """Whether a list holds, at every depth, nothing but JSON's types and tuples.

    The items are looked at level by level, in C, which costs a tenth of walking them. Raises ``Unfolding``.
    """
    level: list[Any] = items
    for _ in range(_LEVELS):
        kinds = set(map(type, level))
        if not kinds <= _PLAIN:
            return False
        if kinds <= _LEAVES:
            return True
        if len(level) > _CROWDED:
            level = [item for item in level if type(item) not in _LEAVES]
            if len(level) > _UNFOLDING * len(set(map(id, level))):
                raise Unfolding
        level = gc.get_referents(*level)
    return False


class _Seen:
    """A list as it was seen: the first ``size`` bytes of ``key`` are its elements, ``digest`` is its node's.

    Lists that grew from one another share one ``key``, which only ever grows at its end.
    """

    __slots__ = ("count", "digest", "key", "key_of", "links", "reference", "size")

    def __init__(
        self, key: bytearray, size: int, key_of: ListKey, count: int, digest: bytes, links: int, reference: Ext
    ) -> None:
        self.key = key
        self.size = size
        self.key_of = key_of
        self.count = count
        self.digest = digest
        self.links = links
        self.reference = reference

    def begins(self, key: KeyBuffer, start: int) -> bool:
        """Whether the list of ``key`` begins with this one."""
        with memoryview(self.key) as whole, whole[: self.size] as mine:
            return key.startswith(mine, start)


class _Listed:
    """A list to be told: its elements are in ``key`` from ``start`` on."""

    __slots__ = ("items", "key", "key_of", "start")

    def __init__(self, items: list[Any], key_of: ListKey, key: KeyBuffer, start: int) -> None:
        self.items = items
        self.key_of = key_of
        self.key = key
        self.start = start


class History:
    """The lists of one run that may be extended."""

    SHORTEST: ClassVar[int] = 4
    """Elements below which a list is never told by its history."""

    def __init__(self, store: Callable[[bytes, str], Ext]) -> None:
        self._store = store
        self._seen: tuple[_Seen, ...] = ()
        self._scratch = bytearray()
        self._second_scratch = bytearray()
        self._busy = allocate_lock()
        self._forgotten = 0

    def forget(self) -> None:
        """Start every chain anew."""
        self._forgotten += 1
        self._seen = ()

    def reference(self, items: list[Any], key_of: ListKey, tree: Tree) -> Ext | None:
        """The reference that tells ``items``, or ``None`` if they had better stand inline. Raises ``Unfolding``."""
        # Never waits: a second thread, or a signal handler inside the first, writes its list without history.
        if not self._busy.acquire(blocking=False):
            return None
        try:
            found = key_of(items, self._scratch) if plain(items) else None
            if found is None or len(found[0]) - found[1] < _SMALLEST_KEY:
                return None
            forgotten = self._forgotten
            told = self._told(_Listed(items, key_of, *found), tree, forgotten)
            return told if forgotten == self._forgotten else None
        finally:
            if len(self._scratch) > _REMEMBERED_BYTES:
                self._scratch, self._second_scratch = bytearray(), bytearray()
            self._busy.release()

    def _told(self, listed: _Listed, tree: Tree, forgotten: int) -> Ext | None:
        count = len(listed.items)
        for seen in self._seen:
            if seen.key_of is listed.key_of and seen.count <= count and seen.begins(listed.key, listed.start):
                if seen.count == count:
                    return seen.reference
                if seen.links >= LINKS:
                    break
                return self._added(listed, seen, seen.count, seen.size, tree, forgotten)
        for seen in self._seen[:2]:
            if seen.key_of is listed.key_of and seen.links < LINKS:
                kept, size = _common_elements(seen, listed.items)
                if kept * 2 >= count:
                    return self._added(listed, seen, kept, size, tree, forgotten)
        return self._added(listed, None, 0, 0, tree, forgotten)

    def _added(
        self, listed: _Listed, seen: _Seen | None, kept: int, size: int, tree: Tree, forgotten: int
    ) -> Ext | None:
        """Tell ``listed`` by its first ``kept`` elements, ``size`` bytes of its key, which are taken from ``seen``."""
        items, key_of, key, start = listed.items, listed.key_of, listed.key, listed.start
        added = items[kept:]
        told = tree(added)
        if told is None:
            return None
        # Another thread may have changed an element between its key and its telling; that must not be remembered.
        again = key_of(added, self._second_scratch) if added else (b"", 0)
        if again is None or again[0][again[1] :] != key[start + size :]:
            return None
        node = (None if seen is None else seen.digest, kept, told)
        reference = self._store(_encode(node), "list")
        if forgotten != self._forgotten:
            return None
        if seen is not None and kept == seen.count and len(seen.key) == seen.size:
            shared = seen.key
            shared += key[start + size :]
        else:
            shared = bytearray(key[start:])
        links = 0 if seen is None else seen.links + 1
        digest = msgspec.msgpack.decode(reference.data)[0]
        self._keep(_Seen(shared, len(shared), key_of, len(items), digest, links, reference))
        return reference

    def _keep(self, newest: _Seen) -> None:
        kept = [newest]
        buffers, room = {id(newest.key)}, _REMEMBERED_BYTES - len(newest.key)
        if room < 0:
            return
        for earlier in self._seen[: _REMEMBERED - 1]:
            if id(earlier.key) not in buffers:
                buffers.add(id(earlier.key))
                room -= len(earlier.key)
            if room >= 0:
                kept.append(earlier)
        self._seen = tuple(kept)


def _common_elements(seen: _Seen, items: list[Any]) -> tuple[int, int]:
    """How many first elements of ``items`` the list that was seen has too, and their size in its key."""
    offset, scratch = 0, bytearray()
    for count, item in enumerate(items[: seen.count]):
        found = seen.key_of([item], scratch)
        element = b"" if found is None else bytes(found[0][found[1] :])
        if not element or offset + len(element) > seen.size or not seen.key.startswith(element, offset):
            return count, offset
        offset += len(element)
    return min(len(items), seen.count), offset
