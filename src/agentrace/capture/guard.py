"""The one place where a fault of agentrace itself is caught, counted and told, so that it is never the user's.

Everything that capture does inside a user's call runs under :func:`guarded` or one of the explicit ``except`` clauses
that call :func:`fault`. Refusals (:class:`~agentrace.errors.RecordingFailed`, a divergence of a replay) are not faults:
they pass. Under our own tests faults are raised again (``AGENTRACE_DEBUG=1``).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from agentrace.errors import RecordingFailed

P = ParamSpec("P")
T = TypeVar("T")

_count = 0
_last = ""
_counter = itertools.count(1)


class RunOver(Exception):
    """A run ended while another thread was about to write to it: no fault, and of no concern to anybody."""


def faults() -> int:
    """How many faults were caught in this process."""
    return _count


def last_fault() -> str:
    """Traceback of the latest fault, empty if there was none."""
    return _last


def fault(error: BaseException) -> None:
    """Count ``error``; say so on stderr the first time; raise it again under our own tests.

    What a signal handler of the program raised while our code ran is the program's, and passes.
    """
    global _count, _last
    if isinstance(error, RecordingFailed) or from_a_signal(error):
        raise error
    if isinstance(error, RunOver):
        return
    _count = next(_counter)  # no lock: a signal may come, or a fork happen, while another thread is here
    first = _count == 1
    _last = "".join(traceback.format_exception(error))
    if os.environ.get("AGENTRACE_DEBUG"):
        raise error
    if first:
        say(
            f"agentrace: a fault of its own was caught, the program is not affected: {type(error).__name__}: {error}\n"
            "  what to do: please report it with the output of `agentrace doctor`; AGENTRACE_DEBUG=1 raises it"
        )


def from_a_signal(error: BaseException) -> bool:
    """Whether a signal handler of the program raised ``error``: a time-out, say, that struck in the middle of ours."""
    frames = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    return any(getattr(_function(handler), "__code__", None) in frames for handler in handlers if callable(handler))


def _function(handler: Any) -> Any:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return getattr(handler, "__func__", handler)


def say(text: str) -> None:
    """One message on stderr; never raises, also when stderr is closed."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def guarded(hook: Callable[P, T]) -> Callable[P, T | None]:
    """``hook`` with its faults caught; it returns ``None`` then."""

    @functools.wraps(hook)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            fault(error)
            return None

    return call


def said_by(function: Callable[[T], object], about: T) -> str:
    """What a function of the program says of something; empty where it raises, which is no fault of anybody's."""
    try:
        return str(function(about))
    except Exception as error:
        if not from_a_signal(error):
            return ""
        raise


def swallow(_: Any) -> None:
    """Take a value and do nothing with it."""
