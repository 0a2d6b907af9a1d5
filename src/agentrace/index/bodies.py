"""Events as the JSON of their fields, for SQL: what is at its default is left out, what is large is told in short."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple

from agentrace.canonical.outline import Outline
from agentrace.errors import CorruptRecord
from agentrace.events import NO_VALUE, AnyEvent, CallbacksRun, Chunk, Failure, StreamChunks, UnknownEvent

PREVIEW: Final = 200
"""Characters of a value that stand in rows."""
SHORT: Final = "$short"
"""The key under which a value stands that is longer than that: its first characters as JSON text."""
UNREADABLE: Final = "$unreadable"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_HEAD: Final = 3
"""Fields that every event begins with."""
_EMPTY: Final = bytes(NO_VALUE)
_NEVER: Final = object()
_NOT_JSON: Final = re.compile(rb"[\xc4-\xca\xd4-\xd8]|\xcb[\x7f\xff][\xf0-\xff]")
"""Of msgpack: bytes, extensions, short floats, NaN and the infinities. (In texts the same bytes mean other things.)"""


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
        raw = bytes(data)
        if _NOT_JSON.search(raw) is None:
            return Told(_encode(_decode(raw)).decode(), True)
        try:
            found, whole = self._outline.outline(raw)
        except CorruptRecord as error:
            found, whole = {UNREADABLE: error.what}, True
        return Told(json_text(found), whole)

    def body(self, event: AnyEvent | UnknownEvent, inputs: dict[int, Told]) -> Raw | None:
        """The fields of an event; what went into a step is also noted in ``inputs``, since it is needed again."""
        if isinstance(event, UnknownEvent):
            return Raw(_encode({"tag": event.tag, "bytes": len(event.data)}))
        mirror, changes, values, input_at = _plan(type(event))
        fields = list(astuple(event))
        for at, change in changes:
            fields[at] = change(fields[at])
        for at in values:
            data = fields[at]
            if bytes(data) == _EMPTY:
                fields[at] = None
                continue
            told = self.value(data)
            if at == input_at:
                inputs[event.step_id] = told
            fields[at] = _short(told)
        body = _encode(mirror(*fields[_HEAD:]))
        return None if body == b"{}" else Raw(body)


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


_Change = Callable[[Any], Any]
_Changes = tuple[tuple[int, _Change], ...]


@cache
def _plan(kind: type[Struct]) -> tuple[type[Struct], _Changes, tuple[int, ...], int]:
    """How a type of event is told: a struct whose JSON leaves out defaults, what becomes of which fields first, which
    are values of the program, and which of these goes into a step.
    """
    fields = msgspec.structs.fields(kind)[_HEAD:]
    mirrored: list[tuple[str, Any, Any]] = []
    changes: list[tuple[int, _Change]] = []
    values: list[int] = []
    for at, field in enumerate(fields, _HEAD):
        default: Any = _NEVER if field.default is msgspec.NODEFAULT else field.default
        tell = _TELL.get((kind, field.name)) or _TELL.get(field.name)
        if field.type is Raw:
            values.append(at)
            default = None
        elif tell is not None:
            changes.append((at, tell))
            default = None
        elif isinstance(default, str) and default:
            changes.append((at, _same_as(default)))
        if field.default_factory is not msgspec.NODEFAULT:
            mirrored.append((field.name, Any, msgspec.field(default_factory=field.default_factory)))
        else:
            mirrored.append((field.name, Any, default))
    mirror = msgspec.defstruct(kind.__name__, mirrored, omit_defaults=True)
    inputs = [at for at in values if fields[at - _HEAD].name == "input"]
    return mirror, tuple(changes), tuple(values), inputs[0] if inputs else -1


def _same_as(default: str) -> _Change:
    """Texts that are equal to the default are it, so that they are left out."""
    return lambda value: default if value == default else value


def _failure(value: Failure | None) -> Any:
    return None if value is None else {"type": value.type, "message": value.message, "causes": len(value.causes)}


def _part(value: Any) -> Any:
    """A struct inside an event: ids as text, and no values; numbers as they are, and nothing where nothing is told."""
    if not isinstance(value, Struct):
        return value or None
    if value == type(value)():
        return None
    told: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if not isinstance(inner, Raw):
            told[field.name] = inner.hex() if isinstance(inner, bytes) else inner
    return told


def _chunks(value: list[Chunk]) -> Any:
    return {"count": len(value), "bytes": sum(len(bytes(chunk.data)) for chunk in value)}


_TELL: Final[dict[tuple[type, str] | str, _Change]] = {
    "failure": _failure,
    "origin": _part,
    "parent": _part,
    "digest": bytes.hex,
    (StreamChunks, "chunks"): _chunks,
    (CallbacksRun, "callbacks"): len,
}
"""Fields that are told otherwise than they stand, by name, or by type of event and name."""
