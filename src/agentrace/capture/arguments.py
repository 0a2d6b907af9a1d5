"""The arguments of a call as they are told: by parameter, and which of them make it another call."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, Final

from agentrace.errors import ConfigError

REST: Final = "*args"
"""The name under which positional arguments beyond the named parameters are told."""


class Instance(enum.Enum):
    """Where the first parameter of what is called is an instance, which is not told."""

    BY_NAME = enum.auto()
    """If it is called ``self`` or ``cls``, and stands in a class."""
    GIVEN = enum.auto()
    """It is, whatever it is called."""
    BOUND = enum.auto()
    """It is, by its name, and the one who calls does not give it."""


def arguments(
    function: Callable[..., Any], instance: Instance = Instance.BY_NAME
) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Any]:
    """How the arguments of a call of ``function`` are told: ``{parameter: value}``, without ``self``.

    Calls whose arguments do not fit the signature are told as ``{"args": [...], "kwargs": {...}}``.
    """
    names, skip = _parameters(function, instance)
    if names is None:
        return lambda args, kwargs: {"args": list(args), "kwargs": dict(kwargs)} if args else dict(kwargs)
    count = len(names)
    only = names[0] if count == 1 and not skip else None

    def told(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if only is not None and not kwargs and len(args) == 1:
            return {only: args[0]}
        if not kwargs and len(args) - skip <= count:
            return dict(zip(names, args[skip:] if skip else args, strict=False))
        given = dict(zip(names, args[skip:], strict=False))
        if len(args) - skip > count:
            given[REST] = list(args[skip + count :])
        if given.keys() & kwargs.keys():
            return {"args": list(args[skip:]), "kwargs": dict(kwargs)}
        given.update(kwargs)
        return given

    return told


def _parameters(function: Callable[..., Any], instance: Instance) -> tuple[tuple[str, ...] | None, int]:
    """Names of the positional parameters, and how many of them (``self``, ``cls``) are not told."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None, 0
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    in_class = "." in getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
    binds = isinstance(function, FunctionType) or _is_bound_like_one(function)
    is_named = in_class and names[:1] in (("self",), ("cls",)) and binds
    first = 1 if instance is Instance.GIVEN or is_named else 0
    return names[first:], 0 if instance is Instance.BOUND else first


def _is_bound_like_one(function: Callable[..., Any]) -> bool:
    """Whether it is given the instance when it is found in a class, as a cached function is."""
    return hasattr(type(function), "__get__") and not hasattr(function, "__self__")


def ignorable(function: Callable[..., Any], names: Iterable[str]) -> tuple[str, ...]:
    """The parameters of ``function`` that its decorator ignores, as they are told.

    Raises ConfigError for a name that is none, unless the function takes any.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"ignore={names!r} is no list of names", do='write ignore=["request_id"]', slug="ignore")
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return tuple(names)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    told = {name: REST if p.kind is p.VAR_POSITIONAL else name for name, p in parameters.items()}
    for name in names:
        if name not in told and not takes_any:
            known = ", ".join(name for name in parameters if name not in ("self", "cls")) or "none"
            raise ConfigError(
                f"ignore names {name!r}, which is no parameter of {getattr(function, '__qualname__', function)}",
                do=f"its parameters are: {known}",
                slug="ignore",
            )
    return tuple(told.get(name, name) for name in names)


def counting(given: Any, ignored: Iterable[str]) -> Any:
    """The arguments that count, of those that were told."""
    if not isinstance(given, Mapping) or not ignored:
        return given
    left = {name: value for name, value in given.items() if name not in ignored}
    if left.keys() == {"args", "kwargs"} and isinstance(left["kwargs"], Mapping):
        left["kwargs"] = counting(left["kwargs"], ignored)
    return left
