"""An export without payloads: what happened and when, without what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.msgpack import Ext

from agentrace import events
from agentrace.archive.fields import Field, looked_at
from agentrace.archive.layout import Removed
from agentrace.canonical import tags
from agentrace.errors import CorruptRecord
from agentrace.events import (
    NO_VALUE,
    ArtifactFailed,
    ArtifactStored,
    StepCompleted,
    StepDispatched,
    StreamChunks,
    UnknownEvent,
)
from agentrace.store import Record

TAKEN_OUT: Final = "taken out by `agentrace export --without-payloads`"

_encode = msgspec.msgpack.Encoder().encode
_GONE: Final = Raw(_encode(Ext(tags.OPAQUE, _encode(("", "", TAKEN_OUT)))))
_NO_BYTES: Final = Raw(_encode(b""))
_SAID: Final = frozenset(
    {
        ("Failure", "message"),
        ("Failure", "notes"),
        ("Failure", "traceback"),
        ("Logged", "message"),
        ("Scored", "comment"),
        ("ReplayDiverged", "report"),
        ("ApprovalRequested", "action"),
        ("ApprovalApplied", "reason"),
        ("ArtifactFailed", "name"),
        ("WorkflowStarted", "argv"),
    }
)
"""Texts that may repeat what went in or came out."""


class Emptying:
    """Takes every value out of one run, and the texts that may repeat one."""

    def __init__(self, record: Record) -> None:
        self._run_id = record.run_id
        self._unknown = 0
        self.special: Mapping[Field, Callable[[Any], Any]] = {
            ("ExchangeStarted", "headers"): _none,
            ("ExchangeAnswered", "headers"): _none,
        }

    def event(self, event: bytes) -> bytes:
        """The event without its values."""
        found = events.decode(event)
        match found:
            case UnknownEvent():
                self._unknown += 1
                return events.tombstone(found.seq, found.seq, "export", found.ts)
            case StepDispatched() if _is_value(found.input):
                found = msgspec.structs.replace(found, fidelity=tags.OPAQUE_FIDELITY)
            case StepCompleted() if _is_value(found.output) or found.fidelity == "exchange":
                found = msgspec.structs.replace(found, fidelity=tags.OPAQUE_FIDELITY)
            case StreamChunks() if found.exchange:
                pieces = [msgspec.structs.replace(chunk, data=_NO_BYTES) for chunk in found.chunks]
                return events.encode(msgspec.structs.replace(found, chunks=pieces))
            case ArtifactStored():
                found = ArtifactFailed(found.seq, found.step_id, found.ts, TAKEN_OUT, found.size, found.mime)
            case _:
                pass
        return events.encode(looked_at(found, self))

    def payload(self, digest: bytes) -> bytes:
        """There is none."""
        raise CorruptRecord(f"payload {digest.hex()} of run {self._run_id.hex()} was taken out")

    def removed(self) -> Removed:
        """All values."""
        return Removed(events=self._unknown, payloads=True)

    def text(self, field: Field, text: str) -> str:
        """Texts that tell what kind of thing happened stay."""
        return "" if field in _SAID else text

    def value(self, _: Field, value: Raw) -> Raw:
        """Every value is gone."""
        return _GONE if _is_value(value) else value


def _is_value(value: Raw) -> bool:
    return bytes(value) not in (b"", bytes(NO_VALUE))


def _none(_: Any) -> list[Any]:
    return []
