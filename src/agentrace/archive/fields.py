"""Events field by field: a new event of the same type, with every text and value of it looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

AnyStruct = TypeVar("AnyStruct", bound=Struct)

Field = tuple[str, str]
"""Name of the struct and of its field, such as ``("Failure", "message")``."""


class Looking(Protocol):
    """What is asked about each field."""

    special: Mapping[Field, Callable[[Any], Any]]
    """Fields that are looked at as a whole."""

    def text(self, field: Field, text: str, /) -> str:
        """What stands for a text, also one in a list or dict."""
        ...

    def value(self, field: Field, value: Raw, /) -> Raw:
        """What stands for a canonical value."""
        ...


def looked_at(struct: AnyStruct, looking: Looking) -> AnyStruct:
    """The struct with what ``looking`` puts in the place of its texts and values."""
    kind = type(struct).__name__
    changed: dict[str, Any] = {}
    for name in struct.__struct_fields__:
        field = (kind, name)
        old = getattr(struct, name)
        special = looking.special.get(field)
        new = _inside(field, old, looking) if special is None else special(old)
        if new is not old:
            changed[name] = new
    return msgspec.structs.replace(struct, **changed) if changed else struct


def _inside(field: Field, old: Any, looking: Looking) -> Any:
    if isinstance(old, str):
        return looking.text(field, old) if old else old
    if isinstance(old, Raw):
        return looking.value(field, old)
    if isinstance(old, Struct):
        return looked_at(old, looking)
    if isinstance(old, (list, tuple)):
        return type(old)(_inside(field, item, looking) for item in old)
    if isinstance(old, dict):
        return {_inside(field, key, looking): _inside(field, item, looking) for key, item in old.items()}
    return old
