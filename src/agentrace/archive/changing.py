"""What an export may change of a record: the seam between writing a file and taking something out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from agentrace.archive.layout import Removed
from agentrace.store import Record


class Change(Protocol):
    """Changes the events and payloads of one run. Events are given in their order, each once."""

    def event(self, event: bytes) -> bytes:
        """The event as it goes into the file."""
        ...

    def payload(self, digest: bytes) -> bytes:
        """What a changed event refers to; raises ``CorruptRecord``. Asked for before the next event is given."""
        ...

    def removed(self) -> Removed:
        """What was taken out so far."""
        ...


Changing: TypeAlias = Callable[[Record], Change]
"""Makes the change of one run."""


class Unchanged:
    """Takes nothing out."""

    def __init__(self, record: Record) -> None:
        self.payload = record.payload

    def event(self, event: bytes) -> bytes:
        """The same event."""
        return event

    def removed(self) -> Removed:
        """Nothing."""
        return Removed()


def together(all_removed: list[Removed]) -> Removed:
    """What was taken out of several runs."""
    secrets: dict[str, int] = {}
    for removed in all_removed:
        for kind, count in removed.secrets.items():
            secrets[kind] = secrets.get(kind, 0) + count
    return Removed(
        next((removed.redaction for removed in all_removed if removed.redaction), ""),
        dict(sorted(secrets.items())),
        sum(removed.events for removed in all_removed),
        any(removed.payloads for removed in all_removed),
    )
