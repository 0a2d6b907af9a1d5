"""Records of the standard library's ``logging`` as notes of the step that the logging code is in.

Loggers, handlers, levels, filters and propagation stay as they are: noted is what a logger gives to its handlers,
whichever those are, after they have had it. Loaded only where the setting ``logs`` asks for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from agentrace.capture.carriers import replace
from agentrace.capture.guard import from_a_signal
from agentrace.capture.recording import RunRecording
from agentrace.capture.spoken_notes import tell

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Names of levels, and the numbers from which on a record has them."""
_LINES_BEFORE_CALL: Final = 3
"""In the function that stands before ``callHandlers``."""
_OWN: Final = frozenset({"message", "asctime", "taskName"})
"""What ``logging`` itself adds to a record after it was made, or in later versions of Python."""


def note_records(module: ModuleType, threshold: str) -> None:
    """Note records of this level and above. ``module`` is ``logging``."""
    known = _OWN | module.LogRecord("", 0, "", 0, "", (), None).__dict__.keys()
    least = LEVELS[threshold]
    replace(module.Logger, "callHandlers", functools.partial(_noting, least, known))


def _noting(least: int, known: frozenset[str], original: Callable[..., Any]) -> Callable[..., Any]:
    def callHandlers(self: Any, record: Any) -> Any:
        # Handlers come first: the text that one of them has made of the record need not be made again.
        try:
            return original(self, record)
        finally:
            level = getattr(record, "levelno", None)
            if isinstance(level, int) and level >= least:
                tell(lambda run: _told(run, record, level, known))

    code = getattr(original, "__code__", None)
    if code is not None:
        # What logging prints of a record that cannot be formatted leaves out frames of its own file, as this one is
        # then. In a traceback its line is that of the original's ``def``.
        first = max(1, code.co_firstlineno - _LINES_BEFORE_CALL)
        callHandlers.__code__ = callHandlers.__code__.replace(co_filename=code.co_filename, co_firstlineno=first)
    return callHandlers


def _told(run: RunRecording, record: Any, level: int, known: frozenset[str]) -> tuple[str, str, Any, str]:
    """Message, level, fields and logger."""
    content = record.__dict__
    fields: dict[str, Any] = {"at": f"{content.get('pathname', '?')}:{content.get('lineno', 0)}"}
    name = str(content.get("levelname", ""))
    level_name = next((known_as for known_as, number in reversed(LEVELS.items()) if level >= number), "debug")
    if name.lower() != level_name:
        fields["level"] = name or level
    message = content.get("message")
    if not isinstance(message, str):
        message, failure = _message(record)
        fields |= failure
    error = (content.get("exc_info") or (None, None))[1]
    if isinstance(error, BaseException):
        failed = run.describe_failure(error)
        fields["exception"] = {"type": failed.type, "message": failed.message, "traceback": failed.traceback}
    if content.get("stack_info"):
        fields["stack"] = content["stack_info"]
    extra = {key: value for key, value in content.items() if key not in known}
    return message, level_name, fields | ({"extra": extra} if extra else {}), str(content.get("name", ""))


def _message(record: Any) -> tuple[str, dict[str, Any]]:
    """The text of a record that no handler has made a text of; it runs code of what the record is given."""
    try:
        return str(record.getMessage()), {}
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError) as error:
        if from_a_signal(error):
            raise
        template = record.__dict__.get("msg")
        return template if isinstance(template, str) else f"<{type(template).__qualname__}>", {
            "not_formatted": f"{type(error).__name__}, so this is the template without its arguments"
        }
