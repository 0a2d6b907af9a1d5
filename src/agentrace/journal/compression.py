"""Compressing what is sealed, and decompressing what may come from a stranger.

zstandard obeys the size that a frame declares and ignores the limit it was given, so a frame is decompressed only
after its declared size was compared with what the segment says, and the segment's figure with what is plausible.
"""

from __future__ import annotations

# zstandard imports it, and importing it evaluates strings. CPython then forgets that an interrupt is ending the
# process, which is when zstandard may be needed first.
import platform as platform
from typing import Final

from agentrace.errors import CorruptRecord

STORED: Final = 0
ZSTD: Final = 1
LEVEL: Final = 3
FREELY: Final = 16 << 20
"""Up to this size a chunk may come from any number of bytes."""
MAX_RATIO: Final = 256
"""Beyond it, a chunk that compresses better than this is stored as it is."""
_LONG_WINDOW: Final = 23
_WINDOW_AT_MOST: Final = 1 << 31


def compress(raw: bytes, *, repetitive: bool) -> tuple[int, bytes]:
    """The codec and the bytes. ``repetitive``: look for repeated text within 8 MiB instead of 2."""
    import zstandard

    more = {"window_log": _LONG_WINDOW, "enable_ldm": True} if repetitive else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, source_size=len(raw), **more)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(raw)
    if len(packed) >= len(raw) or not plausible(ZSTD, len(packed), len(raw)):
        return STORED, raw
    return ZSTD, packed


def plausible(codec: int, size: int, raw_size: int) -> bool:
    """Whether that many bytes may stand for that many."""
    if codec == STORED:
        return size == raw_size
    return codec == ZSTD and (raw_size <= FREELY or raw_size <= MAX_RATIO * size)


def decompress(codec: int, data: bytes, raw_size: int) -> bytes:
    """The raw bytes. Raises CorruptRecord, and allocates nothing before the sizes agree."""
    import zstandard

    if not plausible(codec, len(data), raw_size):
        raise CorruptRecord(f"{len(data)} bytes cannot stand for {raw_size}")
    if codec == STORED:
        return data
    try:
        declared = zstandard.get_frame_parameters(data).content_size
        if declared != raw_size:
            raise CorruptRecord(f"a compressed frame declares {declared} bytes where {raw_size} were expected")
        raw = zstandard.ZstdDecompressor(max_window_size=_WINDOW_AT_MOST).decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as failure:
        raise CorruptRecord(f"a compressed frame cannot be read: {failure}") from failure
    if len(raw) != raw_size:
        raise CorruptRecord(f"a compressed frame held {len(raw)} bytes where {raw_size} were expected")
    return raw
