"""A recorded exception as an exception again: of its own class if the program has it, else of the nearest builtin."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from agentrace.canonical import loaded_types
from agentrace.errors import ValueUndecodable
from agentrace.events import Failure


def rebuilt(failure: Failure, read: Callable[[Raw], Any]) -> tuple[BaseException, bool]:
    """The exception and whether it is of its own class. Its ``__init__`` is not run."""
    cls, exact = _class_of(failure)
    try:
        args = tuple(read(failure.args))
    except ValueUndecodable:
        args, exact = (failure.message,), False
    error = cls.__new__(cls, *args)
    error.args = args
    try:
        error.__dict__.update(read(failure.fields))
    except ValueUndecodable:
        exact = False
    for note in failure.notes:
        error.add_note(note)
    if failure.causes:
        cause, _ = rebuilt(_chained(failure.causes), read)
        error.__cause__ = cause
    return error, exact


def _chained(causes: list[Failure]) -> Failure:
    first, rest = causes[0], causes[1:]
    return Failure(first.type, first.message, first.bases, first.args, first.fields, first.notes, first.traceback, rest)


def _class_of(failure: Failure) -> tuple[type[BaseException], bool]:
    found = loaded_types(failure.type)
    if found is not None and issubclass(found, BaseException):
        return found, True
    for name in failure.bases:
        module, _, qualname = name.partition(":")
        base: Any = getattr(builtins, qualname, None) if module == "builtins" else None
        if isinstance(base, type) and issubclass(base, BaseException):
            return base, False
    return RuntimeError, False
