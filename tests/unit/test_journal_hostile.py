"""Segments made by a stranger: CorruptRecord is the worst that happens, and no memory is spent on a lie."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace.errors import CorruptRecord
from agentrace.journal import open_record
from agentrace.journal.compression import FREELY, STORED, ZSTD
from agentrace.journal.sealed import Segment, read_segment
from agentrace.journal.segment import (
    ENTRY,
    EVENTS,
    HEADER,
    HEADER_MAGIC,
    PAYLOADS,
    ROW,
    TRAILER,
    TRAILER_MAGIC,
    Chunk,
    Footer,
    chain_start,
    chunk_digest,
)
from tests.unit.journal_samples import RUN, digest, event, journal

MANY = 1 << 30


def entries(*bodies: bytes, span: int = 1) -> bytes:
    return b"".join(ENTRY.pack(len(body), span) + body for body in bodies)


def events_chunk(stored: bytes, raw_size: int, *, codec: int = ZSTD, count: int = 1, last: int = 1) -> Chunk:
    return Chunk(HEADER.size, EVENTS, codec, len(stored), raw_size, 1, last, count, b"")


def segment(chunk: Chunk, stored: bytes, **footer: object) -> bytes:
    """A segment with one chunk, every digest right: only its figures may lie."""
    chunk = msgspec.structs.replace(chunk, digest=chunk_digest(RUN, chunk.header(), stored))
    last = chunk.last if chunk.kind == EVENTS else 0
    fields: dict[str, object] = {
        "run_id": RUN,
        "number": 1,
        "seq_from": 1,
        "seq_to": last,
        "count": chunk.count if chunk.kind == EVENTS else 0,
        "chunks": [chunk],
        "payloads": b"",
        "chain_before": chain_start(RUN),
        "chain_after": chain_start(RUN),
        "sealed_at": 0,
        **footer,
    }
    encoded = msgspec.msgpack.encode(Footer(**fields))  # type: ignore[arg-type]
    return (
        HEADER.pack(HEADER_MAGIC, 1, 0, 1, RUN)
        + chunk.header()
        + chunk.digest
        + stored
        + encoded
        + TRAILER.pack(len(encoded), blake3(encoded).digest(), TRAILER_MAGIC)
    )


def opened(data: bytes) -> Segment:
    return read_segment(lambda offset, size: data[offset : offset + size], len(data), "x.seg", RUN)


def read_all(data: bytes) -> list[bytes]:
    """Use all of a segment."""
    found = opened(data)
    for name in found.digests():
        found.find(name)
    for chunk in found.footer.chunks:
        found.raw(chunk)
    return [body for chunk in found.event_chunks() for _, _, body in found.events(chunk)]


def packed(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(raw)


HONEST = packed(entries(event(1)))
BOMB = packed(bytes(256 << 20))
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(entries(event(1)))
SIZE = len(entries(event(1)))


def test_an_honest_segment_is_read() -> None:
    assert read_all(segment(events_chunk(HONEST, SIZE), HONEST)) == [event(1)]


LIES: dict[str, Callable[[], bytes]] = {
    "a frame that declares more than the segment": lambda: segment(events_chunk(BOMB, SIZE), BOMB),
    "a chunk beyond every ratio": lambda: segment(events_chunk(BOMB, 256 << 20), BOMB),
    "a chunk that claims a gigabyte": lambda: segment(events_chunk(HONEST, MANY), HONEST),
    "a frame without a size": lambda: segment(events_chunk(UNSIZED, SIZE), UNSIZED),
    "two frames in one": lambda: segment(events_chunk(HONEST * 2, SIZE), HONEST * 2),
    "no frame at all": lambda: segment(events_chunk(b"rubbish", 7), b"rubbish"),
    "an unknown codec": lambda: segment(events_chunk(HONEST, SIZE, codec=7), HONEST),
    "stored bytes of another size": lambda: segment(events_chunk(HONEST, SIZE, codec=STORED), HONEST),
    "an event longer than its chunk": lambda: segment(
        events_chunk(ENTRY.pack(MANY, 1), 8, codec=STORED), ENTRY.pack(MANY, 1)
    ),
    "an event that stands for nothing": lambda: segment(
        events_chunk(ENTRY.pack(0, 0), 8, codec=STORED), ENTRY.pack(0, 0)
    ),
    "fewer events than it says": lambda: segment(events_chunk(HONEST, SIZE, count=2, last=2), HONEST),
    "more seqs than it says": lambda: segment(
        events_chunk(entries(event(1), span=5), SIZE, codec=STORED), entries(event(1), span=5)
    ),
    "a chunk beyond the end": lambda: segment(msgspec.structs.replace(events_chunk(HONEST, SIZE), size=MANY), HONEST),
    "the same chunk twice": lambda: segment(
        events_chunk(HONEST, SIZE), HONEST, chunks=[events_chunk(HONEST, SIZE)] * 2
    ),
    "a negative offset": lambda: segment(
        events_chunk(HONEST, SIZE),
        HONEST,
        chunks=[msgspec.structs.replace(events_chunk(HONEST, SIZE), offset=-1, digest=bytes(32))],
    ),
    "a chain of another length": lambda: segment(events_chunk(HONEST, SIZE), HONEST, chain_after=b"short"),
    "another run": lambda: segment(events_chunk(HONEST, SIZE), HONEST, run_id=bytes(16)),
    "payloads that are no rows": lambda: segment(events_chunk(HONEST, SIZE), HONEST, payloads=b"x" * 45),
    "a payload in no chunk": lambda: segment(events_chunk(HONEST, SIZE), HONEST, payloads=ROW.pack(bytes(32), 9, 0, 1)),
    "a payload among events": lambda: segment(
        events_chunk(HONEST, SIZE), HONEST, payloads=ROW.pack(bytes(32), 0, 0, 1)
    ),
}
WITHOUT_FOOTER = {
    "a chain of another length",
    "payloads that are no rows",
    "the same chunk twice",
    "a negative offset",
}
"""Lies of the footer only: the chunks are read without it."""


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_a_corrupt_record_and_costs_no_memory(lie: str) -> None:
    data = LIES[lie]()

    tracemalloc.start()
    try:
        if lie in WITHOUT_FOOTER:
            assert read_all(data) == [event(1)]
            assert "without its footer" in opened(data).damage[0].what
        else:
            with pytest.raises(CorruptRecord):
                read_all(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < FREELY + (1 << 20)


def test_a_payload_that_is_not_its_digest_is_not_returned(tmp_path: Path) -> None:
    data = b"\x05\0\0\0other"
    name = digest(b"what the index promises")
    chunk = Chunk(HEADER.size, PAYLOADS, STORED, len(data), len(data), 0, 0, 1, b"")
    directory = tmp_path / "segments" / RUN.hex()
    directory.mkdir(parents=True)
    (directory / "000001.seg").write_bytes(segment(chunk, data, payloads=ROW.pack(name, 0, 4, 5)))

    record = open_record(tmp_path, RUN)

    with pytest.raises(CorruptRecord, match="not what was written"):
        record.payload(name)
    assert record.damage


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), start=st.sampled_from([b"", HEADER.pack(HEADER_MAGIC, 1, 0, 1, RUN)]))
def test_arbitrary_bytes_are_a_corrupt_record(data: bytes, start: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read_all(start + data)


VALID = segment(events_chunk(HONEST, SIZE), HONEST)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_mutated_segment_is_read_rightly_or_not_at_all(data: st.DataObject) -> None:
    mutated = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    try:
        bodies = read_all(bytes(mutated))
    except CorruptRecord:
        return

    assert bodies in ([event(1)], [])


def test_names_that_are_no_segments_are_passed_over(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.writer(RUN).event(event(1))
    made.close()
    for name in (
        "x.seg",
        "-00001.seg",
        "00²001.seg",
        ".000009.seg-ab.tmp",
        "notes.txt",
        "99999999999999.seg",
    ):
        (tmp_path / "segments" / RUN.hex() / name).write_bytes(b"rubbish")
    (tmp_path / "segments" / "no-run").mkdir()

    record = open_record(tmp_path, RUN)

    assert (list(record.events()), record.damage) == ([event(1)], [])


def test_a_directory_in_place_of_a_segment_is_damage(tmp_path: Path) -> None:
    (tmp_path / "segments" / RUN.hex() / "000001.seg").mkdir(parents=True)

    record = open_record(tmp_path, RUN)

    assert list(record.events()) == []
    assert [spot.file for spot in record.damage] == [f"segments/{RUN.hex()}/000001.seg"]
