"""Values that the next run would not see again: the time, a UUID, a random number, a variable, a line of input.

Asked for through these functions they are recorded, in the flow that asks, and a replay answers them. Without a
recording each is the function of the standard library that it is named after.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, overload

from agentrace import events
from agentrace.capture import process
from agentrace.capture.guard import fault
from agentrace.errors import ValueUndecodable

if TYPE_CHECKING:
    from uuid import UUID

    from agentrace.capture.scope import Flow


def now(tz: tzinfo | None = UTC) -> datetime:
    """The time, in ``tz``; with ``None`` the local time without a zone, as ``datetime.now()`` gives it."""
    found: datetime = recorded_value("now", "" if tz is None else str(tz), lambda: datetime.now(tz))
    return found


def uuid4() -> UUID:
    """A random UUID."""
    import uuid

    found: UUID = recorded_value("uuid4", "", uuid.uuid4)
    return found


def random() -> float:
    """A random number from 0 up to, but not, 1; drawn from the generator of the module ``random``."""
    import random as generator

    drawn = generator.random()  # also on a replay: the generator goes on as it did
    found: float = recorded_value("random", "", lambda: drawn)
    return found


@overload
def getenv(name: str) -> str | None: ...


@overload
def getenv(name: str, default: str) -> str: ...


def getenv(name: str, default: str | None = None) -> str | None:
    """The environment variable ``name``, or ``default``. Its value is recorded, without what looks like a secret."""
    found: str | None = recorded_value("getenv", name, lambda: os.environ.get(name, default))
    return found


def input(prompt: str = "") -> str:  # noqa: A001
    """A line of standard input, without its end. On a replay nobody is asked. Raises ``EOFError`` at the end."""
    found: str = recorded_value("input", prompt, lambda: builtins.input(prompt))
    return found


def recorded_value(source: str, label: str, make: Callable[[], Any]) -> Any:
    """What ``make`` gives, recorded as ``source`` of ``label``; on a replay what the recorded run got here."""
    flow = _flow()
    if flow is None:
        return make()
    tape = flow.run.tape
    if tape is None:
        value = make()
    else:
        try:
            value = tape.read(tape.value(f"{flow.step_path}|{flow.path}", source, label))
        except ValueUndecodable as problem:
            raise flow.run.stopped("OUTPUT_UNDECODABLE", str(problem), None) from None
    _record(flow, source, label, value)
    return value


def _flow() -> Flow | None:
    recording = process.current
    if recording is None:
        return None
    try:
        return recording.flow()
    except Exception as error:
        fault(error)
        return None


def _record(flow: Flow, source: str, label: str, value: Any) -> None:
    try:
        run = flow.run
        if not run.sampled:
            return
        data, _ = run.value(value)
        ordinal, flow.values = flow.values, flow.values + 1
        label, loop = run.clean(label), run.process.running_loop()
        at = (0, 0) if loop is None else (run.process.loop_state(loop).ordinal, run.process.tick(flow))
        run.emit(events.ValueRecorded, flow.parent, source, data, flow.parent, flow.path, ordinal, label, *at)
    except Exception as error:
        fault(error)
