"""Events as the JSON of their fields, for SQL: what is at its default is left out, what is large is told in short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from agentrace.canonical.outline import Outline
from agentrace.errors import CorruptRecord
from agentrace.events import NO_VALUE, AnyEvent, CallbacksRun, Chunk, Failure, StreamChunks, UnknownEvent

PREVIEW: Final = 200
"""Characters of a value that stand in rows."""
SHORT: Final = "$short"
"""The key under which a value stands that is longer than that: its first characters as JSON text."""
UNREADABLE: Final = "$unreadable"

_encode = msgspec.json.Encoder().encode
_HEAD: Final = frozenset({"seq", "step_id", "ts"})
_EMPTY: Final = bytes(NO_VALUE)


class Told(Struct, frozen=True):
    """A value of an event, as far as its own bytes tell it."""

    text: str
    """As JSON."""
    whole: bool
    """Whether nothing that it refers to was left out."""


class Teller:
    """Tells the events of one run."""

    def __init__(self) -> None:
        self._outline = Outline()

    def value(self, data: Raw) -> Told:
        """A value as JSON text."""
        try:
            found, whole = self._outline.outline(data)
        except CorruptRecord as error:
            found, whole = {UNREADABLE: error.what}, True
        return Told(json_text(found), whole)

    def body(self, event: AnyEvent | UnknownEvent, inputs: dict[int, Told]) -> Raw | None:
        """The fields of an event; what went into a step is also noted in ``inputs``, since it is needed again."""
        if isinstance(event, UnknownEvent):
            return Raw(_encode({"tag": event.tag, "bytes": len(event.data)}))
        told: dict[str, Any] = {}
        for name, default, tell in _plan(type(event)):
            value = getattr(event, name)
            if value == default:
                continue
            if tell is not None:
                told[name] = tell(value)
            elif isinstance(value, Raw):
                if bytes(value) != _EMPTY:
                    found = self.value(value)
                    if name == "input":
                        inputs[event.step_id] = found
                    told[name] = _short(found)
            else:
                told[name] = value
        return Raw(_encode(told)) if told else None


def json_text(value: Any) -> str:
    """JSON in one line. Halves of characters, which no database takes, become U+FFFD."""
    return _encode(value).decode("utf-8", "replace")


def preview(text: str) -> str:
    """The first characters of a text, with a sign that it goes on."""
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"


def _short(told: Told) -> Any:
    if len(told.text) <= PREVIEW:
        return Raw(told.text.encode())
    return {SHORT: preview(told.text), "characters": len(told.text)}


_Tell = Callable[[Any], Any]
_Planned = tuple[str, Any, _Tell | None]


@cache
def _plan(kind: type[Struct]) -> tuple[_Planned, ...]:
    """The fields of a type of event: name, default, and how it is told where that is not as it stands."""
    planned: list[_Planned] = []
    for field in msgspec.structs.fields(kind):
        if field.name in _HEAD:
            continue
        default: Any = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        elif default is msgspec.NODEFAULT or isinstance(default, Raw):
            default = _NEVER
        planned.append((field.name, default, _TELL.get((kind, field.name)) or _TELL.get(field.name)))
    return tuple(planned)


class _Never:
    """Equal to nothing."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False


_NEVER: Final = _Never()


def _failure(value: Failure | None) -> Any:
    return None if value is None else {"type": value.type, "message": value.message, "causes": len(value.causes)}


def _part(value: Struct) -> Mapping[str, Any]:
    """A struct inside an event: ids as text, and no values."""
    told: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if not isinstance(inner, Raw):
            told[field.name] = inner.hex() if isinstance(inner, bytes) else inner
    return told


def _chunks(value: list[Chunk]) -> Any:
    return {"count": len(value), "bytes": sum(len(bytes(chunk.data)) for chunk in value)}


_TELL: Final[dict[tuple[type, str] | str, _Tell]] = {
    "failure": _failure,
    "origin": _part,
    "parent": lambda value: value if isinstance(value, int) else _part(value),
    "digest": bytes.hex,
    (StreamChunks, "chunks"): _chunks,
    (CallbacksRun, "callbacks"): len,
}
"""Fields that are told otherwise than they stand, by name, or by type of event and name."""
