"""Whatever is done to a trace file, what is read of it was written, and what is missing is said to be."""

from __future__ import annotations

import resource
import tempfile
import time
from functools import cache
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentrace.archive.layout import HEADER, MEMBER
from agentrace.errors import TraceFileError
from tests.unit.trace_files import Content, content, file_of, shop, taken
from tests.unit.travel_run import travel

MOST_SECONDS = 1.0
MOST_BYTES = 200 << 20


@cache
def whole() -> tuple[bytes, Content]:
    """A file of three runs, and what is in it."""
    with tempfile.TemporaryDirectory() as directory:
        path = file_of(Path(directory), travel, shop)
        return path.read_bytes(), content(path)


def read(data: bytes) -> Content | None:
    """What is read of these bytes; ``None`` if they are refused. Neither takes long, nor much memory."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.agentrace"
        path.write_bytes(data)
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            return content(path)
        except TraceFileError:
            return None
        finally:
            assert time.process_time() - started < MOST_SECONDS
            assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < MOST_BYTES
            assert path.read_bytes() == data


def check(data: bytes) -> Content | None:
    """Everything that is read was written; and if it is not all of it, that is said."""
    original, written = whole()
    found = read(data)
    if found is None:
        return None
    complete = found.events == written.events and found.payloads == written.payloads
    for run_id, bodies in found.events.items():
        assert _in_order(bodies, written.events.get(run_id, []))
        for digest, payload in found.payloads[run_id].items():
            assert written.payloads[run_id][digest] == payload
    assert found.honest or (complete and data == original)
    return found


def _in_order(some: list[bytes], of: list[bytes]) -> bool:
    rest = iter(of)
    return all(any(body == one for one in rest) for body in some)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_byte_may_be_another(data: st.DataObject) -> None:
    original, _ = whole()
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(original) - 1))
        changed[at] ^= data.draw(st.integers(1, 255))

    if bytes(changed) != original:
        found = check(bytes(changed))
        assert found is None or found.honest


@settings(max_examples=80, deadline=None)
@given(kept=st.integers(0, 1 << 20))
@example(kept=0)
@example(kept=HEADER.size)
@example(kept=HEADER.size + MEMBER.size)
def test_a_file_may_end_anywhere(kept: int) -> None:
    original, written = whole()
    kept %= len(original)

    found = check(original[:kept])

    if found is not None:
        for run_id, bodies in found.events.items():
            assert bodies == written.events[run_id][: len(bodies)], "what is left is the beginning"


def test_the_more_is_there_the_more_is_read() -> None:
    """Every run that is whole is read, of the one that is cut as many chunks as are whole, with their payloads."""
    original, written = whole()
    total = sum(map(len, written.events.values()))
    counts = []
    for kept in range(HEADER.size, len(original), len(original) // 60):
        found = check(original[:kept])
        counts.append(0 if found is None else sum(map(len, found.events.values())))

    assert counts == sorted(counts)
    assert len(set(counts)) >= 4
    assert 0.9 * total < counts[-1] <= total


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_may_be_moved_repeated_or_left_out(data: st.DataObject) -> None:
    original, _ = whole()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(original)), min_size=2, max_size=4)))
    pieces = [original[a:b] for a, b in zip([0, *cuts], [*cuts, len(original)], strict=True)]
    order = data.draw(st.lists(st.integers(0, len(pieces) - 1), max_size=6))

    changed = b"".join(pieces[index] for index in order)

    if changed != original:
        found = check(changed)
        assert found is None or found.honest


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_members_may_be_swapped_or_doubled(order: list[int]) -> None:
    original, _ = whole()
    parts = taken(original)
    start = len(original) - sum(MEMBER.size + len(one) for one in parts.segments) - MEMBER.size
    members, at = [], start
    for one in parts.segments:
        members.append(original[at : at + MEMBER.size + len(one)])
        at += MEMBER.size + len(one)
    changed = original[:start] + b"".join(members[index] for index in order) + original[at:]

    found = check(changed)

    assert found is None or found.honest or order == [0, 1, 2]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_manifest_may_lie_about_every_length(data: st.DataObject) -> None:
    original, _ = whole()
    parts = taken(original)
    runs = list(parts.manifest.runs)
    index = data.draw(st.integers(0, len(runs) - 1))
    field = data.draw(st.sampled_from(["length", "raw", "events", "last_seq", "payloads", "digest", "chain", "run_id"]))
    old = getattr(runs[index], field)
    if isinstance(old, bytes):
        new: object = data.draw(st.binary(min_size=len(old), max_size=len(old)) | st.binary(max_size=40))
    else:
        new = data.draw(st.integers(0, 1 << 63) | st.integers(-(1 << 63), 0) | st.integers(old - 3, old + 3))
    lying = _lied(parts, index, field, new)

    found = check(lying) if lying != original else None

    assert found is None or found.honest


def _lied(parts: object, index: int, field: str, new: object) -> bytes:
    from msgspec.structs import replace

    from tests.unit.trace_files import Taken, assembled

    assert isinstance(parts, Taken)
    runs = list(parts.manifest.runs)
    runs[index] = replace(runs[index], **{field: new})
    return assembled(replace(parts.manifest, runs=runs), parts.segments)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    original, _ = whole()

    assert read(data) is None
    assert read(original[: HEADER.size] + data) is None
    assert read(original[: HEADER.size + MEMBER.size] + data) is None
