"""What stands for a recorded object that is called but is no plain function: a partial, a cache, a method, an instance.

A stand-in has the attributes, the class as ``isinstance`` sees it, the equality and the special methods of the object;
only ``type()`` and ``is`` tell them apart. Calls of it are recorded; what the object does by itself is not.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final

from msgspec.structs import replace

from agentrace.capture.arguments import Instance
from agentrace.capture.shapes import recorder, wrap
from agentrace.capture.step import Spec


def stand_in(wrapped: Any, spec: Spec) -> Any:
    """An object that is ``wrapped`` to everybody, and whose calls are recorded as ``spec`` says."""
    made: Any = object.__new__(_class_like(type(wrapped)))
    called = getattr(type(wrapped), "__call__", None)  # noqa: B004  (what instances have)
    call: Callable[..., Any] | None
    if not callable(wrapped):
        call = None
    elif isinstance(called, FunctionType):
        call = MethodType(functools.wraps(called)(recorder(called, spec, Instance.GIVEN)), wrapped)
    else:
        call = recorder(wrapped, spec)
    _set_wrapped(made, wrapped)
    _set_call(made, call)
    _set_spec(made, spec)
    if type(made).__dictoffset__:
        object.__setattr__(made, "__dict__", wrapped.__dict__)
    return made


class _StandIn:
    __slots__ = ("__weakref__", "_agentrace_call", "_agentrace_spec", "_agentrace_wrapped")

    def __getattribute__(self, name: str) -> Any:
        if name == "__call__":
            call = _call(self)
            return call if type(call) is MethodType else object.__getattribute__(self, name)
        if name in _OWN:
            return object.__getattribute__(self, name)
        return getattr(_wrapped(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_wrapped(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_wrapped(self), name)

    def __copy__(self) -> Any:
        return self._agentrace_like(copy.copy(_wrapped(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._agentrace_like(copy.deepcopy(_wrapped(self), memo))

    def _agentrace_like(self, other: Any) -> Any:
        return self if other is _wrapped(self) else stand_in(other, _spec(self))

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped = _wrapped(self)
        if _found(getattr(wrapped, "__module__", None), getattr(wrapped, "__qualname__", None)) is self:
            reduced = wrapped.__reduce_ex__(protocol)
            if isinstance(reduced, str):  # found by its name, as without us
                return reduced
        return stand_in, (wrapped, _spec(self))


_wrapped: Final[Callable[[Any], Any]] = _StandIn.__dict__["_agentrace_wrapped"].__get__
_call: Final[Callable[[Any], Any]] = _StandIn.__dict__["_agentrace_call"].__get__
_spec: Final[Callable[[Any], Any]] = _StandIn.__dict__["_agentrace_spec"].__get__
_set_wrapped: Final[Callable[[Any, Any], None]] = _StandIn.__dict__["_agentrace_wrapped"].__set__
_set_call: Final[Callable[[Any, Any], None]] = _StandIn.__dict__["_agentrace_call"].__set__
_set_spec: Final[Callable[[Any, Any], None]] = _StandIn.__dict__["_agentrace_spec"].__set__

_OWN: Final = frozenset({"__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "_agentrace_like", "__get__"})
"""Attributes that are the stand-in's own."""


def _found(module: Any, qualname: Any) -> Any:
    """What an imported module holds under a name; ``None`` if it has none."""
    if not isinstance(module, str) or not isinstance(qualname, str):
        return None
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


# --- classes ------------------------------------------------------------------------------------------------

_classes: dict[type, type] = {}
_MOST_CLASSES: Final = 1_000
"""Classes that are remembered; a program that makes more has them made anew."""

_NOT_FORWARDED: Final = frozenset(
    f"__{name}__"
    for name in (
        *("new", "init", "del", "getattribute", "getattr", "setattr", "delattr", "class", "dict", "weakref", "slots"),
        *("init_subclass", "subclasshook", "class_getitem", "reduce", "reduce_ex", "getstate", "setstate", "module"),
        *("getnewargs", "getnewargs_ex", "copy", "deepcopy", "call", "get", "doc", "annotations", "qualname", "name"),
        *("hash", "firstlineno", "static_attributes", "match_args", "post_init", "replace", "wrapped"),
    )
)
_OF_THE_CLASS: Final = ("__dataclass_", "__attrs_", "__pydantic_", "__match_args__")
"""How names begin that say of a class what its instances hold."""
_ALWAYS: Final = ("__repr__", "__str__", "__format__", "__dir__", "__sizeof__")
_COMPARED: Final = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")


def _class_like(cls: type) -> type:
    """The class of stand-ins for instances of ``cls``: it has the special methods that ``cls`` has."""
    made = _classes.get(cls)
    if made is None:
        if len(_classes) >= _MOST_CLASSES:
            _classes.clear()
        names = {name for base in cls.__mro__ if base is not object for name in vars(base)}
        special = {n for n in names if n.startswith("__") and n.endswith("__") and n not in _NOT_FORWARDED}
        special = {name for name in special if callable(getattr(cls, name, None))}
        body: dict[str, Any] = {name: _forwarding(name) for name in (*special, *_ALWAYS)}
        body |= {name: _comparing(name) for name in _COMPARED}
        # Who looks without asking (`inspect.getattr_static`, so protocols; `dataclasses`) is to find what is there.
        body |= {name: property(functools.partial(_read, name)) for name in names if not name.startswith("__")}
        body |= {name: getattr(cls, name) for name in names if name.startswith(_OF_THE_CLASS)}
        body |= {"__hash__": None if getattr(cls, "__hash__", None) is None else _hash}
        body["__slots__"] = ("__dict__",) if cls.__dictoffset__ else ()
        if callable(getattr(cls, "__call__", None)):  # noqa: B004  (what instances have)
            body["__call__"] = _calling(cls)
        if "__get__" in names:
            body["__get__"] = _get
        body |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        made = _classes[cls] = type(cls.__name__, (_StandIn,), body)
    return made


def _calling(cls: Any) -> Callable[..., Any]:
    def __call__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _call(self)(*args, **kwargs)

    return functools.wraps(cls.__call__)(__call__)


def _forwarding(name: str) -> Callable[..., Any]:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        wrapped = _wrapped(self)
        result = getattr(wrapped, name)(*args, **kwargs)
        return self if result is wrapped else result

    method.__name__ = name
    return method


def _comparing(name: str) -> Callable[..., Any]:
    def method(self: Any, other: Any, /) -> Any:
        return getattr(_wrapped(self), name)(_wrapped(other) if isinstance(other, _StandIn) else other)

    method.__name__ = name
    return method


def _read(name: str, self: Any) -> Any:
    return getattr(_wrapped(self), name)


def _hash(self: Any) -> int:
    return hash(_wrapped(self))


def _get(self: Any, instance: Any, owner: Any = None) -> Any:
    """What is found in a class or its instance: the stand-in bound as the object would be."""
    wrapped = _wrapped(self)
    bound = wrapped.__get__(instance, owner)
    if bound is wrapped:
        return self
    if type(bound) is MethodType and bound.__func__ is wrapped:
        return MethodType(self, bound.__self__)
    if not callable(bound):
        return bound
    named = replace(_spec(self), name=_spec(self).name or getattr(bound, "__qualname__", ""))
    return wrap(bound, named, Instance.BOUND) if isinstance(bound, FunctionType) else stand_in(bound, named)
