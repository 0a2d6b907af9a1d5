"""Reading a segment, which may have been cut, damaged, or made by a stranger: CorruptRecord is all that can happen.

Every size is compared with the file before it is believed. A segment whose footer cannot be used is walked chunk by
chunk, so that one bad byte costs at most the chunk it is in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.journal.compression import decompress, plausible
from agentrace.journal.disk import read_fully
from agentrace.journal.frames import DIGEST_SIZE, Damage
from agentrace.journal.segment import (
    CHUNK,
    CHUNK_MAGIC,
    CHUNK_SIZE,
    ENTRY,
    EVENTS,
    FORMAT,
    HEADER,
    HEADER_MAGIC,
    LENGTH,
    PAYLOADS,
    ROW,
    TRAILER,
    TRAILER_MAGIC,
    UNKNOWN_CHAIN,
    Chunk,
    Footer,
    chunk_digest,
)

Read = Callable[[int, int], bytes]
"""(offset, size) -> these bytes of the segment, fewer where it ends."""

SMALL: Final = 256 << 10
_SEQ_AT_MOST: Final = (1 << 63) - 1
_WINDOW: Final = 1 << 20
_HASHED_AT_MOST: Final = 8
"""Walking gives up after it has hashed this many times the size of the file."""

_decode_footer = msgspec.msgpack.Decoder(Footer).decode


class Segment:
    """One segment that is being read. ``damage``: what has been found so far, in its lane and in the file itself."""

    __slots__ = ("_read", "damage", "footer", "name", "size")

    def __init__(self, read: Read, size: int, name: str, footer: Footer, damage: list[Damage]) -> None:
        self.name = name
        self.footer = footer
        self.damage = damage
        self.size = size
        self._read = read

    def event_chunks(self, after: int = 0) -> list[Chunk]:
        """The chunks that hold events beyond the seq ``after``."""
        return [chunk for chunk in self.footer.chunks if chunk.kind == EVENTS and chunk.last > after]

    def events(self, chunk: Chunk) -> Iterator[tuple[int, int, bytes]]:
        """(first seq, last seq, event) for each event of the chunk. Raises CorruptRecord."""
        raw, at, seq, count = self.raw(chunk), 0, chunk.first, 0
        unpack, step, size = ENTRY.unpack_from, ENTRY.size, len(raw)
        while at + step <= size:
            length, span = unpack(raw, at)
            at += step + length
            if at > size or span < 1:
                raise self.corrupt(chunk, "an event reaches beyond its chunk")
            yield seq, seq + span - 1, raw[at - length : at]
            seq += span
            count += 1
        if at != size or seq != chunk.last + 1 or count != chunk.count:
            raise self.corrupt(chunk, "a chunk does not hold the events that it says")

    def bodies(self, chunk: Chunk) -> list[bytes]:
        """The same events without their seqs, all at once. Raises CorruptRecord."""
        raw, at, seqs = self.raw(chunk), 0, 0
        unpack, step, size = ENTRY.unpack_from, ENTRY.size, len(raw)
        found: list[bytes] = []
        add = found.append
        while at + step <= size:
            length, span = unpack(raw, at)
            begin = at + step
            at = begin + length
            seqs += span
            if not span:
                break
            add(raw[begin:at])
        if at != size or seqs != chunk.last - chunk.first + 1 or len(found) != chunk.count:
            raise CorruptRecord(f"{self.name}: a chunk does not hold the events that it says")
        return found

    def find(self, digest: bytes) -> tuple[Chunk, int, int] | None:
        """Chunk, offset in its raw bytes and size of a payload; None if it is not here. Raises CorruptRecord."""
        rows, low, high = self.footer.payloads, 0, len(self.footer.payloads) // ROW.size
        while low < high:
            middle = (low + high) // 2
            found, number, at, size = ROW.unpack_from(rows, middle * ROW.size)
            if found == digest:
                chunk = self.footer.chunks[number] if number < len(self.footer.chunks) else None
                if chunk is None or chunk.kind != PAYLOADS or at + size > chunk.raw_size:
                    raise CorruptRecord(f"{self.name}: the index of payloads leads nowhere")
                return chunk, at, size
            low, high = (middle + 1, high) if found < digest else (low, middle)
        return None

    def digests(self) -> Iterator[bytes]:
        """The digests of the payloads in this segment, sorted."""
        rows = self.footer.payloads
        return (rows[at : at + DIGEST_SIZE] for at in range(0, len(rows), ROW.size))

    def raw(self, chunk: Chunk) -> bytes:
        """The decompressed bytes of a chunk. Raises CorruptRecord."""
        data = self._read(chunk.offset, chunk.end - chunk.offset)
        header, stored = chunk.header(), data[CHUNK_SIZE:]
        if chunk_digest(self.footer.run_id, header, stored) != chunk.digest:
            raise self.corrupt(chunk, "a chunk is damaged")
        if data[:CHUNK_SIZE] != header + chunk.digest:
            self.note(Damage(self.name, chunk.offset, CHUNK_SIZE, "the header of a chunk is damaged"))
        return decompress(chunk.codec, stored, chunk.raw_size)

    def note(self, damage: Damage) -> None:
        """Add to ``damage`` what is not known yet."""
        if damage not in self.damage:
            self.damage.append(damage)

    def corrupt(self, chunk: Chunk, what: str) -> CorruptRecord:
        """The error for a chunk, which is noted as damage."""
        self.note(Damage(self.name, chunk.offset, chunk.end - chunk.offset, what))
        return CorruptRecord(f"{self.name}, {chunk.end - chunk.offset} bytes at {chunk.offset}: {what}")


def open_segment(path: Path, name: str, run_id: bytes | None = None) -> Segment:
    """The segment in a file. Raises CorruptRecord, FileNotFoundError; and once it is open, as all that reads from
    it, RunNotFound where the run was removed meanwhile.
    """
    size, whole = _look_at(path, name)

    def read(offset: int, length: int) -> bytes:
        if whole:
            return whole[offset : offset + length]
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return read_fully(fd, length, offset)
            finally:
                os.close(fd)
        except FileNotFoundError as failure:
            raise RunNotFound(
                f"run {path.parent.name} was removed while it was read", do="`agentrace ls` shows those that are there"
            ) from failure
        except OSError as failure:
            raise CorruptRecord(f"{name} cannot be read: {failure.strerror}") from failure

    return read_segment(read, size, name, run_id)


def _look_at(path: Path, name: str) -> tuple[int, bytes]:
    """The size of a file, and its content if it is small."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            size = os.fstat(fd).st_size
            return size, read_fully(fd, size) if size <= SMALL else b""
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except OSError as failure:
        raise CorruptRecord(f"{name} cannot be read: {failure.strerror}") from failure


def read_segment(read: Read, size: int, name: str, run_id: bytes | None = None) -> Segment:
    """The segment behind ``read``, of this run if one is given. Raises CorruptRecord where nothing can be used."""
    damage: list[Damage] = []
    header = read(0, HEADER.size)
    try:
        footer = _footer(read, size, name)
    except CorruptRecord as failure:
        number, named = _named(header, name)
        expected = run_id or named
        if expected is None:
            raise
        damage.append(Damage(name, size, 0, f"{failure.what}; the segment was read without its footer"))
        footer = _walk(read, size, name, expected, number)
    else:
        if header != HEADER.pack(HEADER_MAGIC, footer.format, 0, footer.number, footer.run_id):
            damage.append(Damage(name, 0, HEADER.size, "the header is damaged"))
    if run_id is not None and footer.run_id != run_id:
        raise CorruptRecord(f"{name} belongs to another run")
    return Segment(read, size, name, footer, damage + footer.damage)


def _named(header: bytes, name: str) -> tuple[int, bytes | None]:
    """Number and run id that a header tells; 0 and None where it is no header."""
    if len(header) == HEADER.size:
        magic, version, _, number, run_id = HEADER.unpack(header)
        if magic == HEADER_MAGIC and version > FORMAT:
            raise _newer(name, version)
        if magic == HEADER_MAGIC:
            return number, run_id
    return 0, None


def _newer(name: str, version: int) -> CorruptRecord:
    return CorruptRecord(f"{name} has format {version}", do="read it with a newer agentrace")


def _footer(read: Read, size: int, name: str) -> Footer:
    trailer = read(size - TRAILER.size, TRAILER.size) if size >= HEADER.size + TRAILER.size else b""
    if len(trailer) != TRAILER.size:
        raise CorruptRecord(f"{name} is cut short")
    length, digest, magic = TRAILER.unpack(trailer)
    end = size - TRAILER.size
    if magic != TRAILER_MAGIC or length > end - HEADER.size:
        raise CorruptRecord(f"{name} has no valid trailer")
    encoded = read(end - length, length)
    if blake3(encoded).digest() != digest:
        raise CorruptRecord(f"the footer of {name} is damaged")
    try:
        footer = _decode_footer(encoded)
    except (msgspec.MsgspecError, RecursionError) as failure:
        raise CorruptRecord(f"the footer of {name} cannot be decoded: {failure}") from failure
    if footer.format > FORMAT:
        raise _newer(name, footer.format)
    if not _consistent(footer, end - length):
        raise CorruptRecord(f"the footer of {name} contradicts itself")
    return footer


def _consistent(footer: Footer, end: int) -> bool:
    """Whether the chunks stand one behind the other in the file, and the numbers agree with each other."""
    hashes = (footer.chain_before, footer.chain_after)
    if len(footer.run_id) != 16 or any(len(chain) != 32 for chain in hashes) or len(footer.payloads) % ROW.size:
        return False
    if not (0 <= footer.number < 1 << 32 and 1 <= footer.seq_from <= footer.seq_to + 1 <= _SEQ_AT_MOST):
        return False
    at, seq, count = HEADER.size, footer.seq_from, 0
    for chunk in footer.chunks:
        if chunk.offset < at or not _sound(chunk) or chunk.end > end:
            return False
        at = chunk.end
        if chunk.kind == EVENTS:
            if chunk.first != seq:
                return False
            seq, count = chunk.last + 1, count + chunk.count
    return seq == footer.seq_to + 1 and count == footer.count


def _sound(chunk: Chunk) -> bool:
    """Whether the figures of a chunk can be true (and fit the fields of its header)."""
    if min(chunk.offset, chunk.size, chunk.raw_size, chunk.first, chunk.last) < 0 or len(chunk.digest) != 32:
        return False
    if max(chunk.size, chunk.raw_size, chunk.count) >= 1 << 32 or chunk.last > _SEQ_AT_MOST:
        return False
    if chunk.kind == EVENTS:
        fits = chunk.first <= chunk.last and chunk.count <= min(chunk.last - chunk.first + 1, chunk.raw_size)
    else:
        fits = chunk.kind == PAYLOADS and chunk.first == chunk.last == 0
    return fits and chunk.count > 0 and plausible(chunk.codec, chunk.size, chunk.raw_size)


class _Window:
    """What is read of a segment that is walked: a mebibyte at a time, however large it is."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._start = 0
        self._data = b""

    def read(self, offset: int, length: int) -> bytes:
        """These bytes."""
        start = offset - self._start
        if 0 <= start <= len(self._data) - length:
            return self._data[start : start + length]
        return self._read(offset, length)

    def find(self, magic: bytes, offset: int) -> int:
        """Where these bytes come next, from ``offset`` on; -1 if they do not."""
        while offset <= self._size - len(magic):
            if not self._start <= offset <= self._start + len(self._data) - len(magic):
                self._start, self._data = offset, self._read(offset, _WINDOW)
                if len(self._data) < len(magic):
                    return -1
            found = self._data.find(magic, offset - self._start)
            if found >= 0:
                return self._start + found
            offset = self._start + len(self._data) - len(magic) + 1
        return -1


def _walk(read: Read, size: int, name: str, run_id: bytes, number: int) -> Footer:
    """What the footer would say of the chunks that are still whole. Raises CorruptRecord."""
    window = _Window(read, size)
    chunks: list[Chunk] = []
    at, budget = window.find(CHUNK_MAGIC, HEADER.size), _HASHED_AT_MOST * size
    while 0 <= at <= size - CHUNK_SIZE and budget > 0:
        header = window.read(at, CHUNK_SIZE)
        _, kind, codec, _, stored, raw, first, last, count = CHUNK.unpack_from(header)
        chunk = Chunk(at, kind, codec, stored, raw, first, last, count, header[CHUNK.size :])
        if _sound(chunk) and chunk.end <= size:
            budget -= stored
            if chunk_digest(run_id, chunk.header(), window.read(at + CHUNK_SIZE, stored)) == chunk.digest:
                chunks.append(chunk)
                at = window.find(CHUNK_MAGIC, chunk.end)
                continue
        at = window.find(CHUNK_MAGIC, at + 1)
    events = [chunk for chunk in chunks if chunk.kind == EVENTS]
    if not chunks:
        raise CorruptRecord(f"{name} holds nothing that can be read")
    return Footer(
        run_id=run_id,
        number=number,
        seq_from=events[0].first if events else 1,
        seq_to=events[-1].last if events else 0,
        count=sum(chunk.count for chunk in events),
        chunks=chunks,
        payloads=_index(read, chunks),
        chain_before=UNKNOWN_CHAIN,
        chain_after=UNKNOWN_CHAIN,
        sealed_at=0,
    )


def _index(read: Read, chunks: list[Chunk]) -> bytes:
    """The index of payloads, made again from the payloads themselves: a digest is the blake3 of its data."""
    rows: list[bytes] = []
    for number, chunk in enumerate(chunks):
        if chunk.kind != PAYLOADS:
            continue
        raw, at = decompress(chunk.codec, read(chunk.offset + CHUNK_SIZE, chunk.size), chunk.raw_size), 0
        while at + LENGTH.size <= len(raw):
            (length,) = LENGTH.unpack_from(raw, at)
            at += LENGTH.size
            if at + length > len(raw):
                break
            rows.append(ROW.pack(blake3(raw[at : at + length]).digest(), number, at, length))
            at += length
    return b"".join(sorted(rows))
