"""Notes and scores that a program attaches to what it is doing: ``agentrace.log`` and ``agentrace.score``.

They belong to the step that the calling code is in, or to its run. A replay runs the program, so it makes them again:
they are no part of what is compared.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, SupportsFloat, TypeAlias, get_args

from agentrace import events
from agentrace.capture import process
from agentrace.capture.guard import fault
from agentrace.capture.recording import RunRecording
from agentrace.errors import ConfigError

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Of: TypeAlias = Literal["step", "run"]

LEVELS: Final = get_args(Level)
_OF: Final = get_args(Of)


def log(message: str, /, level: Level = "info", **fields: Any) -> None:
    """Attach a note to the step that the calling code is in, or to its run where it is in none.

    Args:
        message: the text; secrets are taken out.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        fields: what else belongs to it, kept like arguments of a call: lossless, or said to be lossy.

    Nothing happens where nothing is recorded, but for the check of the arguments: raises ``ConfigError`` for a message
    that is no text and for an unknown level.
    """
    if not isinstance(message, str):
        raise _misused(f"agentrace.log was given a {type(message).__name__} as its message", "give it a text")
    _require("agentrace.log", "level", level, LEVELS)
    _tell("step", events.Logged, message, level, _given(fields), "")


def score(name: str, value: SupportsFloat, *, comment: str = "", source: str = "", of: Of = "step") -> None:
    """Attach a score to the step that the calling code is in, or to its run.

    Args:
        name: what is scored, e.g. ``helpfulness``.
        value: a finite number, on whatever scale; ``True`` is 1.0 and ``False`` 0.0.
        comment: why; secrets are taken out.
        source: who or what gave it, e.g. ``user`` or the name of a judging model.
        of: ``step``, or ``run`` for the whole run that the code is in.

    Nothing happens where nothing is recorded, but for the check of the arguments: raises ``ConfigError`` for a value
    that is no finite number, and for a name, comment or source that is no text.
    """
    for what, text in (("name", name), ("comment", comment), ("source", source)):
        if not isinstance(text, str):
            raise _misused(f"agentrace.score was given a {type(text).__name__} as its {what}", "give it a text")
    if not name:
        raise _misused("agentrace.score was given no name", "name what is scored")
    _require("agentrace.score", "of", of, _OF)
    _tell(of, events.Scored, name, _number(value), comment, source)


def place(of: Of = "step") -> tuple[RunRecording, int] | None:
    """The run that the calling code is in, and its step, 0 for none; ``None`` where nothing is recorded.

    Asking changes nothing: no flow is made, so that what a replay goes by stays what it is.
    """
    recording = process.current
    if recording is None:
        return None
    run, step_id = recording.place()
    return run, events.RUN_STEP if of == "run" else step_id


def _tell(of: Of, kind: type[events.Event], *told: Any) -> None:
    try:
        found = place(of)
        if found is not None:
            found[0].emit(kind, found[1], *(_kept(found[0], part) for part in told))
    except Exception as error:
        fault(error)


class _given(dict[str, Any]):
    """Fields, as opposed to other parts of a note."""


def _kept(run: RunRecording, part: Any) -> Any:
    if isinstance(part, str):
        return run.clean(str.__str__(part))
    if isinstance(part, _given):
        return run.value(dict(part))[0] if part else events.NO_VALUE
    return part


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(type(value), "__float__"):
        raise _misused(f"agentrace.score was given a {type(value).__name__} as its value", "give it a number")
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _misused(f"agentrace.score was given a value that is no number: {error}", "give it a number") from error
    if not math.isfinite(number):
        raise _misused(f"agentrace.score was given {number} as its value", "give it a finite number, or no score")
    return number


def _require(function: str, what: str, given: object, known: tuple[str, ...]) -> None:
    if not isinstance(given, str) or given not in known:
        shown = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
        raise _misused(f"{function} was given {shown} as its {what}", f"take one of {', '.join(known)}")


def _misused(what: str, do: str) -> ConfigError:
    return ConfigError(what, do=do, slug="note")
