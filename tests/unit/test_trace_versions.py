"""A trace says in which version of the format it was written: 1.x is read, also what a later 1.x added; 2.0 is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace import events
from agentrace.errors import CorruptRecord
from agentrace.journal import Journal
from agentrace.query import Runs

RUN_ID = bytes.fromhex("0192f0c1a2b37000800000000000002a")


def store_of(home: Path, version: str) -> Path:
    """A store with one run of that version, which ends with an event that nobody knows."""
    store = home / "store"
    journal = Journal(store, tombstone=events.tombstone, on_failure=lambda error, count: pytest.fail(str(error)))
    writer = journal.writer(RUN_ID)
    writer.event(events.encode(events.WorkflowStarted(1, 0, 1, format=version, name="later")))
    writer.event(events.encode_fields((200, 2, 0, 2, "something new")))
    journal.close(timeout=30)
    return store


@pytest.mark.parametrize("version", ["0.1", "1.0", "1.7"])
def test_what_a_later_version_added_is_kept(version: str, tmp_path: Path) -> None:
    record = Runs(store_of(tmp_path, version)).record(RUN_ID)
    assert record.trace.run.name == "later"
    assert isinstance(record.events[-1], events.UnknownEvent)


@pytest.mark.parametrize("version", ["0.2", "2.0", "10.0", ""])
def test_another_format_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptRecord, match="newer agentrace") as raised:
        _ = Runs(store_of(tmp_path, version)).record(RUN_ID).trace
    assert raised.value.slug == "trace-version"
