"""Reading runs back: from segments, from the lanes of living and dead processes, or from both.

The lanes are read before the segments: what a sealer moves meanwhile is then seen twice rather than not at all, and
twice does no harm, because a seq and a digest say what is the same.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from blake3 import blake3

from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.journal.frames import Damage
from agentrace.journal.lane_glancing import Look, Places, look
from agentrace.journal.lane_reading import Unsealed, unsealed_runs
from agentrace.journal.lanes import Place, lanes
from agentrace.journal.run_directory import segment_paths, shown_name
from agentrace.journal.sealed import Segment, open_segment
from agentrace.journal.segment import UNKNOWN_CHAIN, Chunk, chain_start, chained

State: TypeAlias = Literal["live", "unsealed", "sealed"]
_CACHED_AT_MOST: Final = 32 << 20


class RunEntry(msgspec.Struct, frozen=True):
    """A run that is there. ``state``: "live" (its process may go on), "unsealed" (over, but in a lane), "sealed"."""

    run_id: bytes
    state: State


class Record:
    """One run. ``damage`` and ``holes`` (first and last missing seq) grow when reading meets more.

    The holes of a run whose process died become tombstones when it is recovered. A live run is read up to the
    first seq that is not written yet. A record is for one thread at a time.
    """

    def __init__(
        self, run_id: bytes, state: State, segments: Iterable[Segment], unsealed: Unsealed | None, after: int = 0
    ) -> None:
        """``after``: what is beyond this seq is all that there is."""
        self.run_id = run_id
        self.state: State = state
        self.holes: list[tuple[int, int]] = []
        self.segments = list(segments)
        self._own_damage = list(unsealed.damage) if unsealed else []
        self._payloads = unsealed.payloads if unsealed else {}
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._chunks: list[tuple[Segment, Chunk]] = []
        self._tail: list[tuple[int, int, bytes]] = []
        self._after = after
        self._arrange(unsealed.events if unsealed else {}, after + 1)

    def _arrange(self, events: dict[int, tuple[int, bytes]], expected: int) -> None:
        """Put in order what there is, and see what is missing between."""
        for segment in self.segments:
            for chunk in segment.event_chunks(expected - 1):
                if chunk.first > expected:
                    self.holes.append((expected, chunk.first - 1))
                self._chunks.append((segment, chunk))
                expected = chunk.last + 1
        for first in sorted(events):
            last, event = events[first]
            if last < expected:
                continue
            if first > expected:
                if self.state == "live":
                    return
                self.holes.append((expected, first - 1))
            self._tail.append((max(first, expected), last, event))
            expected = last + 1

    @property
    def last(self) -> int:
        """The last seq up to which it is known."""
        if self._tail:
            return self._tail[-1][1]
        return self._chunks[-1][1].last if self._chunks else self._after

    @property
    def damage(self) -> list[Damage]:
        """What is known to be damaged, here or in the lane that this was sealed from."""
        sealed = (spot for segment in self.segments for spot in segment.damage)
        return list(dict.fromkeys((*self._own_damage, *sealed)))

    def note(self, damage: Damage) -> None:
        """Add what was found damaged outside the segments that could be opened."""
        self._own_damage.append(damage)

    def events(self, after: int = 0) -> Iterator[bytes]:
        """The events with a seq beyond ``after``, in the order of seq. What is damaged is a hole."""
        done = after
        for segment, chunk in self._chunks:
            if chunk.first <= done:
                break
            try:
                yield from segment.bodies(chunk)
            except CorruptRecord:
                break  # told one by one, as far as that goes
            done = chunk.last
        yield from (event for _, _, event in self.spans(done))

    def spans(self, after: int = 0) -> Iterator[tuple[int, int, bytes]]:
        """The same, each with the first and the last seq that it stands for."""
        done = after
        for segment, chunk in self._chunks:
            if chunk.last <= done:
                continue
            try:
                for first, last, event in segment.events(chunk):
                    if last > done:
                        yield max(first, done + 1), last, event
                        done = last
            except CorruptRecord:
                hole = (max(done, chunk.first - 1) + 1, chunk.last)
                if hole not in self.holes:
                    self.holes.append(hole)
        for first, last, event in self._tail:
            if last > done:
                yield max(first, done + 1), last, event
                done = last

    def pick(self, seqs: Sequence[int]) -> Iterator[bytes]:
        """The events with these seqs, given in their order; no more is decompressed than holds them."""
        wanted, at = list(seqs), 0
        for segment, chunk in self._chunks:
            if at == len(wanted):
                return
            if chunk.last < wanted[at]:
                continue
            here = set(wanted[at : bisect_right(wanted, chunk.last, at)])
            at += len(here)
            try:
                yield from (event for first, _, event in segment.events(chunk) if first in here)
            except CorruptRecord:
                continue  # `events` tells the hole
        here = set(wanted[at:])
        yield from (event for first, _, event in self._tail if first in here)

    def payload(self, digest: bytes) -> bytes:
        """The data kept under this digest. Raises CorruptRecord where it is not there or not what was
        written.
        """
        failure = CorruptRecord(f"payload {digest.hex()} is not in the record of run {self.run_id.hex()}")
        data = self._payloads.get(digest)
        if data is not None and blake3(data).digest() == digest:
            return data
        for segment in self.segments:
            try:
                place = segment.find(digest)
                if place is not None:
                    chunk, at, size = place
                    data = self._raw(segment, chunk)[at : at + size]
                    if blake3(data).digest() == digest:
                        return data
                    failure = segment.corrupt(chunk, f"payload {digest.hex()} is not what was written")
            except CorruptRecord as found:
                failure = found
        raise failure

    def digests(self) -> Iterator[bytes]:
        """The digests of all payloads, each once."""
        seen = set(self._payloads)
        yield from self._payloads
        for segment in self.segments:
            for digest in segment.digests():
                if digest not in seen:
                    seen.add(digest)
                    yield digest

    def chain(self) -> bytes:
        """The head of the chain over all events. Raises CorruptRecord where damage makes that impossible."""
        chain = self.segments[-1].footer.chain_after if self.segments else chain_start(self.run_id)
        if chain == UNKNOWN_CHAIN:
            chain = chain_start(self.run_id)
            for event in self.events():
                chain = chained(chain, event)
            if self.holes:
                raise CorruptRecord(f"the chain of run {self.run_id.hex()} is broken by damage")
            return chain
        for _, _, event in self._tail:
            chain = chained(chain, event)
        return chain

    def _raw(self, segment: Segment, chunk: Chunk) -> bytes:
        """The chunk's raw bytes; the last ones are kept, because payloads are asked for in runs of
        neighbours.
        """
        key = (segment.name, chunk.offset)
        raw = self._cache.pop(key, None)
        if raw is None:
            raw = segment.raw(chunk)
        self._cache[key] = raw
        while len(self._cache) > 1 and sum(map(len, self._cache.values())) > _CACHED_AT_MOST:
            self._cache.popitem(last=False)
        return raw


class Snapshot:
    """A store that is read: for many runs, without looking through the lanes again for each."""

    def __init__(self, root: Path, only: bytes | None = None, before: Places | None = None) -> None:
        """``before``: how far a list of runs that was made earlier had come, from where this one is to go on."""
        self._place = Place(root)
        self._only = only
        self._before = before
        self._seen = Look()
        self._unsealed: dict[bytes, Unsealed] | None = None
        self._by_lane: dict[Path, dict[bytes, Unsealed]] = {}

    def runs(self) -> list[RunEntry]:
        """All runs there are now, the newest last (run ids sort by time). No sealed run is opened without need."""
        self._seen = look(self._place.root, self._before)
        sealed = set(sealed_runs(self._place.segments))
        entries = [RunEntry(run_id, "sealed") for run_id in sealed - self._seen.runs.keys()]
        for run_id, run in self._seen.runs.items():
            live = run.living and not run.finished
            if live or run.filled or run_id in sealed:
                up_to = 0 if live else self._sealed_up_to(run_id, run_id in sealed)
                entries.append(RunEntry(run_id, _state(live, run.last, up_to)))
        return sorted(entries, key=lambda entry: entry.run_id)

    @property
    def places(self) -> Places:
        """How far the lanes had come when the runs were listed."""
        return self._seen.places

    def continued(self, run_id: bytes, after: int) -> Record | None:
        """What came of a live run beyond a seq, up to when the runs were listed; ``None`` where that is not known
        without reading all of it.
        """
        news = self._seen.news.get(run_id)
        if news is None or self._sealed_up_to(run_id, sealed=True) > after:
            return None
        record = Record(run_id, "live", (), news, after)
        return record if record.last >= self._seen.runs[run_id].last else None

    def record(self, run_id: bytes, earlier: Path | None = None) -> Record:
        """One run. ``earlier`` has its beginning: another directory of this shape. Raises RunNotFound."""
        known = self._unsealed
        unsealed = self._in_lanes(run_id)
        directory = self._place.segments / run_id.hex()
        if unsealed is None and known is not None and not segment_paths(directory):
            unsealed = self._look(again=True).get(run_id)  # it may have begun since
        segments, unreadable = _segments(directory, run_id)
        if unsealed is None and not segments and not unreadable:
            raise RunNotFound(
                f"there is no run {run_id.hex()} in {self._place.root}", do="`agentrace ls` shows those that are there"
            )
        if earlier is not None:
            beginning, spoilt = _segments(Place(earlier).segments / run_id.hex(), run_id, os.fspath)
            segments, unreadable = [*beginning, *segments], [*spoilt, *unreadable]
        up_to = segments[-1].footer.seq_to if segments else 0
        state: State = "sealed" if unsealed is None else _state(unsealed.live, unsealed.last, up_to)
        record = Record(run_id, state, segments, unsealed)
        for damage in unreadable:
            record.note(damage)
        return record

    def _in_lanes(self, run_id: bytes) -> Unsealed | None:
        """What the lanes hold of a run; looked at before the segments are."""
        seen = self._seen.runs.get(run_id) if self._unsealed is None else None
        if seen is not None and seen.lane is not None:
            if seen.lane not in self._by_lane:
                self._by_lane[seen.lane] = unsealed_runs([seen.lane])
            found = self._by_lane[seen.lane].get(run_id)
            if found is not None:
                return found
        return self._look(again=False).get(run_id)

    def _look(self, *, again: bool) -> dict[bytes, Unsealed]:
        """What all lanes hold."""
        if again or self._unsealed is None:
            self._unsealed = unsealed_runs(lanes(self._place.root), self._only)
        return self._unsealed

    def _sealed_up_to(self, run_id: bytes, sealed: bool) -> int:
        """The last sealed seq of a run, by its newest readable segment; 0 if there is none."""
        for path in reversed(segment_paths(self._place.segments / run_id.hex()) if sealed else []):
            try:
                return open_segment(path, shown_name(path), run_id).footer.seq_to
            except (CorruptRecord, FileNotFoundError):
                continue
        return 0


def _state(live: bool, last: int, sealed_up_to: int) -> State:
    """The state of a run that has something in a lane: up to this seq, and is sealed up to that."""
    if live:
        return "live"
    return "unsealed" if last > sealed_up_to or not sealed_up_to else "sealed"


def _segments(
    directory: Path, run_id: bytes, named: Callable[[Path], str] = shown_name
) -> tuple[list[Segment], list[Damage]]:
    """The segments of a run, and those that cannot be read at all; none if it is removed in this moment."""
    segments: list[Segment] = []
    unreadable: list[Damage] = []
    for path in segment_paths(directory):
        name = named(path)
        try:
            try:
                segments.append(open_segment(path, name, run_id))
            except CorruptRecord as failure:
                unreadable.append(Damage(name, 0, os.stat(path).st_size, failure.what))
        except FileNotFoundError:
            if not directory.exists():
                return [], []  # a run is removed as a whole, and so not to be read in part
    return segments, unreadable


def sealed_runs(segments: Path) -> Iterator[bytes]:
    """The runs that have a directory of segments."""
    try:
        names = os.listdir(segments)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if len(name) == 32:
            try:
                yield bytes.fromhex(name)
            except ValueError:
                continue


def list_runs(root: Path) -> list[RunEntry]:
    """The runs of a store, the newest last. No event is decoded, no sealed run opened."""
    return Snapshot(root).runs()


def open_record(root: Path, run_id: bytes) -> Record:
    """One run, sealed or not. Raises RunNotFound. For many, make one Snapshot and ask it."""
    return Snapshot(root, only=run_id).record(run_id)


def open_sealed(root: Path, run_id: bytes) -> Record:
    """One run as far as it is sealed, without a look at the lanes. Raises RunNotFound."""
    segments, unreadable = _segments(Place(root).segments / run_id.hex(), run_id)
    if not segments and not unreadable:
        raise RunNotFound(f"nothing is sealed of run {run_id.hex()} in {root}")
    return Record(run_id, "sealed", segments, None)
