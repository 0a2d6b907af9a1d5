"""The public way to begin and end recording: ``init``, ``flush``, ``shutdown``, ``status``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agentrace import config
from agentrace.capture import process
from agentrace.capture.guard import faults, say
from agentrace.errors import AgentraceError
from agentrace.ids import format_run_id
from agentrace.runtime.assembly import Runtime

_runtime: Runtime | None = None
_lock = threading.RLock()
_told = False


class Status(Struct, frozen=True):
    """What recording looks like from inside the process."""

    recording: bool
    """Whether calls are recorded now."""
    home: str
    """The store directory; empty while nothing is recorded."""
    run_id: str
    """The run that the calling code is in; empty before its first event."""
    lost: int
    """Events that could not be kept, over all open runs."""
    faults: int
    """Faults of agentrace itself that were caught in this process."""
    sampled: bool = True
    """Whether the run that the calling code is in is written: one of those that ``sample_rate`` leaves out is not."""


def init(**settings: object) -> Status:
    """Record this process from now on. Calling it again changes nothing.

    Settings are those of docs/settings.md; arguments win over ``AGENTRACE_*`` variables, which win over files.
    With ``AGENTRACE_DISABLED=1`` it does nothing. Raises ``ConfigError`` for a setting that cannot be used.
    """
    global _runtime
    with _lock:
        if _runtime is None:
            loaded = config.load(settings, environ=os.environ, cwd=_working_directory())
            if loaded.disabled or not _supported():
                return status()
            runtime = Runtime(loaded)
            runtime.start()
            _runtime = runtime
        return status()


def start(runtime: Runtime) -> None:
    """Record with a runtime that was put together elsewhere (a replay, a test)."""
    global _runtime
    with _lock:
        if _runtime is not None:
            raise AgentraceError("this process is being recorded already", do="call agentrace.shutdown() first")
        runtime.start()
        _runtime = runtime


def flush() -> None:
    """Return when everything recorded so far is as safe as the ``durability`` setting promises."""
    runtime = _runtime
    if runtime is not None:
        runtime.flush()


def shutdown() -> None:
    """End every run of this process and record nothing more. Called at exit by itself."""
    global _runtime
    with _lock:
        runtime, _runtime = _runtime, None
        if runtime is not None:
            runtime.close()


def pause() -> Callable[[], None]:
    """End the recording of this process, if there is one; returns what begins it again, with the same settings.

    Raises ``AgentraceError`` where the process is not recorded but replayed.
    """
    before = _runtime
    if before is None:
        return _nothing
    if before.tape is not None:
        raise AgentraceError("this process is being replayed already", do="replay one thing at a time")
    shutdown()
    return lambda: start(Runtime(before.settings))


def _nothing() -> None:
    """There was no recording."""


def status() -> Status:
    """What recording looks like now."""
    runtime, recording = _runtime, process.current
    if runtime is None or recording is None:
        return Status(False, "", "", 0, faults())
    flow = recording.flow_given()
    runs = list(recording.runs())
    current = flow.run if flow is not None and not flow.run.closed else runs[0] if runs else None
    run_id = format_run_id(current.id) if current is not None and current.opened else ""
    sampled = current is None or current.sampled
    return Status(True, str(runtime.settings.home), run_id, sum(run.lost for run in runs), faults(), sampled)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def _supported() -> bool:
    """Whether this interpreter can be recorded; says once why not."""
    global _told
    gil = getattr(sys, "_is_gil_enabled", None)
    if gil is None or gil():
        return True
    if not _told:
        _told = True
        say("agentrace: nothing is recorded: this interpreter runs without the GIL, on which the journal relies")
    return False
