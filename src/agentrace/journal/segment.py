"""The segment: what a run did in one stretch of its events, sealed in one immutable file.

::

    header (32 bytes)   magic "AGTRSEG1", format u16, 0 u16, number u32, run id 16
    chunks              magic "CHNK", kind u8, codec u8, 0 u16, stored size u32, raw size u32,
      (68 + stored)       first seq u64, last seq u64, count u32;
                        digest 32 = blake3(run id + the 36 bytes above + stored bytes);
                        stored bytes (codec 0: raw, 1: one zstd frame that declares its size)
    footer              msgpack (Footer)
    trailer (48 bytes)  length of the footer u64, blake3(footer) 32, magic "AGTRSEGF"

All integers are little-endian. The raw bytes of a chunk are entries, one after the other: events (kind 1) are length
u32, span u32, event: span is how many seqs it stands for, 1 but for a tombstone; payloads (kind 2) are length u32,
data: their digests are in the footer's index.

Chunks repeat in their headers what the footer says of them, so that a segment without its footer (cut, damaged) is
read by walking. The chain: h(0) = blake3("agentrace.chain.1" + run id); h(n) = blake3(h(n-1) + blake3(event)).
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from blake3 import blake3

from agentrace.journal.compression import compress
from agentrace.journal.disk import open_private, take_name, write_fully
from agentrace.journal.frames import DIGEST_SIZE, Damage

FORMAT: Final = 1
HEADER: Final = struct.Struct("<8sHHI16s")
HEADER_MAGIC: Final = b"AGTRSEG1"
CHUNK: Final = struct.Struct("<4sBBHIIQQI")
CHUNK_MAGIC: Final = b"CHNK"
CHUNK_SIZE: Final = CHUNK.size + DIGEST_SIZE
TRAILER: Final = struct.Struct("<Q32s8s")
TRAILER_MAGIC: Final = b"AGTRSEGF"
ENTRY: Final = struct.Struct("<II")
LENGTH: Final = struct.Struct("<I")
ROW: Final = struct.Struct("<32sIII")

EVENTS: Final = 1
PAYLOADS: Final = 2
EVENTS_RAW: Final = 1 << 20
PAYLOADS_RAW: Final = 4 << 20
LONGEST_SPAN: Final = (1 << 32) - 1
UNKNOWN_CHAIN: Final = bytes(32)
"""In place of a chain head that could not be known, because bytes before it are damaged."""

SUFFIX: Final = ".seg"
TEMPORARY: Final = ".tmp"


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """One chunk: where its header starts, and what that header says."""

    offset: int
    kind: int
    codec: int
    size: int
    raw_size: int
    first: int
    last: int
    count: int
    digest: bytes

    def header(self) -> bytes:
        """The first 36 bytes of the chunk."""
        fields = (self.kind, self.codec, 0, self.size, self.raw_size, self.first, self.last, self.count)
        return CHUNK.pack(CHUNK_MAGIC, *fields)

    @property
    def end(self) -> int:
        """The offset behind the chunk."""
        return self.offset + CHUNK_SIZE + self.size


class Footer(msgspec.Struct, frozen=True):
    """What a segment holds.

    Events from ``seq_from`` to ``seq_to``, without a hole, in ``count`` events of which some may be tombstones;
    none if ``seq_to`` is less. ``payloads``: rows of 44 bytes, sorted: digest 32, index of the chunk u32, offset
    of the data in its raw bytes u32, size u32. ``sealed_at``: ns, UTC. ``damage``: what was found damaged in the
    lane.
    """

    run_id: bytes
    number: int
    seq_from: int
    seq_to: int
    count: int
    chunks: list[Chunk]
    payloads: bytes
    chain_before: bytes
    chain_after: bytes
    sealed_at: int
    damage: list[Damage] = []
    format: int = FORMAT


class Progress(msgspec.Struct):
    """How far a run has been sealed: the number of its last segment, its last seq, its chain, its payloads."""

    number: int
    last: int
    chain: bytes
    digests: set[bytes] = msgspec.field(default_factory=set)


def chain_start(run_id: bytes) -> bytes:
    """The chain of a run without events."""
    return blake3(b"agentrace.chain.1" + run_id).digest()


def chained(chain: bytes, event: bytes) -> bytes:
    """The chain with one event more."""
    return blake3(chain + blake3(event).digest()).digest()


def chunk_digest(run_id: bytes, header: bytes, stored: bytes) -> bytes:
    """What makes a chunk recognised as undamaged, and as this run's."""
    digest = blake3(run_id)
    digest.update(header)
    digest.update(stored)
    return digest.digest()


def segment_name(number: int) -> str:
    """The file name of a segment."""
    return f"{number:06d}{SUFFIX}"


Pack: TypeAlias = Callable[[bytes, int, int], tuple[int, bytes]]
"""(raw bytes of a chunk, its kind, how many entries it has) -> codec and stored bytes."""


def smallest(raw: bytes, kind: int, _: int) -> tuple[int, bytes]:
    """As small as it gets."""
    return compress(raw, repetitive=kind == PAYLOADS)


class SegmentBytes:
    """The bytes of one segment, handed to ``write`` as they are made: events and payloads, then finish.

    ``event``, ``payload`` and ``finish`` raise what ``write`` raises.
    """

    def __init__(
        self, write: Callable[[bytes], None], run_id: bytes, after: Progress, *, pack: Pack = smallest
    ) -> None:
        self.run_id = run_id
        self.number = after.number + 1
        self._sink = write
        self._pack = pack
        self._after = after
        self._offset = 0
        self._chunks: list[Chunk] = []
        self._count = 0
        self._last = after.last
        self._chain = after.chain
        self._events = _Entries(first=after.last + 1)
        self._payloads = _Entries(first=0)
        self._pending_rows: list[tuple[bytes, int, int]] = []
        self._rows: list[bytes] = []
        self._write(HEADER.pack(HEADER_MAGIC, FORMAT, 0, self.number, run_id))

    def event(self, body: bytes, last: int) -> None:
        """The next event, which stands for every seq up to ``last``."""
        entries = self._events
        entries.add(ENTRY.pack(len(body), last - self._last), body)
        self._last = last
        self._chain = chained(self._chain, body)
        if entries.size >= EVENTS_RAW:
            self.end_events()

    def payload(self, digest: bytes, data: bytes) -> None:
        """One payload."""
        if self._payloads.size + len(data) > 2 * PAYLOADS_RAW:
            self.end_payloads()
        self._pending_rows.append((digest, self._payloads.size + LENGTH.size, len(data)))
        self._payloads.add(LENGTH.pack(len(data)), data)
        if self._payloads.size >= PAYLOADS_RAW:
            self.end_payloads()

    def end_events(self) -> None:
        """What comes now is not in the same chunk as the events before."""
        if self._events.count:
            self._count += self._events.count
            self._chunk(EVENTS, self._events, self._last)
            self._events = _Entries(first=self._last + 1)

    def end_payloads(self) -> None:
        """The same for payloads."""
        if self._payloads.count:
            rows, self._pending_rows = self._pending_rows, []
            self._rows += (ROW.pack(digest, len(self._chunks), at, size) for digest, at, size in rows)
            self._chunk(PAYLOADS, self._payloads, 0)
            self._payloads = _Entries(first=0)

    def finish(self, damage: list[Damage], sealed_at: int) -> Footer:
        """Write the footer, which is returned."""
        self.end_events()
        self.end_payloads()
        footer = Footer(
            run_id=self.run_id,
            number=self.number,
            seq_from=self._after.last + 1,
            seq_to=self._last,
            count=self._count,
            chunks=self._chunks,
            payloads=b"".join(sorted(self._rows)),
            chain_before=self._after.chain,
            chain_after=self._chain,
            sealed_at=sealed_at,
            damage=damage,
        )
        encoded = msgspec.msgpack.encode(footer)
        self._write(encoded + TRAILER.pack(len(encoded), blake3(encoded).digest(), TRAILER_MAGIC))
        return footer

    def _chunk(self, kind: int, entries: _Entries, last: int) -> None:
        raw = b"".join(entries.parts)
        codec, stored = self._pack(raw, kind, entries.count)
        unsigned = Chunk(self._offset, kind, codec, len(stored), len(raw), entries.first, last, entries.count, b"")
        digest = chunk_digest(self.run_id, unsigned.header(), stored)
        self._chunks.append(msgspec.structs.replace(unsigned, digest=digest))
        self._write(unsigned.header() + digest + stored)

    def _write(self, data: bytes) -> None:
        self._sink(data)
        self._offset += len(data)


class SegmentWriter:
    """Writes one segment under a hidden name, in steps: finish, sync, publish; and discard, in any case."""

    def __init__(self, directory: Path, run_id: bytes, after: Progress) -> None:
        self.directory = directory
        self.run_id = run_id
        self._after = after
        self._number = after.number + 1
        self._path = directory / f".{segment_name(self._number)}-{os.urandom(4).hex()}{TEMPORARY}"
        self._fd = open_private(self._path, os.O_CREAT | os.O_EXCL)
        self._bytes = SegmentBytes(lambda data: write_fully(self._fd, data), run_id, after)
        self.event = self._bytes.event
        self.payload = self._bytes.payload

    def finish(self, damage: list[Damage]) -> Progress:
        """Write the footer; how far the run is sealed once this is published. Raises OSError."""
        footer = self._bytes.finish(damage, time.time_ns())
        return Progress(footer.number, footer.seq_to, footer.chain_after, self._after.digests)

    def sync(self) -> None:
        """Wait until the bytes are on the disk. Raises OSError."""
        os.fsync(self._fd)

    def publish(self) -> bool:
        """Give the segment its name. False if another has it already. Raises OSError."""
        return take_name(self._path, self.directory / segment_name(self._number))

    def discard(self) -> None:
        """Close the file, and remove it if it was not published."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            self._path.unlink(missing_ok=True)


class _Entries:
    """The entries that will be the next chunk."""

    __slots__ = ("count", "first", "parts", "size")

    def __init__(self, first: int) -> None:
        self.first = first
        self.count = self.size = 0
        self.parts: list[bytes] = []

    def add(self, prefix: bytes, data: bytes) -> None:
        self.parts += (prefix, data)
        self.size += len(prefix) + len(data)
        self.count += 1
