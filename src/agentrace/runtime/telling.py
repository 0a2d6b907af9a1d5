"""What a run says of itself at its begin and at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

from agentrace import events
from agentrace.capture.recording import RunRecording
from agentrace.config import Settings
from agentrace.integrations.registry import Instrumentation
from agentrace.runtime import surroundings
from agentrace.version import VERSION

End: TypeAlias = events.WorkflowCompleted | events.WorkflowFailed


class Telling:
    """The same in all runs of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looked = surroundings.Looked()

    def started(
        self, run: RunRecording, parent: events.Parent, name: str, origin: events.Origin, durability: str
    ) -> events.WorkflowStarted:
        """How a run begins; ``name``: what it is called, unless the settings or the program say so."""
        settings, redactor = self._settings, run.redactor
        return events.WorkflowStarted(
            run.next_seq(),
            events.RUN_STEP,
            run.clock.wall_ns(),
            name=name or settings.name or surroundings.program_name(),
            workflow=settings.workflow or "",
            agent=settings.agent or "",
            session_id=settings.session_id or "",
            tenant=settings.tenant or "",
            workspace=settings.workspace or "",
            project=settings.project or "",
            operator=settings.operator or "",
            argv=redactor.argv(surroundings.argv()),
            cwd=run.clean(surroundings.working_directory()),
            pid=os.getpid(),
            python=surroundings.python(),
            platform=surroundings.platform(),
            hash_seed=surroundings.hash_seed(),
            timezone=surroundings.timezone(),
            sdk=VERSION,
            redaction=f"{redactor.profile}/{redactor.version}",
            durability=durability,
            origin=origin,
            parent=parent,
            tags=[run.clean(tag) for tag in dict.fromkeys((*settings.tags, *run.tags))],
            patched=list(settings.patch),
            excluded=list(settings.exclude_urls),
            tools=list(settings.tools),
            retrievers=list(settings.retrievers),
            sample_rate=run.sample_rate,
        )

    def described(self, run: RunRecording, seen: Instrumentation) -> Sequence[Any]:
        """The fields of its ``WorkflowDescribed``."""
        return (
            self._looked.commit,
            None,
            self._looked.modules(sys.modules),
            seen.versions(),
            self._looked.stdin,
            list(seen.tools()),
            list(seen.unsupported()),
            dict(run.left_out),
            seen.missing_tools(),
        )


def end_of(run: RunRecording, code: int, failure: events.Failure | None) -> End:
    """How it ends, with this exit code."""
    verdict, caveats = ("", []) if run.tape is None else run.tape.verdict()
    # The sequence number is taken last: an end that could not be put together leaves no hole.
    rest: dict[str, Any] = {
        "exit_code": code,
        "duration_ns": run.clock.monotonic_ns() - run.started_ns,
        "steps": run.steps,
        "lost": run.lost,
        "faults": run.own_faults(),
        "health": sorted(run.health),
        "replay": verdict,
        "caveats": caveats,
    }
    if failure is None and code == 0:
        return events.WorkflowCompleted(run.last_seq(), events.RUN_STEP, run.clock.wall_ns(), **rest)
    return events.WorkflowFailed(run.last_seq(), events.RUN_STEP, run.clock.wall_ns(), failure=failure, **rest)
