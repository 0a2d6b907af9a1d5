"""The text of what goes into the steps of a run, each part of it once: what a search over texts is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from agentrace.fold import StepState
from agentrace.store import NewReader, RunRecord

_encode = msgspec.json.encode


class NewText(Struct, frozen=True):
    """What the input of one step holds that no earlier one of its run held."""

    step_id: int
    text: str
    """JSON; empty if there is nothing new in it."""
    seen: Sequence[bytes]
    """Marks (16 bytes each) of what was met here first, to be given to a later reader of the same run."""


class InputTexts:
    """The texts of the inputs of one run, step by step in the order of ids.

    Every text that is in an input is in what is told of that step or of an earlier one; text that comes again is left
    out from a certain size on. What this costs is in proportion to what is new. ``seen`` are the marks that were told
    before, so that a run that goes on is read on.
    """

    def __init__(self, record: RunRecord, seen: Iterable[bytes] = ()) -> None:
        self._reader: NewReader = record.new_values(seen)

    def new(self, step: StepState) -> NewText:
        """What the input of the next step adds. Raises ``CorruptRecord``, and has then met nothing."""
        told, seen = self._reader.new(step.dispatched.input)
        return NewText(step.id, "" if told in (None, {}, []) else _encode(told).decode(), seen)
