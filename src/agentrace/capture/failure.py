"""Exceptions as data: what is told of one without running code of its class beyond ``str()``."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from agentrace.events import Failure

MAX_CAUSES = 16
"""Causes of causes that are told."""
_OURS: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
"""The directory of the package: what its frames do is no part of the program."""
_OUR_NAME: Final = __name__.partition(".")[0]


def describe(error: BaseException, encode: Callable[[Any], tuple[Raw, str]], clean: Callable[[str], str]) -> Failure:
    """``error`` with its cause chain; ``encode`` makes canonical values, ``clean`` redacts text."""
    chain: list[Failure] = []
    seen = {id(error)}
    cause = _cause(error)
    while cause is not None and id(cause) not in seen and len(chain) < MAX_CAUSES:
        seen.add(id(cause))
        chain.append(_one(cause, encode, clean, ""))
        cause = _cause(cause)
    failure = _one(error, encode, clean, clean(_traceback(error)))
    return _with_causes(failure, chain)


def _traceback(error: BaseException) -> str:
    """The traceback as the program would print it if nobody recorded it; ``error`` stays as it is."""
    # Lines of source are looked up when it is formatted: for the frames that are left.
    told = traceback.TracebackException(type(error), error, error.__traceback__, lookup_lines=False, compact=True)
    if str(type(error).__module__).partition(".")[0] != _OUR_NAME:
        _leave_out_ours(told)
    return "".join(told.format(chain=False))


def _leave_out_ours(told: traceback.TracebackException) -> None:
    groups = [told]
    while groups:
        one = groups.pop()
        one.stack = traceback.StackSummary.from_list(
            [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
        )
        groups += one.exceptions or ()


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _one(
    error: BaseException, encode: Callable[[Any], tuple[Raw, str]], clean: Callable[[str], str], text: str
) -> Failure:
    own = object.__getattribute__(error, "__dict__")
    fields = {name: value for name, value in own.items() if not name.startswith("_")}
    notes = own.get("__notes__")
    return Failure(
        type=_name(type(error)),
        message=clean(_text(error)),
        bases=[_name(base) for base in type(error).__mro__[1:] if issubclass(base, BaseException)],
        args=encode(list(error.args))[0],
        fields=encode(fields)[0],
        notes=[clean(_text(note)) for note in notes] if isinstance(notes, (list, tuple)) else [],
        traceback=text,
    )


def _with_causes(failure: Failure, causes: list[Failure]) -> Failure:
    return Failure(
        failure.type,
        failure.message,
        failure.bases,
        failure.args,
        failure.fields,
        failure.notes,
        failure.traceback,
        causes,
    )


def _text(told: object) -> str:
    try:
        return str(told)
    except Exception as broken:  # the class's own __str__ failed: that is the user's, not ours
        return f"<str() of the exception failed: {type(broken).__name__}>"


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
