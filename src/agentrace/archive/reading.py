"""A trace file as a source of runs: opened in place, only ever read, believed in nothing that it cannot show.

A file that is cut off is read as far as it goes, and says so in ``notices``. Whatever else the bytes are, all that can
happen is an ``AgentraceError``: sizes are compared with the file, and with each other, before anything is allocated.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from blake3 import blake3

from agentrace.archive.layout import (
    END,
    HEADER,
    MANIFEST,
    MEMBER,
    RUN,
    Manifest,
    RunMember,
    check_header,
    check_words,
    end_mark,
    member_head,
)
from agentrace.archive.limits import MANIFEST_AT_MOST, plausible, within
from agentrace.errors import CorruptRecord, RunNotFound, TraceFileError
from agentrace.ids import format_run_id
from agentrace.journal import Damage, Problem, Record, RunEntry
from agentrace.journal.disk import read_fully
from agentrace.journal.sealed import Segment, read_segment
from agentrace.journal.segment import UNKNOWN_CHAIN
from agentrace.store import RunRecord, problems

SMALL: Final = 256 << 10
_HASHED_AT_ONCE: Final = 1 << 20

_decode_manifest = msgspec.msgpack.Decoder(Manifest).decode


class _Bytes:
    """The bytes of one file, as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._identity: tuple[int, ...] = ()
        self._content = b""
        self.size = 0
        fd = self._open()
        try:
            self.size = os.fstat(fd).st_size
            self._content = read_fully(fd, self.size) if self.size <= SMALL else b""
        finally:
            os.close(fd)

    def read(self, offset: int, size: int) -> bytes:
        """These bytes, fewer where the file ends. Raises ``TraceFileError``."""
        if self._content:
            return self._content[offset : offset + size]
        # Not kept open: the program that is replayed from it shall find no descriptor that is not its own.
        fd = self._open()
        try:
            return read_fully(fd, size, offset)
        except OSError as failure:
            raise self._unreadable(failure) from failure
        finally:
            os.close(fd)

    def _open(self) -> int:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            found = os.fstat(fd)
        except OSError as failure:
            raise self._unreadable(failure) from failure
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if not stat.S_ISREG(found.st_mode) or self._identity not in ((), identity):
            os.close(fd)
            what = "changed while it was read" if self._identity else "is no file"
            raise TraceFileError(f"{self.name} {what}", do="name a file that `agentrace export` made")
        self._identity = identity
        return fd

    def _unreadable(self, failure: OSError) -> TraceFileError:
        return TraceFileError(
            f"{self.path} cannot be read: {failure.strerror or failure}", do="check its name and that you may read it"
        )


class _Place(NamedTuple):
    """A run in the file: what the manifest says, and where its segment begins."""

    member: RunMember
    start: int


class _NothingKept:
    """A file is only read: what is computed from it is not kept."""

    def get(self, _: str, __: str, ___: int = 0) -> bytes | None:
        """Nothing."""
        return None

    def put(self, _: str, __: str, ___: bytes) -> bool:
        """Nowhere."""
        return False


class TraceFile:
    """The runs of one trace file; a ``query.RunsSource``. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises ``TraceFileError`` where this is no trace file, or one that cannot be read here."""
        self.root = path
        self.derived = _NothingKept()
        self._bytes = _Bytes(path)
        self.manifest, self.digest, end = _manifest(self._bytes)
        self._places: dict[bytes, _Place] = {}
        for member in self.manifest.runs:
            self._places[member.run_id] = _Place(member, end + MEMBER.size)
            end += MEMBER.size + member.length
        self._end = end

    @property
    def notices(self) -> list[str]:
        """What is the matter with the whole file, each as one sentence; empty if nothing is."""
        return self._notices

    @property
    def entries(self) -> list[RunEntry]:
        """The runs of which there is something in the file, the newest last."""
        there = [run_id for run_id, place in self._places.items() if place.start < self._bytes.size]
        return [RunEntry(run_id, "sealed") for run_id in sorted(there)]

    @cached_property
    def _notices(self) -> list[str]:
        there, whole = self._bytes.size, self._end + END.size
        if there < self._end:
            runs = [place for place in self._places.values() if place.start < there]
            partly = sum(place.start + place.member.length > there for place in runs)
            last = ", one of them in part" if partly else ""
            count = f"{len(runs)} of {len(self._places)} run{'' if len(self._places) == 1 else 's'}"
            are = "is" if len(runs) == 1 else "are"
            return [f"{self._bytes.name} is cut off after {there:,} of {whole:,} bytes: {count} {are} there{last}"]
        if self._bytes.read(self._end, END.size) != end_mark(whole, self.digest):
            return [f"the end mark of {self._bytes.name} is not what was written"]
        if there > whole:
            return [f"{self._bytes.name} has {there - whole:,} bytes behind its end"]
        return []

    def record(self, run_id: bytes) -> RunRecord:
        """One run. Raises ``RunNotFound``, ``CorruptRecord`` and ``TraceFileError``."""
        return RunRecord(self.source(run_id))

    def source(self, run_id: bytes) -> Record:
        """The encoded events and payloads of a run. Raises as ``record`` does."""
        place = self._place(run_id)
        damage = list(self._damage(place))
        segments: list[Segment] = []
        try:
            segments.append(self._segment(place))
        except CorruptRecord as failure:
            damage.append(Damage(self._bytes.name, place.start, place.member.length, failure.what))
        record = Record(run_id, "sealed", segments, None)
        for spot in damage:
            record.note(spot)
        last = segments[0].footer.seq_to if segments else 0
        if last < place.member.last_seq:
            record.holes.append((last + 1, place.member.last_seq))
        return record

    def continued(self, run_id: bytes, after: int) -> Record | None:  # noqa: ARG002  (none of its runs goes on)
        """Always ``None``."""
        return None

    def problems(self, run_id: bytes) -> list[Problem]:
        """Everything in a run's record that is not as it was written; empty if it is whole. Raises ``RunNotFound``."""
        record = self.source(run_id)
        found = problems(record)
        member = self._place(run_id).member
        if not found and len(set(record.digests())) != member.payloads:
            found.append(Problem("payload", f"the manifest promises {member.payloads} payloads"))
        return found

    def fingerprint(self, run_id: bytes) -> str:
        """Equal for the same bytes."""
        return self._place(run_id).member.digest.hex()

    def changed_ns(self, run_id: bytes) -> int:  # noqa: ARG002  (a file changes as a whole)
        """Nothing is kept of a file that could be older."""
        return 0

    def size(self) -> int:
        """Bytes of the file."""
        return self._bytes.size

    def segment(self, run_id: bytes) -> Iterator[bytes]:
        """The bytes of a run's segment, some at a time. Raises ``CorruptRecord`` where they are not all there."""
        place = self._place(run_id)
        for at in range(0, place.member.length, _HASHED_AT_ONCE):
            size = min(_HASHED_AT_ONCE, place.member.length - at)
            data = self._bytes.read(place.start + at, size)
            if len(data) != size:
                raise CorruptRecord(f"{self._bytes.name} is cut off")
            yield data

    def _place(self, run_id: bytes) -> _Place:
        place = self._places.get(run_id)
        if place is None or place.start >= self._bytes.size:
            raise RunNotFound(
                f"there is no run {format_run_id(run_id)} in {self._bytes.name}",
                do=f"`agentrace ls {self._bytes.name}` shows those that are there",
            )
        return place

    def _damage(self, place: _Place) -> Iterator[Damage]:
        """Where the bytes of a run are not those that the manifest promises."""
        member, name = place.member, self._bytes.name
        head = self._bytes.read(place.start - MEMBER.size, MEMBER.size)
        if head != member_head(RUN, member.length, member.digest):
            yield Damage(name, place.start - MEMBER.size, MEMBER.size, "the head of a run is not what was written")
        missing = place.start + member.length - self._bytes.size
        if missing > 0:
            yield Damage(name, self._bytes.size, missing, "the file is cut off in this run")
            return
        hashed = blake3()
        for data in self.segment(member.run_id):
            hashed.update(data)
        if hashed.digest() != member.digest:
            yield Damage(name, place.start, member.length, "the bytes of a run are not what was written")

    def _segment(self, place: _Place) -> Segment:
        member = place.member
        size = min(member.length, self._bytes.size - place.start)

        def read(offset: int, length: int) -> bytes:
            return self._bytes.read(place.start + offset, max(0, min(length, size - offset)))

        segment = read_segment(read, size, self._bytes.name, member.run_id)
        footer = segment.footer
        figures = (sum(chunk.raw_size for chunk in footer.chunks), footer.count, footer.seq_to)
        promised = (member.raw, member.events, member.last_seq)
        if any(figure > most for figure, most in zip(figures, promised, strict=True)):
            raise CorruptRecord(f"{self._bytes.name} holds more of a run than its manifest says")
        if not within(self._bytes.size, figures[0], figures[1]):
            raise _damaged(self._bytes.name, "holds more than a file of its size may")
        whole = (*figures, footer.chain_after, 1) == (*promised, member.chain, footer.number)
        if not whole and footer.chain_after != UNKNOWN_CHAIN:
            raise CorruptRecord(f"{self._bytes.name} holds another record of a run than its manifest says")
        return segment


def _manifest(file: _Bytes) -> tuple[Manifest, bytes, int]:
    """The manifest, its digest, and where it ends.

    Raises ``TraceFileError`` unless it is what was written, and can be true.
    """
    check_header(file.read(0, HEADER.size), file.name)
    head = file.read(HEADER.size, MEMBER.size)
    if len(head) < MEMBER.size:
        raise _damaged(file.name, "is cut off before its manifest")
    kind, zero, length, digest = MEMBER.unpack(head)
    if kind != MANIFEST or zero or length > MANIFEST_AT_MOST:
        raise _damaged(file.name, "has no manifest")
    encoded = file.read(HEADER.size + MEMBER.size, length)
    if len(encoded) < length:
        raise _damaged(file.name, "is cut off in its manifest")
    if blake3(encoded).digest() != digest:
        raise _damaged(file.name, "has a damaged manifest")
    try:
        manifest = _decode_manifest(encoded)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as failure:
        raise _damaged(file.name, f"has a manifest that cannot be decoded: {failure}") from failure
    check_words(manifest, file.name)
    end = HEADER.size + MEMBER.size + length
    size = end + sum(MEMBER.size + max(0, run.length) for run in manifest.runs)
    if not _sound(manifest.runs) or not plausible(manifest.runs, size):
        raise _damaged(file.name, "has a manifest that cannot be true")
    return manifest, digest, end


def _sound(runs: list[RunMember]) -> bool:
    """Whether ids, digests and chains have their sizes, and the runs their order."""
    ids = [run.run_id for run in runs]
    sizes = all(len(run.run_id) == 16 and len(run.digest) == len(run.chain) == 32 for run in runs)
    return sizes and all(one < other for one, other in pairwise(ids))


def _damaged(name: str, what: str) -> TraceFileError:
    return TraceFileError(f"{name} {what}", do="get the file again from where it was made", slug="trace-file-damaged")
