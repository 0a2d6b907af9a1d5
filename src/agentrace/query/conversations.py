"""Which messages each model step added to the conversations of its run, so that each is told once.

Agents send their whole history again with every call, and send an answer back as an object of the client library, or
as they keep it. So a message is the same one as another if its *marks* are:

- each call of a tool in it by its id, without one by name and arguments; the text in it, without white space around it,
  with its role and, except beside an answer's text, its media;
- the result of a tool by the id of the call, with its text; a system prompt by its text;
- where there is nothing else in it, the reasoning.

Name, citations and reasoning beside an answer make no other message. It is new if one of its marks is. The second of
two equal texts in one request is told too, as the second: "yes" may be said twice in a conversation. What a request
says with a history at the provider (``continues``) is not compared with what others say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from operator import is_not
from typing import Any, Final, TypeAlias

from blake3 import blake3
from msgspec import Struct

from agentrace.fold import StepState
from agentrace.store import MALFORMED, MEANT, Dialogue, Message, RunRecord, dialogue_of

_LINES: Final = 8
_ITEMS: Final = 50_000
"""Items of requests that are kept in mind."""
_SAID_ONCE: Final = frozenset({"system", "developer"})
_ANSWER: Final = "assistant"

_Mark: TypeAlias = tuple[bytes, bool]
"""A digest, and whether the same thing may be said again in one conversation."""
_Told: TypeAlias = tuple[Message, Sequence[_Mark]]


class Placed(Struct, frozen=True):
    """A message of a request."""

    position: int
    """Which of the request's messages it is, from 0."""
    message: Message


class Added(Struct, frozen=True):
    """What one model step added to the conversations of its run."""

    step_id: int
    asked: Sequence[Placed]
    """Messages of its request that no earlier request or answer held, each once."""
    answer: Sequence[Message]
    """Its answer, also where an earlier one was the same: several messages if the model answered several times."""
    length: int
    """How many messages the request has."""
    continues: str
    """What comes before the request is kept by the provider, under this id; empty if nothing is."""
    seen: Sequence[bytes]
    """Marks (16 bytes each) of what was met here first, to be given to a later reader of the same run."""


class Conversations:
    """The messages of one run, told model step by model step in the order of ids.

    What this costs is in proportion to what is new: the part of a history that was read before is known again because
    it is made of the same objects. ``seen`` are the marks that were told before, so that a run that goes on is read on.
    """

    def __init__(self, record: RunRecord, seen: Iterable[bytes] = ()) -> None:
        self._record = record
        self._seen = set(seen)
        self._lines: list[_Line] = []
        self._read: dict[tuple[str, str, int], tuple[Any, Sequence[_Told]]] = {}

    def added(self, step: StepState) -> Added | None:
        """What the next step added; ``None`` if it is none whose messages can be read. Raises ``CorruptRecord``.

        A body that is no such message as its provider documents adds none.
        """
        dialogue = dialogue_of(step.dispatched.integration) if step.kind in MEANT else None
        if dialogue is None:
            return None
        request = self._record.shared.json(step.dispatched.input)
        answer = _answer(dialogue, self._record.responses(step.id))
        line, continues = self._line(step.dispatched.integration, dialogue, request)
        met: dict[bytes, None] = {}
        asked = [*self._new_items(line, dialogue, met)]
        length = line.length
        for message in answer:
            for mark, again in _marks(message, whole=True):
                self._meet(_nth(mark, line.said[mark] + 1 if again else 1, ""), met)
        return Added(step.id, asked, answer, length, continues, list(met))

    def _line(self, name: str, dialogue: Dialogue, request: Any) -> tuple[_Line, str]:
        """The conversation that a request goes on with, back to where they are the same; or a new one."""
        try:
            asked = dialogue.asked(request)
        except MALFORMED:
            return _Line("", (), ""), ""
        items: list[Any] = []
        starts: list[tuple[str, int]] = []
        for role, some in asked.parts:
            starts.append((role, len(items)))
            items += some
        fresh = _Line(name, tuple(starts), asked.continues)
        same = [(_common(line.items, items), line) for line in self._lines if line.is_like(fresh)]
        kept, line = max(same, key=lambda found: found[0], default=(0, fresh))
        if kept * 2 < len(line.items):
            line = fresh
        else:
            line.back_to(kept)
        self._lines = [line, *(other for other in self._lines if other is not line)][:_LINES]
        line.coming = items[len(line.items) :]
        return line, asked.continues

    def _new_items(self, line: _Line, dialogue: Dialogue, met: dict[bytes, None]) -> Iterator[Placed]:
        for item in line.coming:
            told = self._messages(line, dialogue, item)
            first = line.length
            for position, finals in enumerate(line.say(item, [marks for _, marks in told]), first):
                new = [self._meet(final, met) for final in finals]
                if any(new):
                    yield Placed(position, told[position - first][0])
        line.coming = ()

    def _meet(self, mark: bytes, met: dict[bytes, None]) -> bool:
        """Whether it is met for the first time."""
        if mark in self._seen:
            return False
        self._seen.add(mark)
        met[mark] = None
        return True

    def _messages(self, line: _Line, dialogue: Dialogue, item: Any) -> Sequence[_Told]:
        role = line.role(len(line.items))
        key = (line.name, role, id(item))
        known = self._read.get(key)
        if known is not None:  # the item is kept, so that no other has its id
            return known[1]
        try:
            found: Sequence[Message] = dialogue.messages(role, item)
        except MALFORMED:
            found = ()
        if len(self._read) >= _ITEMS:
            self._read.clear()
        told = [(message, _marks(message)) for message in found]
        self._read[key] = (item, told)
        return told


class _Line:
    """One conversation, as the last request that went on with it told it."""

    __slots__ = ("coming", "continues", "items", "length", "lengths", "marks", "name", "said", "starts")

    def __init__(self, name: str, starts: tuple[tuple[str, int], ...], continues: str) -> None:
        self.name = name
        self.starts = starts
        self.continues = continues
        self.items: list[Any] = []
        self.coming: Sequence[Any] = ()
        self.length = 0
        """How many messages the items are."""
        self.lengths: list[int] = []
        self.marks: list[list[bytes]] = []
        self.said: Counter[bytes] = Counter()

    def is_like(self, other: _Line) -> bool:
        return (self.name, self.starts, self.continues) == (other.name, other.starts, other.continues)

    def role(self, place: int) -> str:
        """The role beside the list that an item comes from."""
        return next((role for role, start in reversed(self.starts) if place >= start), "")

    def back_to(self, kept: int) -> None:
        """Forget all items but the first."""
        for marks in self.marks[kept:]:
            self.said.subtract(marks)
        if kept < len(self.items):
            self.length = self.lengths[kept]
        del self.items[kept:], self.lengths[kept:], self.marks[kept:]

    def say(self, item: Any, told: Sequence[Sequence[_Mark]]) -> list[list[bytes]]:
        """Take in an item with its messages; the marks of each of these, by which it is the same in all requests."""
        self.items.append(item)
        self.lengths.append(self.length)
        self.length += len(told)
        repeated = [mark for marks in told for mark, again in marks if again]
        self.marks.append(repeated)
        finals: list[list[bytes]] = []
        for marks in told:
            self.said.update(mark for mark, again in marks if again)
            finals.append(
                [_nth(mark, self.said[mark], self.continues) if again else mark for mark, again in marks],
            )
        return finals


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many first elements are the same objects."""
    return next(compress(count(), map(is_not, one, other)), min(len(one), len(other)))


def _answer(dialogue: Dialogue, responses: Sequence[Any]) -> Sequence[Message]:
    try:
        return dialogue.answer(responses)
    except MALFORMED:
        return ()


def _marks(message: Message, *, whole: bool = False) -> list[_Mark]:
    """What a message is known by; with ``whole`` everything that may come back of it by itself."""
    role, text = message.role, message.text.strip() or message.refusal.strip()
    if message.tool_call_id:
        return [(_digest("result", message.tool_call_id, text, *_seen_in(message)), False)]
    marks = [
        (_digest("call", call.id), False) if call.id else (_digest("call", "", call.name, repr(call.arguments)), True)
        for call in message.tool_calls
    ]
    marks += [(_digest("served", call.id), False) for call in message.served]
    media = () if role == _ANSWER and text else _seen_in(message)
    reasoning = message.reasoning.strip()
    if text or media or not (marks or reasoning):
        marks.append((_digest("text", role, text, *media), role not in _SAID_ONCE))
    if reasoning and (whole or not marks):
        marks.append((_digest("reasoning", reasoning), True))
    return marks


def _seen_in(message: Message) -> Iterator[str] | tuple[str, ...]:
    return tuple(f"{one.kind} {one.mime} {one.size} {one.source}" for one in message.media)


def _nth(mark: bytes, number: int, continues: str) -> bytes:
    """The mark of what is said for the ``number``-th time in a conversation."""
    return mark if number == 1 and not continues else _digest(mark.hex(), str(number), continues)


def _digest(*parts: str) -> bytes:
    hashed = blake3()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.digest(length=16)
