"""How instances of classes are taken apart: dataclass, attrs, msgspec, NamedTuple, pydantic, enum members.

Fields are read from where the library keeps them, and put back the same way, without the class's ``__init__``.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec


class Shape(msgspec.Struct, frozen=True):
    """How one class is taken apart and put together again."""

    kind: str
    """A key of :data:`KINDS`."""
    fields: Callable[[Any], dict[str, Any]]
    """The instance's content by field name."""
    extra: Callable[[Any], Any]
    """What the library keeps beside the fields; ``None`` for nothing."""


def type_name(cls: type) -> str:
    """``module:qualname``: how a trace names a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def shape_of(cls: type) -> Shape | None:
    """How to take instances of ``cls`` apart, or ``None`` if it is no class of a known kind."""
    if issubclass(cls, tuple):
        return _NAMEDTUPLE if _of_class(cls, "_fields") is not None and cls.__mro__[1] is tuple else None
    if issubclass(cls, _BUILTIN_BASES):
        return None
    if issubclass(cls, msgspec.Struct):
        return _STRUCT
    return next((shape for marks, shape in _MARKS if all(_of_class(cls, mark) is not None for mark in marks)), None)


def _of_class(cls: type, name: str) -> Any:
    """An attribute of a class or its bases, without running code of its metaclass; ``None`` if it has none."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


_BUILTIN_BASES: Final = (str, bytes, int, float, list, dict, set, frozenset, bytearray, BaseException, enum.Enum, type)


def _nothing(_: Any) -> None:
    return None


def _slots_and_dict(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    missing = object()
    content = {name: got for name in names if (got := _read(value, name, missing)) is not missing}
    content.update(_read(value, "__dict__", {}))
    content.pop("__orig_class__", None)  # left there by Generic[...](), no part of the value
    return content


def _read(value: Any, name: str, missing: object) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return missing


def _pydantic_extra(value: Any) -> Any:
    private = _read(value, "__pydantic_private__", None)
    return [
        sorted(_read(value, "__pydantic_fields_set__", ())),
        _read(value, "__pydantic_extra__", None),
        None if private is None else {k: v for k, v in private.items() if type(v).__name__ != "PydanticUndefinedType"},
    ]


def _dataclass_fields(value: Any) -> dict[str, Any]:
    import dataclasses  # takes milliseconds, and is there where an instance of one is

    return _slots_and_dict(tuple(field.name for field in dataclasses.fields(type(value))), value)


def _attrs_fields(value: Any) -> dict[str, Any]:
    return _slots_and_dict(tuple(a.name for a in _of_class(type(value), "__attrs_attrs__")), value)


def _struct_fields(value: Any) -> dict[str, Any]:
    return _slots_and_dict(type(value).__struct_fields__, value)


def _namedtuple_fields(value: Any) -> dict[str, Any]:
    return dict(zip(type(value)._fields, value, strict=True))


_DATACLASS = Shape("dataclass", _dataclass_fields, _nothing)
_ATTRS = Shape("attrs", _attrs_fields, _nothing)
_STRUCT = Shape("msgspec", _struct_fields, _nothing)
_NAMEDTUPLE = Shape("namedtuple", _namedtuple_fields, _nothing)
_PYDANTIC = Shape("pydantic", lambda v: dict(v.__dict__), _pydantic_extra)
_MARKS: Final = (
    (("__pydantic_fields_set__", "__pydantic_validator__"), _PYDANTIC),
    (("__dataclass_fields__",), _DATACLASS),
    (("__attrs_attrs__",), _ATTRS),
)
"""By which attributes a class of each kind is known; the first kind that fits is taken."""


def _build_plain(cls: type, fields: dict[str, Any], _: Any) -> Any:
    value: Any = object.__new__(cls)
    for name, content in fields.items():
        object.__setattr__(value, name, content)
    return value


def _build_struct(cls: type, fields: dict[str, Any], _: Any) -> Any:
    # A Struct cannot be made without its constructor; it runs no code but the class's own __post_init__.
    known = set(cls.__struct_fields__)  # type: ignore[attr-defined]
    value = cls(**{name: content for name, content in fields.items() if name in known})
    for name, content in fields.items():
        if name in known:
            msgspec.structs.force_setattr(value, name, content)
        else:
            value.__dict__[name] = content
    return value


def _build_namedtuple(cls: type, fields: dict[str, Any], _: Any) -> Any:
    return tuple.__new__(cls, (fields[name] for name in cls._fields))  # type: ignore[attr-defined]


def _build_pydantic(cls: type, fields: dict[str, Any], extra: Any) -> Any:
    fields_set, extras, private = extra
    value: Any = object.__new__(cls)
    object.__setattr__(value, "__dict__", fields)
    object.__setattr__(value, "__pydantic_fields_set__", set(fields_set))
    object.__setattr__(value, "__pydantic_extra__", extras)
    object.__setattr__(value, "__pydantic_private__", private)
    return value


KINDS: Final[dict[str, Callable[[type, dict[str, Any], Any], Any]]] = {
    "dataclass": _build_plain,
    "attrs": _build_plain,
    "msgspec": _build_struct,
    "namedtuple": _build_namedtuple,
    "pydantic": _build_pydantic,
}
"""How an instance of each kind is put together from its class, fields and extra."""


def described(value: object) -> str:
    """A short text for a value that cannot be encoded, without running code of its class and without addresses."""
    cls = type(value)
    if issubclass(cls, type):
        return f"<class {type_name(cast('type', value))}>"
    if issubclass(cls, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return f"<function {getattr(value, '__module__', '')}:{getattr(value, '__qualname__', '')}>"
    if issubclass(cls, types.ModuleType):
        return f"<module {object.__getattribute__(value, '__dict__').get('__name__', '')}>"
    return f"<{type_name(cls)}>"


def why_opaque(cls: type) -> str:
    """Why an instance of a class that is none of these cannot be encoded."""
    if any(_of_class(cls, name) is not None for name in ("__await__", "add_done_callback")):
        return "no value yet: who has it waits for it, and what comes of that is not recorded here"
    return "no codec for this type"
