"""Checking a whole record: every digest, the chain, the sequence, and that what events refer to is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from agentrace.errors import CorruptRecord
from agentrace.journal.reading import Record, open_record
from agentrace.journal.segment import UNKNOWN_CHAIN, chain_start, chained

References = Callable[[bytes], Iterable[bytes]]
"""Which payloads an event refers to, by digest."""


class Problem(msgspec.Struct, frozen=True):
    """Something in a record that is not as it was written, or not there."""

    kind: Literal["damage", "hole", "chain", "payload"]
    text: str


def verify(root: Path, run_id: bytes, *, references: References = lambda event: ()) -> list[Problem]:
    """All that is wrong with a run; empty if nothing is. Raises RunNotFound."""
    return problems(open_record(root, run_id), references=references)


def problems(record: Record, *, references: References = lambda event: ()) -> list[Problem]:
    """All that is wrong with a record; empty if nothing is."""
    chain = _chain_problems(record)
    payloads = _payload_problems(record, references)
    damage = [
        Problem("damage", f"{spot.file}: {spot.length} bytes at {spot.offset}: {spot.what}") for spot in record.damage
    ]
    holes = [Problem("hole", f"events {first} to {last} are missing") for first, last in sorted(record.holes)]
    return [*damage, *holes, *chain, *payloads]


def _chain_problems(record: Record) -> list[Problem]:
    """Each segment must begin where the one before ended, and its events must lead from its begin to its end."""
    problems: list[Problem] = []
    expected = chain_start(record.run_id)
    for segment in record.segments:
        before, after = segment.footer.chain_before, segment.footer.chain_after
        if after == UNKNOWN_CHAIN:
            before = expected
        if before != expected:
            problems.append(Problem("chain", f"{segment.name} does not continue what is before it"))
        chain = before
        try:
            for chunk in segment.event_chunks():
                for _, _, event in segment.events(chunk):
                    chain = chained(chain, event)
        except CorruptRecord as failure:
            problems.append(Problem("chain", f"the chain of {segment.name} cannot be checked: {failure.what}"))
        else:
            if after not in (UNKNOWN_CHAIN, chain):
                problems.append(Problem("chain", f"{segment.name} holds other events than those that were sealed"))
        expected = chain if after == UNKNOWN_CHAIN else after
    return problems


def _payload_problems(record: Record, references: References) -> list[Problem]:
    there = set(record.digests())
    problems: list[Problem] = []
    for digest in sorted(there):
        try:
            record.payload(digest)
        except CorruptRecord as failure:
            problems.append(Problem("payload", failure.what))
    missing = {digest for event in record.events() for digest in references(event)} - there
    return problems + [Problem("payload", f"payload {digest.hex()} is missing") for digest in sorted(missing)]
