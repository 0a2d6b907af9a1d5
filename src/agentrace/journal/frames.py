"""The frame: the unit that is written into a lane file, whole or not at all, and found again after a crash.

A frame is a header of 28 bytes, little-endian, and a body::

    offset  bytes  field
         0      2  magic 0xA7CE
         2      1  kind (1 event, 2 payload, 3 tombstone, 4 opened, 5 finished)
         3      1  version, 1
         4      4  length of the body
         8      4  check
        12     16  run id

    check = crc32(body, crc32(run id, crc32(kind, crc32(name of the lane's directory))))

A wrong length gives a wrong check. The lane's name is in the check, so that a frame which is itself part of a payload
(an agent that reads somebody's lane file) is never taken for one of this lane.

Bodies: an event is msgpack ``[tag, seq, step_id, ts, ...]``; a payload is its digest (32 bytes) and its data; a
tombstone is the last lost seq (8 bytes) and an event that stands for all of them; the others are empty.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from functools import lru_cache
from mmap import mmap
from typing import Final
from zlib import crc32

import msgspec

MAGIC: Final = 0xA7CE
MAGIC_BYTES: Final = MAGIC.to_bytes(2, "little")
VERSION: Final = 1
HEADER: Final = struct.Struct("<HBBII16s")
HEADER_SIZE: Final = HEADER.size

EVENT: Final = 1
PAYLOAD: Final = 2
TOMBSTONE: Final = 3
OPENED: Final = 4
FINISHED: Final = 5
KINDS: Final = range(EVENT, FINISHED + 1)

LAST_LOST: Final = struct.Struct("<Q")
DIGEST_SIZE: Final = 32
MAX_SEQ: Final = 1 << 40
MAX_BODY: Final = 1 << 30
"""A body is at most 1 GiB; a larger payload is refused when it is written."""

TORN_TAIL: Final = "torn tail"
_ZEROS: Final = bytes(1 << 16)

Bytes = bytes | mmap
Found = tuple[int, bytes, int, bytes]
"""A frame that was found: kind, run id, offset of the body, body."""


class Damage(msgspec.Struct, frozen=True):
    """Bytes that are not what was written: ``length`` bytes at ``offset`` of ``file`` (relative to the store)."""

    file: str
    offset: int
    length: int
    what: str


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The first fields of every event, whatever its type."""

    tag: int
    seq: int
    step_id: int
    ts: int


_decode_head = msgspec.msgpack.Decoder(Head).decode


def head(event: bytes) -> Head | None:
    """The head of an event, or None where these bytes are not an event with a seq from 1 to 2^40."""
    try:
        found = _decode_head(event)
    except msgspec.MsgspecError:
        return None
    return found if 1 <= found.seq <= MAX_SEQ else None


@lru_cache(maxsize=8)
def lane_seeds(lane: str) -> tuple[int, ...]:
    """The crc32 seeds of a lane, by kind (index 0 is unused)."""
    name = crc32(lane.encode())
    return tuple(crc32(bytes((kind,)), name) for kind in range(KINDS.stop))


def seed(lane: str, kind: int, run_id: bytes) -> int:
    """What the check of every frame of this kind, run and lane starts from."""
    return crc32(run_id, lane_seeds(lane)[kind])


def frame(lane: str, kind: int, run_id: bytes, body: bytes = b"") -> bytes:
    """One whole frame. (The hot path in process.py does the same, with the seed computed beforehand.)"""
    check = crc32(body, seed(lane, kind, run_id))
    return HEADER.pack(MAGIC, kind, VERSION, len(body), check, run_id) + body


NO_EVENT: Final = "not an event"
CONFLICT: Final = "another event with the same seq"


def damaged_body(file: str, offset: int, body: bytes, what: str) -> Damage:
    """Damage for a whole frame, found by its body."""
    return Damage(file, offset - HEADER_SIZE, len(body) + HEADER_SIZE, what)


def concerned(data: Bytes, damage: Damage, runs: Collection[bytes]) -> Collection[bytes]:
    """The run that a damaged frame still names, if it is one of these; else it may have been any of them."""
    named = data[damage.offset + 12 : damage.offset + HEADER_SIZE]
    return [named] if named in runs else runs


def scan(
    data: Bytes, lane: str, damage: list[Damage], *, file: str, size: int, living: bool = False
) -> Iterator[Found]:
    """Every undamaged frame in ``data[:size]``, in order; what is no frame is appended to ``damage``.

    With ``living`` a writer is at work behind these bytes: a zero magic, or something unfinished with nothing
    valid behind it, is then simply the end.
    """
    seeds, unpack = lane_seeds(lane), HEADER.unpack_from
    at = 0
    while at + HEADER_SIZE <= size:
        magic, kind, version, length, check, run_id = unpack(data, at)
        body = at + HEADER_SIZE
        end = body + length
        if magic == MAGIC and version == VERSION and kind in KINDS and end <= size:
            content = data[body:end]
            if crc32(content, crc32(run_id, seeds[kind])) == check:
                yield kind, run_id, body, content
                at = end
                continue
        if living and magic == 0:
            return
        found = _next_frame(data, seeds, at if magic == 0 else at + 1, size)
        if found < 0:
            if not living:
                _report_tail(data, at, size, file, damage)
            return
        damage.append(Damage(file, at, found - at, "damaged frame" if magic else "zeros where frames were"))
        at = found
    if not living:
        _report_tail(data, at, size, file, damage)


def _next_frame(data: Bytes, seeds: tuple[int, ...], at: int, size: int) -> int:
    """The offset of the first valid frame from ``at`` on, or -1."""
    at = data.find(MAGIC_BYTES, skip_zeros(data, at, size), size)
    while 0 <= at <= size - HEADER_SIZE:
        _, kind, version, length, check, run_id = HEADER.unpack_from(data, at)
        body = at + HEADER_SIZE
        plausible = version == VERSION and kind in KINDS and body + length <= size
        if plausible and crc32(data[body : body + length], crc32(run_id, seeds[kind])) == check:
            return at
        at = data.find(MAGIC_BYTES, at + 1, size)
    return -1


def _report_tail(data: Bytes, at: int, size: int, file: str, damage: list[Damage]) -> None:
    """A frame that the crash cut off; the zeros that were allocated ahead are no damage."""
    first = skip_zeros(data, at, size)
    if first < size:
        last = first + len(data[first:size].rstrip(b"\0"))
        damage.append(Damage(file, at, last - at, TORN_TAIL))


def skip_zeros(data: Bytes, at: int, size: int) -> int:
    """An offset from ``at`` on, before which there is nothing but zeros; ``size`` if nothing else follows."""
    while at < size:
        step = min(len(_ZEROS), size - at)
        if data[at : at + step] != _ZEROS[:step]:
            return at
        at += step
    return size
