"""What an event refers to: the payloads in its values, and those that they refer to in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct

from agentrace.canonical import tags
from agentrace.canonical.decoding import MAX_NESTING
from agentrace.canonical.loading import Tagged, load
from agentrace.errors import CorruptRecord
from agentrace.events import ArtifactStored

_HOLDING: Final = frozenset(
    {
        tags.TUPLE,
        tags.SET,
        tags.FROZENSET,
        tags.PATH,
        tags.ENUM,
        tags.RANGE,
        tags.PAIRS,
        tags.OBJECT,
        tags.SUBCLASS,
        tags.CODED,
    }
)
"""Kinds of values whose encoding holds other values."""
_ARTIFACT: Final = ArtifactStored.__struct_config__.tag
_NESTED: Final = frozenset({"value", "list", "body"})
"""Kinds of payloads that are values themselves."""


class Reached(Struct, frozen=True):
    """A payload that an event needs: its data, or why that cannot be read."""

    digest: bytes
    kind: str
    data: bytes | None
    why: str = ""


Known: TypeAlias = set[tuple[bytes, str]]
"""Digest and kind of what was reached before."""


def reached(event: bytes, payload: Callable[[bytes], bytes], known: Known) -> Iterator[Reached]:
    """What ``event`` needs and is not known yet, each after what it needs itself. Raises ``CorruptRecord``."""
    needed = (*references(event), *_artifact(event))
    waiting: list[tuple[bytes, str, bytes | None]] = [(digest, kind, None) for digest, kind in needed]
    while waiting:
        digest, kind, data = waiting.pop()
        if data is not None:
            yield Reached(digest, kind, data)
            continue
        if (digest, kind) in known:
            continue
        known.add((digest, kind))
        try:
            data = payload(digest)
            inner = [*(references(data) if kind in _NESTED else ()), *_base(data, kind)]
        except CorruptRecord as failure:
            yield Reached(digest, kind, None, failure.what)
            continue
        waiting.append((digest, kind, data))
        waiting.extend((below, of, None) for below, of in inner)


def missing(events: Iterable[bytes], payload: Callable[[bytes], bytes]) -> list[tuple[bytes, str]]:
    """The digests that can be reached from ``events`` but not read, and why; in the order in which they are met."""
    known: Known = set()
    lost = (found for event in events for found in reached(event, payload, known) if found.data is None)
    return list({found.digest: (found.digest, found.why) for found in lost}.values())


def references(data: bytes | Raw) -> Iterator[tuple[bytes, str]]:
    """Digest and kind of the payloads that a canonical value, or an event, names. Raises ``CorruptRecord``."""
    return (_reference(found.data) for found in tagged(data) if found.code == tags.PAYLOAD)


def tagged_throughout(data: bytes | Raw, payload: Callable[[bytes], bytes]) -> Iterator[Tagged]:
    """What :func:`tagged` yields, and the same of every payload that holds values. Raises ``CorruptRecord``."""
    waiting: list[bytes | Raw] = [data]
    known: set[bytes] = set()
    while waiting:
        for found in tagged(waiting.pop()):
            yield found
            if found.code == tags.PAYLOAD:
                digest, kind = _reference(found.data)
                while kind in ("value", "list") and digest not in known:
                    known.add(digest)
                    node = payload(digest)
                    waiting.append(node)
                    digest = next((base for base, _ in _base(node, kind)), digest)


def tagged(data: bytes | Raw) -> Iterator[Tagged]:
    """Everything in a canonical value that msgpack has no word for. Raises ``CorruptRecord``."""
    stack: list[tuple[Any, int]] = [(load(data), 0)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_NESTING:
            raise CorruptRecord("a recorded value is nested too deep", do="do not trust this record")
        if isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, dict):
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, Tagged):
            yield value
            if value.code in _HOLDING:
                stack.append((load(value.data), depth + 1))


def _reference(data: bytes) -> tuple[bytes, str]:
    match load(data):
        case [bytes(digest), str(kind), int()]:
            return digest, kind
        case _:
            raise CorruptRecord("a reference to a payload is malformed", do="do not trust this record")


def _artifact(event: bytes) -> Iterator[tuple[bytes, str]]:
    """The payload that an ``ArtifactStored`` names by its digest alone."""
    match load(event):
        case [int(tag), int(), int(), int(), bytes(digest), *_] if tag == _ARTIFACT:
            yield digest, "bytes"
        case _:
            return


def _base(node: bytes, kind: str) -> Iterator[tuple[bytes, str]]:
    """The node that a node of a growing list or body is told by."""
    known = load(node) if kind in ("list", "body") else None
    if isinstance(known, list) and known and isinstance(known[0], bytes):
        yield known[0], kind
