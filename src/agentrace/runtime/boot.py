"""What ``agentrace run`` starts inside the program's process, before its first line."""

from __future__ import annotations

import os
from typing import Final

from agentrace import runtime
from agentrace.capture import process
from agentrace.capture.guard import fault, say
from agentrace.errors import AgentraceError, RecordingFailed
from agentrace.runtime import surroundings

NOT_STARTED: Final = 2
"""Exit code of a program that must not run unrecorded and cannot be recorded."""


def begin() -> None:
    """Record. A recording that cannot start leaves the program alone."""
    if surroundings.is_own_command():
        return
    try:
        runtime.init(sample_rate=1.0)  # somebody asked for this very run
        _open_at_once()
    except RecordingFailed as error:  # only raised where a program must not run unrecorded
        say(f"agentrace: the program is not started: {error}")
        os._exit(NOT_STARTED)
    except AgentraceError as error:
        say(f"agentrace: this run is not recorded: {error}")
    except Exception as error:
        fault(error)


def _open_at_once() -> None:
    """The process is the run, so it is on disk from its first moment, also if it never takes a step."""
    recording = process.current
    # A child process writes its run only once it has something to say.
    if recording is not None and not recording.parent.run_id:
        recording.implicit().open()
