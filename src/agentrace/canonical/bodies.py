"""Request bodies that grow: what goes over the wire again on every turn is stored as what was inserted into it.

A body is compared, in C, with the bodies seen before; it is told as bytes kept from the start of an earlier one, new
bytes, and bytes kept from its end. Only the new bytes are looked at for secrets, with some of what stands around them,
because a name tells what its value is; they are cut at quotation marks, so that no token of a JSON text is split
between the kept and the new.

A node is the msgpack of ``[base digest or None, bytes kept from its start, new bytes, bytes kept from its end]``;
lengths count the stored, redacted bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from msgspec.msgpack import Ext

Clean: TypeAlias = Callable[[bytes], bytes]
"""Bytes without their secrets."""

SMALLEST: Final = 2048
"""Bytes below which a body is not told by its history."""
LINKS: Final = 128
"""Nodes after which a body is written whole again."""
_REMEMBERED: Final = 6
_REMEMBERED_BYTES: Final = 8 << 20
_LONGEST_TOKEN: Final = 4096
_CONTEXT: Final = 256
"""Bytes around the new ones that may tell that there is a secret in them."""

_encode = msgspec.msgpack.Encoder().encode

_Run: TypeAlias = tuple[int, int, bool]
"""A stretch of a body: its length as sent, its length as stored, whether both are the same bytes."""


class _Seen:
    """A body as it was seen and how it was stored."""

    __slots__ = ("body", "digest", "links", "reference", "runs")

    def __init__(self, body: bytes, runs: list[_Run], digest: bytes, links: int, reference: Ext) -> None:
        self.body = body
        self.runs = runs
        self.digest = digest
        self.links = links
        self.reference = reference


class BodyHistory:
    """The request bodies of one run."""

    def __init__(self, store: Callable[[bytes, str], Ext], clean: Clean) -> None:
        self._store = store
        self._clean = clean
        self._seen: tuple[_Seen, ...] = ()
        self._forgotten = 0

    def forget(self) -> None:
        """Write the next body whole."""
        self._forgotten += 1
        self._seen = ()

    def reference(self, body: bytes) -> Ext:
        """The reference that tells ``body``, which has at least :data:`SMALLEST` bytes."""
        forgotten = self._forgotten
        for seen in self._seen:
            kept = _common_start(seen.body, body)
            if kept == len(body) == len(seen.body):
                return seen.reference
            if kept * 2 >= len(body) and seen.links < LINKS:
                reference = self._differing(seen, body, kept, forgotten)
                if forgotten == self._forgotten:
                    return reference
                break  # what it was told by may be lost
        new = self._clean(body)
        runs = [(len(body), len(new), new is body)]
        return self._keep((None, 0, new, 0), body, runs, 0, self._forgotten)

    def _differing(self, seen: _Seen, body: bytes, kept: int, forgotten: int) -> Ext:
        start = _before_token(body, kept)
        end = _common_end(seen.body, body, min(len(seen.body), len(body)) - start)
        end = _after_token(body, end)
        head, start = _first_runs(seen.runs, start)
        tail, end = _first_runs(seen.runs[::-1], min(end, min(len(seen.body), len(body)) - start))
        new = self._in_context(body, start, end)
        if new is None:
            head, start = _first_runs(seen.runs, max(0, start - _CONTEXT))
            tail, end = _first_runs(seen.runs[::-1], max(0, end - _CONTEXT))
            new = self._clean(body[start : len(body) - end])
        middle = body[start : len(body) - end]
        if new == middle:
            new = middle
        runs = _joined([*head, (len(middle), len(new), new is middle), *tail[::-1]])
        node = (seen.digest, sum(run[1] for run in head), new, sum(run[1] for run in tail))
        return self._keep(node, body, runs, seen.links + 1, forgotten)

    def _in_context(self, body: bytes, start: int, end: int) -> bytes | None:
        """``body`` without its first and last bytes and without secrets; ``None`` if a secret reaches into those."""
        before = body[max(0, start - _CONTEXT) : start]
        after = body[len(body) - end : len(body) - end + _CONTEXT]
        clean = self._clean(before + body[start : len(body) - end] + after)
        untouched = clean.startswith(before) and clean.endswith(after) and len(clean) >= len(before) + len(after)
        return clean[len(before) : len(clean) - len(after)] if untouched else None

    def _keep(
        self,
        node: tuple[bytes | None, int, bytes, int],
        body: bytes,
        runs: list[_Run],
        links: int,
        forgotten: int,
    ) -> Ext:
        reference = self._store(_encode(node), "body")
        if forgotten != self._forgotten or len(body) > _REMEMBERED_BYTES:
            return reference
        digest = msgspec.msgpack.decode(reference.data)[0]
        kept, room = [_Seen(body, runs, digest, links, reference)], _REMEMBERED_BYTES - len(body)
        for earlier in self._seen[: _REMEMBERED - 1]:
            room -= len(earlier.body)
            # A body that the new one grew from is not needed to tell the next.
            if room >= 0 and (links == 0 or earlier.digest != node[0]):
                kept.append(earlier)
        # No lock: of two threads that get here at once one is forgotten, and its next body is written whole.
        self._seen = tuple(kept)
        return reference


def _common_start(one: bytes, other: bytes) -> int:
    """How many first bytes are equal. A conversation that grew differs near its end, so that is looked at first."""
    low, high = 0, min(len(one), len(other))
    with memoryview(one) as view:
        likely = high - _LONGEST_TOKEN
        if likely > 0 and other.startswith(view[:likely]):
            low = likely
        step = 64
        while low < high and step:  # ever larger steps while equal, then ever smaller ones
            step = min(step, high - low)
            if other.startswith(view[low : low + step], low):
                low += step
                step *= 2
            else:
                high = low + step - 1
                step //= 2
    return low


def _common_end(one: bytes, other: bytes, most: int) -> int:
    """How many last bytes are equal, at most ``most``."""
    length = 0
    size = 64
    with memoryview(one) as view:
        while size and length < most:
            size = min(size, most - length)
            stop = len(one) - length
            if other.endswith(view[stop - size : stop], 0, len(other) - length):
                length += size
                size *= 2
            elif size == 1:
                break
            else:
                size //= 2
                most = min(most, length + size * 2)
    return length


def _before_token(body: bytes, position: int) -> int:
    """``position`` moved back to the start of the token that it may cut."""
    quote = body.rfind(b'"', max(0, position - _LONGEST_TOKEN), position)
    return quote if quote >= 0 else max(0, position - _LONGEST_TOKEN)


def _after_token(body: bytes, length: int) -> int:
    """The length of the end, shortened so that it starts after the token that it may cut."""
    start = len(body) - length
    quote = body.find(b'"', start, start + _LONGEST_TOKEN)
    return len(body) - quote - 1 if quote >= 0 else max(0, length - _LONGEST_TOKEN)


def _first_runs(runs: list[_Run], length: int) -> tuple[list[_Run], int]:
    """The stretches within the first ``length`` bytes, and how many bytes they are; a changed one counts whole."""
    taken: list[_Run] = []
    covered = 0
    for sent, stored, same in runs:
        if covered + sent <= length:
            taken.append((sent, stored, same))
            covered += sent
            continue
        if same and length > covered:
            taken.append((length - covered, length - covered, True))
            covered = length
        break
    return taken, covered


def _joined(runs: list[_Run]) -> list[_Run]:
    joined: list[_Run] = []
    for run in runs:
        if joined and joined[-1][2] and run[2]:
            joined[-1] = (joined[-1][0] + run[0], joined[-1][1] + run[1], True)
        elif run[0] or run[1]:
            joined.append(run)
    return joined
