"""Writing a trace file: each run sealed anew, in one way only, so that the same runs always make the same bytes.

Whatever a store's sealing cut a run into, its events are put into chunks of the same size here, each preceded by the
payloads that its events need and no earlier one did. What no event needs is left out. A file that is cut off can so be
read up to the last whole chunk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import msgspec
from blake3 import blake3

from agentrace import events
from agentrace.archive.changing import Change, Changing, Unchanged, together
from agentrace.archive.layout import (
    CODECS,
    END,
    FORMAT,
    HEADER,
    MAGIC,
    MANIFEST,
    MEMBER,
    RUN,
    VALUES,
    Environment,
    Manifest,
    Removed,
    RunMember,
    end_mark,
    member_head,
)
from agentrace.archive.limits import MANIFEST_AT_MOST, RUNS_AT_MOST, Budget
from agentrace.archive.reading import TraceFile
from agentrace.errors import CorruptRecord, TraceFileError
from agentrace.events import EventsLost, WorkflowDescribed, WorkflowStarted
from agentrace.ids import format_run_id
from agentrace.journal.compression import STORED
from agentrace.journal.frames import head
from agentrace.journal.losses import DAMAGE
from agentrace.journal.segment import (
    ENTRY,
    EVENTS,
    LONGEST_SPAN,
    Footer,
    Progress,
    SegmentBytes,
    chain_start,
    smallest,
)
from agentrace.query import Runs
from agentrace.store import Known, Record, reached

FIRST_EVENTS_RAW: Final = 4 << 10
LAST_EVENTS_RAW: Final = 128 << 10
"""Raw bytes of events at which a chunk ends: the first at 4 KiB, each at as many as are before it, none at more than
128. A file that is cut off then loses little of a short run, and is little larger for a long one."""
_COPIED_AT_ONCE: Final = 1 << 20
_DESCRIBING: Final = (WorkflowStarted.__struct_config__.tag, WorkflowDescribed.__struct_config__.tag)

_TOLD_EVERY: Final = 256

_encode = msgspec.msgpack.Encoder().encode

Watch = Callable[[float], object]
"""Told how much more of one run is done, 0 to 1; for each run that adds up to 1."""


class Exported(msgspec.Struct, frozen=True):
    """A file that was written."""

    path: Path
    size: int
    manifest: Manifest


def with_children(runs: Runs, chosen: Sequence[bytes]) -> list[bytes]:
    """These runs and those of the processes that they started, sorted by id."""
    found: set[bytes] = set()
    waiting = list(chosen)
    while waiting:
        run_id = waiting.pop()
        if run_id not in found:
            found.add(run_id)
            waiting.extend(runs.started_by(run_id))
    return sorted(found)


def unwatched(_: float) -> None:
    """Progress that nobody looks at."""


def export(
    runs: Runs, chosen: Sequence[bytes], path: Path, changing: Changing = Unchanged, watch: Watch = unwatched
) -> Exported:
    """Write the chosen runs, and those they started, into ``path``, which is replaced at once and as a whole.

    Raises ``RunNotFound``, ``CorruptRecord`` where a run cannot be read at all, ``TraceFileError`` where one is still
    going on or the file cannot be written.
    """
    wanted = with_children(runs, chosen)
    if len(wanted) > RUNS_AT_MOST:
        raise TraceFileError(f"a trace file holds at most {RUNS_AT_MOST:,} runs", do="export them in several files")
    try:
        with tempfile.TemporaryFile(dir=path.parent) as segments:
            members, removed, codecs, version = _segments(runs, wanted, segments, changing, watch)
            members, removed = _with_what_was_said(runs, members, removed)
            manifest = Manifest(FORMAT, version, VALUES, sorted(codecs), removed, members)
            segments.seek(0)
            return Exported(path, _write(path, manifest, segments), manifest)
    except OSError as failure:
        raise TraceFileError(
            f"{path} cannot be written: {failure.strerror or failure}", do="name a place with space that you may write"
        ) from failure


def _segments(
    runs: Runs, wanted: Sequence[bytes], sink: IO[bytes], changing: Changing, watch: Watch
) -> tuple[list[RunMember], Removed, set[str], str]:
    before = runs.store.manifest.trace if isinstance(runs.store, TraceFile) else events.FORMAT_VERSION
    budget, codecs, versions = Budget(), set[str](), set[str]()
    members: list[RunMember] = []
    removed: list[Removed] = []
    for run_id in wanted:
        record = runs.store.source(run_id)
        if record.state == "live":
            raise TraceFileError(
                f"run {format_run_id(run_id)} is still going on", do="export it when it is over", slug="run-going-on"
            )
        change = changing(record)
        writing = _Member(record, change, sink, budget)
        member, footer = writing.written(_in_parts(record, watch), changed=changing is not Unchanged)
        versions.add(writing.started.format)
        members.append(member)
        removed.append(change.removed())
        codecs.update(CODECS[chunk.codec] for chunk in footer.chunks)
    return members, together(removed), codecs, max(versions, default="") or before


def _with_what_was_said(runs: Runs, members: list[RunMember], removed: Removed) -> tuple[list[RunMember], Removed]:
    """What the file that these runs come from, if they come from one, said of what was taken out of them."""
    if not isinstance(runs.store, TraceFile):
        return members, removed
    before = runs.store.manifest
    originals = {run.run_id: run.original for run in before.runs}
    told = [msgspec.structs.replace(run, original=originals[run.run_id] or run.original) for run in members]
    return told, together([removed, before.removed])


class _Member:
    """One run on its way into the file."""

    def __init__(self, record: Record, change: Change, sink: IO[bytes], budget: Budget) -> None:
        self._record = record
        self._change = change
        self._budget = budget
        self._sink = sink
        self._hash = blake3()
        self._length = 0
        start = Progress(0, 0, chain_start(record.run_id))
        self._bytes = SegmentBytes(self._write, record.run_id, start, pack=self._pack)
        self._known: Known = set()
        self._kept: set[bytes] = set()
        self._missing: dict[bytes, None] = {}
        self.started = WorkflowStarted(0, 0, 0, format="")
        """As far as it is there."""
        self._described = WorkflowDescribed(0, 0, 0)

    def written(self, whole: Iterator[tuple[int, bytes]], *, changed: bool) -> tuple[RunMember, Footer]:
        """The run as the manifest tells it, once these events of it are written: last seq and bytes of each."""
        pending = before = last_ts = 0
        for last, original in whole:
            event = self._change.event(original)
            self._payloads_of(event)
            pending += ENTRY.size + len(event)
            full = pending >= min(max(before, FIRST_EVENTS_RAW), LAST_EVENTS_RAW)
            if full:
                self._bytes.end_payloads()
            self._bytes.event(event, last)
            if full:
                self._bytes.end_events()
                pending, before = 0, before + pending
            found = head(event)
            last_ts = last_ts if found is None else found.ts
            if found is not None and found.tag in _DESCRIBING:
                self._describe(event)
        self._bytes.end_payloads()
        footer = self._bytes.finish(self._record.damage, last_ts)
        original_chain = _chain(self._record) if changed else b""
        return self._member(footer, original_chain), footer

    def _payloads_of(self, event: bytes) -> None:
        for found in reached(event, self._change.payload, self._known):
            if found.data is None:
                self._missing[found.digest] = None
            elif found.digest not in self._kept:
                self._kept.add(found.digest)
                self._bytes.payload(found.digest, found.data)

    def _describe(self, event: bytes) -> None:
        match events.decode(event):
            case WorkflowStarted() as started:
                self.started = started
            case WorkflowDescribed() as described:
                self._described = described
            case _:
                return

    def _member(self, footer: Footer, original: bytes) -> RunMember:
        started, described = self.started, self._described
        return RunMember(
            run_id=footer.run_id,
            length=self._length,
            digest=self._hash.digest(),
            raw=sum(chunk.raw_size for chunk in footer.chunks),
            events=footer.count,
            last_seq=footer.seq_to,
            payloads=len(self._kept),
            chain=footer.chain_after,
            original=original if original != footer.chain_after else b"",
            parent=started.parent.run_id,
            name=started.name,
            command=started.argv,
            environment=Environment(
                python=started.python,
                platform=started.platform,
                timezone=started.timezone,
                hash_seed=started.hash_seed,
                sdk=started.sdk,
                git_commit=described.git_commit,
                libraries=dict(sorted(described.libraries.items())),
            ),
            redaction=started.redaction,
            missing=list(self._missing),
        )

    def _pack(self, raw: bytes, kind: int, count: int) -> tuple[int, bytes]:
        """As small as a reader, who trusts nobody, will believe."""
        codec, stored = smallest(raw, kind, count)
        events_in_it = count if kind == EVENTS else 0
        if not self._budget.allows(len(stored), len(raw), events_in_it):
            codec, stored = STORED, raw
        self._budget.spend(len(stored), len(raw), events_in_it)
        return codec, stored

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._hash.update(data)
        self._length += len(data)


def _in_parts(record: Record, watch: Watch) -> Iterator[tuple[int, bytes]]:
    """The events of ``_whole``, while how far they are is told."""
    end = record.segments[-1].footer.seq_to if record.segments else 0
    told = 0.0
    for count, (last, event) in enumerate(_whole(record), 1):
        yield last, event
        if count % _TOLD_EVERY == 0 and told < last / max(end, last):
            watch(last / max(end, last) - told)
            told = last / max(end, last)
    watch(1 - told)


def _whole(record: Record) -> Iterator[tuple[int, bytes]]:
    """Last seq and bytes of every event, with tombstones where the record has holes."""
    expected, ts = 1, 0
    for first, last, event in record.spans():
        found = head(event)
        ts = ts if found is None else found.ts
        yield from _tombstones(expected, first - 1, ts)
        yield last, event
        expected = last + 1
    yield from _tombstones(expected, max((end for _, end in record.holes), default=0), ts)


def _tombstones(first: int, last: int, ts: int) -> Iterator[tuple[int, bytes]]:
    for start in range(first, last + 1, LONGEST_SPAN):
        end = min(start + LONGEST_SPAN - 1, last)
        yield end, events.encode(EventsLost(start, events.RUN_STEP, ts, end, DAMAGE))


def _chain(record: Record) -> bytes:
    try:
        return record.chain()
    except CorruptRecord:
        return b""


def _write(path: Path, manifest: Manifest, segments: IO[bytes]) -> int:
    """Write the file beside its place, then put it there; its size. Raises OSError."""
    encoded = _encode(manifest)
    if len(encoded) > MANIFEST_AT_MOST:
        raise TraceFileError(f"the manifest of {path.name} would be too large", do="export the runs in several files")
    digest = blake3(encoded).digest()
    size = HEADER.size + MEMBER.size + len(encoded) + END.size
    size += sum(MEMBER.size + run.length for run in manifest.runs)
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(HEADER.pack(MAGIC, FORMAT) + member_head(MANIFEST, len(encoded), digest) + encoded)
            for run in manifest.runs:
                file.write(member_head(RUN, run.length, run.digest))
                _copy(segments, file, run.length)
            file.write(end_mark(size, digest))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return size


def _copy(source: IO[bytes], to: IO[bytes], length: int) -> None:
    while length:
        data = source.read(min(length, _COPIED_AT_ONCE))
        to.write(data)
        length -= len(data)
