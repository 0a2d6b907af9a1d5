"""What is written is what is read: of runs that are alive, dead, closed or recovered, whatever is in them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace import events
from agentrace.journal import Journal, Snapshot, list_runs, recover, verify
from tests.unit.journal_samples import chain_of, digest, event, journal

RUNS = [bytes([number]) * 16 for number in (1, 2, 3)]
FILLER = "the tool said that the answer is forty-two. " * 4000
"""176 kB: a few of them fill a lane file, so that lanes rotate and are sealed in several segments."""


class Written(NamedTuple):
    """One thing that a program does: an event with this text, or a payload, in one of the runs."""

    run: int
    payload: bool
    content: bytes


contents = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.integers(1, len(FILLER)).map(lambda size: FILLER[:size].encode()),
)
programs = st.lists(st.builds(Written, st.integers(0, 2), st.booleans(), contents), max_size=30)
orders = st.sampled_from(["in order", "pairs swapped", "reversed"])


class Expected:
    """What must be read of one run."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.payloads: dict[bytes, bytes] = {}


@contextmanager
def store() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "store"


def expectations(program: list[Written]) -> dict[bytes, Expected]:
    expected: dict[bytes, Expected] = {}
    for run, payload, content in program:
        this = expected.setdefault(RUNS[run], Expected())
        if payload:
            this.payloads[digest(content)] = content
        else:
            this.events.append(event(len(this.events) + 1, content.decode("latin-1")))
    return expected


def arranged(bodies: list[bytes], order: str) -> list[bytes]:
    if order == "reversed":
        return bodies[::-1]
    if order == "pairs swapped":
        return [body for at in range(0, len(bodies), 2) for body in reversed(bodies[at : at + 2])]
    return bodies


def write(made: Journal, program: list[Written], order: str) -> dict[bytes, Expected]:
    """Write the program, the runs interleaved as it says, the events of each run in the given order."""
    expected = expectations(program)
    writers = {run_id: made.writer(run_id) for run_id in expected}
    queues = {run_id: iter(arranged(this.events, order)) for run_id, this in expected.items()}
    for run, payload, content in program:
        writer = writers[RUNS[run]]
        if payload:
            writer.payload(digest(content), content)
        else:
            writer.event(next(queues[RUNS[run]]))
    return expected


def check(root: Path, expected: dict[bytes, Expected], state: str) -> None:
    snapshot = Snapshot(root)
    assert [entry.run_id for entry in snapshot.runs()] == sorted(expected)
    for run_id, this in expected.items():
        record = snapshot.record(run_id)
        assert record.state == state
        assert list(record.events()) == this.events
        assert list(record.events(after=2)) == this.events[2:]
        assert set(record.digests()) == set(this.payloads)
        assert {name: record.payload(name) for name in this.payloads} == this.payloads
        assert record.chain() == chain_of(this.events, run_id)
        assert (record.damage, record.holes, verify(root, run_id)) == ([], [], [])


@settings(max_examples=25, deadline=None)
@given(program=programs, order=orders)
def test_a_run_is_read_while_it_is_written(program: list[Written], order: str) -> None:
    with store() as root:
        made = journal(root)

        expected = write(made, program, order)

        check(root, expected, "live")
        made.close()


@settings(max_examples=25, deadline=None)
@given(program=programs, order=orders, finished=st.booleans())
def test_a_closed_journal_is_sealed(program: list[Written], order: str, finished: bool) -> None:
    with store() as root:
        made = journal(root)

        expected = write(made, program, order)
        if finished:
            for run_id in expected:
                made.writer(run_id).finished()
        made.close()

        check(root, expected, "sealed")
        assert not list((root / "journal").glob("*"))


@settings(max_examples=25, deadline=None)
@given(program=programs, order=orders)
def test_what_a_dead_process_left_is_read_and_recovered(program: list[Written], order: str) -> None:
    with store() as root:
        made = journal(root, seal=False)
        expected = write(made, program, order)

        made.forget()

        check(root, expected, "unsealed")
        sealed = recover(root, tombstone=events.tombstone)
        assert {segment.run_id for segment in sealed} == set(expected)
        assert sum(segment.events for segment in sealed) == sum(len(this.events) for this in expected.values())
        check(root, expected, "sealed")
        assert recover(root, tombstone=events.tombstone) == []
        assert not list((root / "journal").glob("*"))


@settings(max_examples=25, deadline=None)
@given(
    lost=st.sets(st.integers(1, 40), max_size=15),
    total=st.integers(1, 40),
    finished=st.booleans(),
)
def test_holes_are_told_and_then_filled(lost: set[int], total: int, finished: bool) -> None:
    kept = [seq for seq in range(1, total + 1) if seq not in lost]
    holes = _stretches([seq for seq in range(1, max(kept, default=0)) if seq in lost])
    with store() as root:
        made = journal(root, seal=False)
        writer = made.writer(RUNS[0])
        for seq in kept:
            writer.event(event(seq))
        if finished:
            writer.finished()
        made.forget()
        if not kept:
            assert list_runs(root) == []
            return

        record = Snapshot(root).record(RUNS[0])
        assert (list(record.events()), record.holes) == ([event(seq) for seq in kept], holes)

        recover(root, tombstone=events.tombstone)

        expected = {seq: event(seq) for seq in kept} | {
            first: events.tombstone(first, last, "crash", 1_700_000_000_000_000_000 + last + 1) for first, last in holes
        }
        recovered = Snapshot(root).record(RUNS[0])
        assert list(recovered.events()) == [expected[seq] for seq in sorted(expected)]
        assert recovered.chain() == chain_of(list(recovered.events()), RUNS[0])
        assert (recovered.holes, verify(root, RUNS[0])) == ([], [])


def _stretches(seqs: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found
