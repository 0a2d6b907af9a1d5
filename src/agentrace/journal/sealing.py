"""Sealing: from frames in lane files, in any order, to segments, one run each, without holes.

A run's contiguous events go into a segment; the segment is on the disk and named before the first lane file that held
them is removed, so whoever reads meanwhile sees every event at least once. Until the writer is gone a hole is waited
for; then a tombstone fills it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import msgspec

from agentrace.journal.disk import sync_directory, sync_together
from agentrace.journal.frames import (
    CONFLICT,
    DIGEST_SIZE,
    EVENT,
    FINISHED,
    LAST_LOST,
    NO_EVENT,
    PAYLOAD,
    TOMBSTONE,
    TORN_TAIL,
    Bytes,
    Damage,
    Found,
    concerned,
    damaged_body,
    head,
    scan,
)
from agentrace.journal.lanes import LaneFile, Place
from agentrace.journal.losses import DAMAGE, UNWRITTEN, Tombstone
from agentrace.journal.run_directory import take_over
from agentrace.journal.segment import LONGEST_SPAN, Progress, SegmentWriter

WORTHWHILE: Final = 1 << 20
"""A run that goes on is sealed when it has this many bytes to seal ..."""
HELD_AT_MOST: Final = 64 << 20
"""... or when the lane files that wait are larger than this in sum."""
GRACE: Final = 1.0
"""Seconds after the end of a run, from which on a missing event will not come any more."""
BATCH: Final = 32
"""So many segments at most are written before they are waited for together ..."""
FEW: Final = 3
"""... and up to so many each for itself."""
_BREATH: Final = 32

Breathe = Callable[[], None]
"""Called every few frames; may sleep, or raise OutOfTime."""
Piece = tuple[LaneFile, int, int, int]
"""Where an unsealed body stands: file, offset, length; and the last seq it stands for."""


class OutOfTime(Exception):
    """Raised by ``breathe`` to stop at a point from which sealing can go on later."""


class Recovered(msgspec.Struct, frozen=True):
    """One segment that was sealed: of which run, how many events (tombstones included), payloads and lost seqs."""

    run_id: bytes
    number: int
    events: int
    payloads: int
    lost: int
    damage: list[Damage]


Chosen = tuple[int, int, Piece | None]
"""First and last seq, and where its body stands: None for a hole that a tombstone fills."""


class _Backlog:
    """What of one run is in lane files and not yet sealed."""

    __slots__ = ("damage", "events", "finished", "payloads", "progress", "size")

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.events: dict[int, Piece] = {}
        self.payloads: dict[bytes, Piece] = {}
        self.size = 0
        self.finished: float | None = None
        self.damage: list[Damage] = []

    def event(self, first: int, piece: Piece) -> Piece | None:
        """Note an event, unless it is sealed already; one that stands at its seq already is returned."""
        if piece[3] <= self.progress.last:
            return None
        there = self.events.setdefault(first, piece)
        if there is not piece:
            return there
        piece[0].pieces += 1
        self.size += piece[2]
        return None

    def payload(self, digest: bytes, piece: Piece) -> None:
        """Note a payload, unless it is sealed or noted already."""
        if digest not in self.payloads and digest not in self.progress.digests:
            self.payloads[digest] = piece
            piece[0].pieces += 1
            self.size += piece[2]

    def chosen(self, holes_are_final: bool) -> list[Chosen]:
        """What comes next, without holes."""
        chosen: list[Chosen] = []
        expected = self.progress.last + 1
        for first in sorted(self.events):
            piece = self.events[first]
            if first > expected:
                if not holes_are_final:
                    break
                starts = range(expected, first, LONGEST_SPAN)
                chosen += ((start, min(start + LONGEST_SPAN, first) - 1, None) for start in starts)
            if piece[3] >= expected:
                chosen.append((max(first, expected), piece[3], piece))
                expected = piece[3] + 1
        return chosen

    def done(self, progress: Progress, payloads: list[bytes]) -> None:
        """The events up to here are sealed, and these payloads."""
        self.progress = progress
        events = [first for first, piece in self.events.items() if piece[3] <= progress.last]
        for piece in [*map(self.events.pop, events), *map(self.payloads.pop, payloads)]:
            piece[0].pieces -= 1
            self.size -= piece[2]


class _Sealing(NamedTuple):
    """A segment that is written and has no name yet."""

    writer: SegmentWriter
    backlog: _Backlog
    progress: Progress
    payloads: list[bytes]
    told: Recovered


class Sealer:
    """Seals the files of one lane, given to it in order through ``waiting``."""

    def __init__(self, root: Path, tombstone: Tombstone) -> None:
        self.waiting: list[LaneFile] = []
        self._place = Place(root)
        self._tombstone = tombstone
        self._runs: dict[bytes, _Backlog] = {}
        self._held: list[LaneFile] = []
        self._contents: dict[LaneFile, Bytes] = {}
        self._prepared: list[_Sealing] = []
        self._named: list[Path] = []

    def work(self, breathe: Breathe, *, end: str | None = None) -> Iterator[Recovered]:
        """Seal what can be sealed. ``end``: no more will come, and for this reason whatever is missing.

        Raises OSError and OutOfTime; what was not done then is done by the next call.
        """
        while self.waiting or end:
            if self.waiting:
                self._absorb(self.waiting[0], breathe)
                self._held.append(self.waiting.pop(0))
            reason = end if not self.waiting else None
            try:
                for run_id, backlog in list(self._runs.items()):
                    breathe()
                    if reason or self._worthwhile(backlog):
                        self._prepare(run_id, backlog, breathe, reason)
                    if len(self._prepared) >= BATCH:
                        yield from self._publish()
                yield from self._publish()
            finally:
                for sealing in self._prepared:
                    sealing.writer.discard()
                self._prepared.clear()
                self._contents.clear()
            self._release()
            if reason:
                return

    def _worthwhile(self, backlog: _Backlog) -> bool:
        return (
            backlog.finished is not None
            or backlog.size >= WORTHWHILE
            or sum(file.filled for file in self._held) > HELD_AT_MOST
        )

    def _absorb(self, file: LaneFile, breathe: Breathe) -> None:
        """Note where in this file the bodies stand that are not sealed yet. Doing it again changes nothing."""
        damage: list[Damage] = []
        content, runs = self._content(file), self._runs
        here: set[bytes] = set()
        for count, frame in enumerate(scan(content, file.lane, damage, file=file.name, size=file.filled)):
            if count % _BREATH == 0:
                breathe()
            run_id = frame[1]
            if run_id not in here:
                here.add(run_id)
                if run_id not in runs:
                    runs[run_id] = _Backlog(take_over(self._place.segments / run_id.hex(), run_id))
            wrong = self._note(runs[run_id], file, frame)
            if wrong:
                damage.append(damaged_body(file.name, frame[2], frame[3], wrong))
        for spot in damage:
            file.damaged = file.damaged or spot.what != TORN_TAIL
            for run_id in concerned(content, spot, here):
                runs[run_id].damage.append(spot)

    def _note(self, backlog: _Backlog, file: LaneFile, frame: Found) -> str:
        """Note one frame; what is wrong with it, or nothing."""
        kind, _, offset, body = frame
        if kind == PAYLOAD:
            piece = (file, offset + DIGEST_SIZE, len(body) - DIGEST_SIZE, 0)
            backlog.payload(body[:DIGEST_SIZE], piece)
        elif kind == FINISHED:
            backlog.finished = backlog.finished or monotonic()
        elif kind in (EVENT, TOMBSTONE):
            skipped = 0 if kind == EVENT else LAST_LOST.size
            found = head(body[skipped:])
            last = 0 if found is None else found.seq if kind == EVENT else LAST_LOST.unpack_from(body)[0]
            if found is None or not found.seq <= last < found.seq + LONGEST_SPAN:
                return NO_EVENT
            there = backlog.event(found.seq, (file, offset + skipped, len(body) - skipped, last))
            if there is not None and self._body(there) != body[skipped:]:
                return CONFLICT
        return ""

    def _prepare(self, run_id: bytes, backlog: _Backlog, breathe: Breathe, end: str | None) -> None:
        """Write, but do not publish, a segment of what is ready of a run."""
        over = backlog.finished is not None and monotonic() - backlog.finished >= GRACE
        chosen = backlog.chosen(end is not None or over)
        if chosen or backlog.payloads:
            reason = end or UNWRITTEN
            if any(spot.what != TORN_TAIL for spot in backlog.damage):
                reason = DAMAGE
            directory = self._place.segments / run_id.hex()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            writer = SegmentWriter(directory, run_id, backlog.progress)
            try:
                self._prepared.append(self._fill(writer, backlog, chosen, reason, breathe))
            except BaseException:
                writer.discard()
                raise
        elif backlog.finished is not None and not backlog.events:
            del self._runs[run_id]

    def _fill(
        self, writer: SegmentWriter, backlog: _Backlog, chosen: list[Chosen], reason: str, breathe: Breathe
    ) -> _Sealing:
        payloads, lost = list(backlog.payloads), 0
        for count, (first, last, piece) in enumerate(chosen):
            if count % _BREATH == 0:
                breathe()
            if piece is None:
                lost += last - first + 1
                after = next(later for _, _, later in chosen[count + 1 :] if later is not None)
                writer.event(self._tombstone(first, last, reason, self._ts(after)), last)
            else:
                writer.event(self._body(piece), last)
        for digest in payloads:
            breathe()
            writer.payload(digest, self._body(backlog.payloads[digest]))
        damage, run_id = list(backlog.damage), writer.run_id
        progress = writer.finish(damage)
        told = Recovered(run_id, progress.number, len(chosen), len(payloads), lost, damage)
        return _Sealing(writer, backlog, progress, payloads, told)

    def _publish(self) -> Iterator[Recovered]:
        """Wait until the prepared segments are on the disk, and give them their names."""
        if len(self._prepared) <= FEW or not sync_together(self._place.segments):
            for sealing in self._prepared:
                sealing.writer.sync()
        for writer, backlog, progress, payloads, told in self._prepared:
            published = writer.publish()
            writer.discard()
            self._named.append(writer.directory)
            if published:
                backlog.done(progress, payloads)
                backlog.damage = []
                yield told
            else:  # somebody else sealed this run meanwhile, which the rules do not allow
                there = take_over(writer.directory, told.run_id)
                backlog.done(there, [digest for digest in payloads if digest in there.digests])
        for sealing in self._prepared:
            if sealing.backlog.finished is not None and not sealing.backlog.events:
                self._runs.pop(sealing.told.run_id, None)
        self._prepared.clear()

    def _body(self, piece: Piece) -> bytes:
        file, offset, length, _ = piece
        return self._content(file)[offset : offset + length]

    def _ts(self, piece: Piece) -> int:
        """When the first event after a hole happened: the best that is known of the hole."""
        found = head(self._body(piece))
        return found.ts if found else 0

    def _content(self, file: LaneFile) -> Bytes:
        content = self._contents.get(file)
        if content is None:
            content = self._contents[file] = file.content()
        return content

    def _release(self) -> None:
        """Remove the files of which everything is sealed; one that held damage is set aside."""
        done = [file for file in self._held if not file.pieces]
        if not done:
            return
        if len(self._named) > FEW and sync_together(self._place.segments):
            self._named.clear()
        for directory in (*self._named, self._place.segments) if self._named else ():
            sync_directory(directory)
        self._named.clear()
        for file in done:
            if file.damaged:
                aside = self._place.damaged / file.lane
                aside.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.replace(file.path, aside / file.path.name)
            else:
                file.path.unlink(missing_ok=True)
            self._held.remove(file)
            file.close()
