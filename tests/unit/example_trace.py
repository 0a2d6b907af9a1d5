"""The smallest trace file with everything in it: one run, one event, one payload; docs/trace-file.md takes it apart."""

from __future__ import annotations

import tempfile
from pathlib import Path

from blake3 import blake3
from msgspec import Raw
from msgspec.msgpack import Ext, encode

from agentrace import events
from agentrace.archive import export
from agentrace.canonical import tags
from agentrace.journal import Journal
from agentrace.query import Runs

RUN_ID = bytes.fromhex("0192f0c1a2b37000800000000000002a")
PAYLOAD = b"hello"
TS = 1_764_547_200_000_000_000


def example() -> bytes:
    """The file's bytes. Nothing in it is long enough to be compressed, so that they depend on no library."""
    digest = blake3(PAYLOAD).digest()
    said = Raw(encode(Ext(tags.PAYLOAD, encode((digest, "bytes", len(PAYLOAD))))))
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory) / "store"
        journal = Journal(store, tombstone=events.tombstone, on_failure=_failed)
        writer = journal.writer(RUN_ID)
        writer.payload(digest, PAYLOAD)
        writer.event(events.encode(events.Logged(1, 0, TS, "hi", fields=said)))
        journal.close(timeout=30)
        path = Path(directory) / "example.agentrace"
        export(Runs(store), [RUN_ID], path)
        return path.read_bytes()


def _failed(error: BaseException, count: int) -> None:
    raise AssertionError(f"{count} events could not be written") from error
