"""What comes into a store while somebody watches: the encoded events of its runs, each told once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.journal.following import LaneWatch
from agentrace.journal.frames import DIGEST_SIZE, EVENT, FINISHED, LAST_LOST, PAYLOAD, TOMBSTONE, head
from agentrace.store.opening import Store

_RECENT: Final = 32 << 20
"""Bytes of payloads that are kept, since an event refers to what was written just before it."""


class Came(NamedTuple):
    """An event that came, with the first and the last seq that it stands for; no event if nothing more will come."""

    run_id: bytes
    lane: str
    first: int
    last: int
    event: bytes


class Incoming:
    """Everything that processes write into one store from the first look on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._watch = LaneWatch(root)
        self._payloads: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def look(self) -> list[Came]:
        """What came since the last look; at the first, all that is in the lanes of living processes."""
        return list(self._events())

    def sealed(self) -> list[bytes]:
        """The runs that were sealed since the last time; at first all that are."""
        return list(self._watch.sealed())

    def is_living(self, lane: str) -> bool:
        """Whether the process of a lane may still write."""
        return self._watch.is_living(lane)

    def payload(self, run_id: bytes, digest: bytes) -> bytes:
        """The data under a digest. Raises ``CorruptRecord`` where it is nowhere."""
        data = self._payloads.get(digest)
        if data is not None:
            return data
        try:
            return Store(self._root).source(run_id).payload(digest)
        except RunNotFound as error:
            raise CorruptRecord(error.what) from error

    def close(self) -> None:
        """Let all files go."""
        self._watch.close()

    def _events(self) -> Iterator[Came]:
        for lane, kind, run_id, body in self._watch.look():
            if kind == PAYLOAD:
                self._remember(body[:DIGEST_SIZE], body[DIGEST_SIZE:])
            elif kind == FINISHED:
                yield Came(run_id, lane, 0, 0, b"")
            elif kind in (EVENT, TOMBSTONE):
                event = body if kind == EVENT else body[LAST_LOST.size :]
                found = head(event)
                if found is not None:
                    last = found.seq if kind == EVENT else LAST_LOST.unpack_from(body)[0]
                    yield Came(run_id, lane, found.seq, last, event)

    def _remember(self, digest: bytes, data: bytes) -> None:
        if digest not in self._payloads:
            self._payloads[digest] = data
            self._size += len(data)
            while self._size > _RECENT and len(self._payloads) > 1:
                self._size -= len(self._payloads.popitem(last=False)[1])
