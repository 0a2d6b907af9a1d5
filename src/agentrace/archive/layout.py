"""The trace file, byte by byte: a header, a manifest, one segment for each run, and a mark at the end.

::

    header (16 bytes)   magic 89 "agentrace" 0D 0A 1A 0A, format u16
    members             magic "MNFT" (the first) or "RUN " (all others), 0 u32, length u64,
      (48 + length)       digest 32 = blake3(content); content
    end (48 bytes)      magic "AGTREND" 0A, length of the file u64, digest of the manifest 32

All integers are little-endian. The content of the first member is the manifest, msgpack of :class:`Manifest`; that of
each other one is a segment (``journal.segment``) with number 1 that holds its whole run. The manifest tells length and
digest of every run, so that its own digest is that of the whole file. Nothing in a file is a name or a path.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from agentrace.errors import TraceFileError
from agentrace.events import FORMAT_VERSION, is_readable
from agentrace.journal.compression import STORED, ZSTD

FORMAT: Final = 1
MAGIC: Final = b"\x89agentrace\r\n\x1a\n"
"""Like PNG's: a transfer that changes line ends or the eighth bit is recognised at once."""
HEADER: Final = struct.Struct("<14sH")
MEMBER: Final = struct.Struct("<4sIQ32s")
MANIFEST: Final = b"MNFT"
RUN: Final = b"RUN "
END: Final = struct.Struct("<8sQ32s")
END_MAGIC: Final = b"AGTREND\n"

SUFFIX: Final = ".agentrace"
CODECS: Final = {STORED: "stored", ZSTD: "zstd"}
"""How the chunks of a run may be stored, as the manifest names it."""
VALUES: Final = "canonical/1"
"""How values are encoded; see docs/02-canonical-trace-spec.md."""


class Environment(msgspec.Struct, frozen=True):
    """What a run ran on, as its own record tells it."""

    python: str = ""
    platform: str = ""
    timezone: str = ""
    hash_seed: str = ""
    sdk: str = ""
    """Version of agentrace that recorded it."""
    git_commit: str = ""
    libraries: dict[str, str] = {}


class RunMember(msgspec.Struct, frozen=True):
    """One run of the file."""

    run_id: bytes
    """16 bytes."""
    length: int
    """Bytes of its segment."""
    digest: bytes
    """blake3 of its segment."""
    raw: int
    """Bytes of its chunks when they are decompressed."""
    events: int
    """Events, tombstones included."""
    last_seq: int
    """Position of the last event, or of what it stands for."""
    payloads: int
    chain: bytes
    """Head of the chain over its events: the same for the same events, however they are stored."""
    original: bytes = b""
    """Head of the chain of the record that it was exported from, if its events were changed."""
    parent: bytes = b""
    """The run that started its process, 16 bytes; empty for none."""
    name: str = ""
    command: list[str] = []
    """The command line that started it, redacted."""
    environment: Environment = Environment()
    redaction: str = ""
    """Profile and rules that took secrets out when it was recorded, or later when it was exported."""
    missing: list[bytes] = []
    """Digests of payloads that its record refers to and that could not be read when it was exported."""


class Removed(msgspec.Struct, frozen=True):
    """What the export took out."""

    redaction: str = ""
    """Profile and version of the rules; empty if none were applied."""
    secrets: dict[str, int] = {}
    """How many of each kind were replaced."""
    events: int = 0
    """Events of types that the exporting version did not know, and so could not look into."""
    payloads: bool = False
    """Whether all values were: arguments, results, messages, bodies and headers."""


class Manifest(msgspec.Struct, frozen=True):
    """What a trace file holds."""

    format: int
    trace: str
    """Version of the trace format, of which the events are."""
    values: str
    """How values are encoded."""
    codecs: list[str]
    """How chunks are stored, those that occur."""
    removed: Removed
    runs: list[RunMember]
    """Sorted by run id, which is by time."""


def member_head(kind: bytes, length: int, digest: bytes) -> bytes:
    """The 48 bytes before the content of a member."""
    return MEMBER.pack(kind, 0, length, digest)


def end_mark(size: int, manifest_digest: bytes) -> bytes:
    """The last 48 bytes of a file of ``size`` bytes."""
    return END.pack(END_MAGIC, size, manifest_digest)


def check_header(data: bytes, name: str) -> None:
    """Raises ``TraceFileError`` unless these are the first bytes of a trace file that this version reads."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise TraceFileError(f"{name} is no trace file", do="name a file that `agentrace export` made")
    _, version = HEADER.unpack(data[: HEADER.size])
    if version != FORMAT:
        raise _unknown(f"{name} is a trace file of format {version}; this agentrace reads format {FORMAT}", "version")


def check_words(manifest: Manifest, name: str) -> None:
    """Raises ``TraceFileError`` where the manifest names a version or a codec that is not known here."""
    if manifest.format != FORMAT or not is_readable(manifest.trace):
        told = f"{name} holds a trace of version {manifest.trace!r}; this agentrace reads {FORMAT_VERSION}"
        raise _unknown(told, "version")
    unknown = [codec for codec in (*manifest.codecs, manifest.values) if codec not in (*CODECS.values(), VALUES)]
    if unknown:
        raise _unknown(f"{name} is stored with codecs that are not known here: {', '.join(unknown)}", "codec")


def _unknown(what: str, slug: str) -> TraceFileError:
    do = "update agentrace, or export the run again with this version"
    if slug == "version":
        return TraceFileError(what, do=do, slug="trace-file-version")
    return TraceFileError(what, do=do, slug="trace-file-codec")
