"""Celery: each execution of a task is a run, below the place that sent the task if that was recorded."""

from __future__ import annotations

import sys
import threading
from typing import Any, Final

from agentrace.capture.runs import Begun, begin_run, carry, place_from
from agentrace.capture.scope import Flow
from agentrace.integrations.declaration import Jobs

_HEADER: Final = "agentrace"
"""The header of a message that tells where it was sent from."""
_RAISED: Final = frozenset({"FAILURE", "RETRY"})
_running: dict[tuple[str, int], tuple[Begun, Flow | None]] = {}
"""The executions that are going on, by task id and thread."""


def install(module: Any) -> None:
    """Listen to the signals of ``celery.signals``. Receivers stay; where nothing is recorded they do nothing."""
    for signal, receiver in (
        (module.before_task_publish, _sent),
        (module.task_prerun, _begins),
        (module.task_postrun, _ended),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"agentrace.{receiver.__name__}")


def _sent(headers: Any = None, **_: Any) -> None:
    place = carry()
    if place and isinstance(headers, dict):
        headers[_HEADER] = place


def _begins(task_id: str, task: Any, **_: Any) -> None:
    if task.request.is_eager:
        return  # it is called where it is sent, and belongs to the run that calls it
    begun = begin_run(task.name, place_from(task.request.get(_HEADER)))
    if begun is not None:
        begun.open()
        _running[task_id, threading.get_ident()] = begun, begun.enter()


def _ended(task_id: str, retval: Any = None, state: str | None = None, **_: Any) -> None:
    found = _running.pop((task_id, threading.get_ident()), None)
    if found is None:
        return
    begun, outside = found
    begun.leave(outside)
    begun.end(_error(retval, state))


def _error(retval: Any, state: str | None) -> BaseException | None:
    """What ended the task: the exception that is stored as its result, or one that nobody catches."""
    if state is None:
        return sys.exc_info()[1]
    cause = getattr(retval, "exc", None) if state == "RETRY" else None
    error = cause or retval
    return error if state in _RAISED and isinstance(error, BaseException) else None


JOBS = Jobs(name="celery", requires="celery>=5.3,<6", module="celery.signals", install=install)
