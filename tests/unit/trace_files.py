"""Trace files for tests: made of runs whose ids, times and contents are fixed, and everything that can be read of one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

from agentrace import events
from agentrace.archive import Exported, TraceFile, export
from agentrace.archive.changing import Changing, Unchanged
from agentrace.archive.layout import (
    END,
    FORMAT,
    HEADER,
    MAGIC,
    MANIFEST,
    MEMBER,
    RUN,
    Manifest,
    Removed,
    RunMember,
    end_mark,
    member_head,
)
from agentrace.canonical.coded import coded
from agentrace.errors import AgentraceError, CorruptRecord
from agentrace.journal.segment import chain_start
from agentrace.query import Runs, input_of, output_of
from tests.unit.recorded_runs import Process, Writing
from tests.unit.travel_run import travel

Write = Callable[[Process], Writing]


def store_of(root: Path, *writes: Write) -> Runs:
    """A store with these runs."""
    process = Process(root)
    for write in writes:
        write(process)
    process.close()
    return Runs(root)


def shop(process: Process) -> Writing:
    """Three tools that are called with the same arguments and return something else each time, large enough for
    several chunks."""
    run = process.run("shop", number=500)
    for index in range(40):
        step = run.step("tool", "next_order", index, {"queue": "main"}, ordinal=index)
        run.done(step, index + 0.5, {"order": index, "note": f"order {index}: " + "leave it at the door. " * 40})
    run.end(100)
    return run


def kept(process: Process) -> Writing:
    """What 1.1 added: arguments that do not count, outputs and elements that a codec gave, and context managers."""
    run = process.run("kept", number=700)
    drawn = coded("picture/1", run.encoder.encode(b"red " * 300)[0])
    tool = run.step("tool", "draw", 1, {"what": "a cat", "request_id": "r1"}, ignored=["request_id", "*args"])
    run.done(tool, 2, output=drawn, codec="picture/1")
    film = run.step("tool", "film", 3)
    run.event(events.StreamChunks, film, 4, 0, 0, [events.Chunk(0, "yield", drawn)])
    run.done(film, 5, outcome="exhausted", chunks=1)
    opened = run.step("tool", "opened", 6)
    run.yielded(opened, 7, 0, "it is open")
    run.done(opened, 8, outcome="exhausted", chunks=1, shape="contextmanager")
    run.end(9)
    return run


def file_of(root: Path, *writes: Write, changing: Changing = Unchanged) -> Path:
    """A trace file with all runs of a store that is made for it."""
    runs = store_of(root / "store", *(writes or (travel, shop)))
    path = root / "made.agentrace"
    export(runs, runs.ids, path, changing)
    return path


def exported(runs: Runs, path: Path, changing: Changing = Unchanged) -> Exported:
    """All runs of a store in a file."""
    return export(runs, runs.ids, path, changing)


class Content(Struct):
    """What a reader got of a file."""

    events: dict[bytes, list[bytes]]
    payloads: dict[bytes, dict[bytes, bytes]]
    honest: bool
    """Whether something is said to be wrong with it."""


def content(path: Path) -> Content:
    """Everything in a file, read in every way there is. Raises ``AgentraceError``."""
    file = TraceFile(path)
    runs = Runs(file)
    found = Content({}, {}, bool(file.notices))
    for run_id in runs.ids:
        _use(runs, run_id)
        try:
            record = file.source(run_id)
            found.events[run_id] = list(record.events())
        except CorruptRecord:
            found.honest = True
            continue
        payloads: dict[bytes, bytes] = {}
        for digest in record.digests():
            try:
                payloads[digest] = record.payload(digest)
            except CorruptRecord:
                found.honest = True
        found.payloads[run_id] = payloads
        found.honest = found.honest or bool(record.damage or record.holes or file.problems(run_id))
    return found


def _use(runs: Runs, run_id: bytes) -> None:
    """What `ls`, `show` and a replay ask for."""
    with suppress(AgentraceError):
        runs.summary(run_id)
        assert runs.tree(run_id).run.id == run_id
        record = runs.record(run_id)
        for step in record.trace.steps.values():
            input_of(record, step)
            output_of(record, step)


class Taken(Struct):
    """A file in its parts, to be put together otherwise."""

    manifest: Manifest
    segments: list[bytes]

    def together(self, version: int = FORMAT, **manifest: object) -> bytes:
        """The file of these parts, every digest and length right, with these fields of the manifest."""
        runs = [
            replace(run, length=len(segment), digest=blake3(segment).digest())
            for run, segment in zip(self.manifest.runs, self.segments, strict=True)
        ]
        return assembled(replace(self.manifest, **{"runs": runs, **manifest}), self.segments, version)


def taken(data: bytes) -> Taken:
    """The parts of a whole file."""
    at = HEADER.size
    _, _, length, _ = MEMBER.unpack_from(data, at)
    manifest = msgspec.msgpack.decode(data[at + MEMBER.size : at + MEMBER.size + length], type=Manifest)
    at += MEMBER.size + length
    segments = []
    for run in manifest.runs:
        segments.append(data[at + MEMBER.size : at + MEMBER.size + run.length])
        at += MEMBER.size + run.length
    assert at + END.size == len(data)
    return Taken(manifest, segments)


def assembled(manifest: Manifest, segments: list[bytes], version: int = FORMAT) -> bytes:
    """A file of any manifest and any members."""
    return sealed(msgspec.msgpack.encode(manifest), segments, version)


def sealed(manifest: bytes, segments: list[bytes], version: int = FORMAT) -> bytes:
    """The same, of the bytes of a manifest."""
    digest = blake3(manifest).digest()
    members = b"".join(member_head(RUN, len(one), blake3(one).digest()) + one for one in segments)
    head = HEADER.pack(MAGIC, version) + member_head(MANIFEST, len(manifest), digest) + manifest
    return head + members + end_mark(len(head) + len(members) + END.size, digest)


def member(run_id: bytes, segment: bytes, *, events: int, raw: int, last: int) -> RunMember:
    """What a manifest says of a segment."""
    digest, chain = blake3(segment).digest(), chain_start(run_id)
    return RunMember(run_id, len(segment), digest, raw, events, last, 0, chain)


def stranger(run_id: bytes, segment: bytes, *, events: int, raw: int, last: int) -> bytes:
    """A file with one segment, made by a stranger."""
    runs = [member(run_id, segment, events=events, raw=raw, last=last)]
    return assembled(Manifest(FORMAT, "0.1", "canonical/1", ["stored", "zstd"], Removed(), runs), [segment])
