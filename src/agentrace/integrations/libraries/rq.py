"""RQ: each execution of a job is a run, below the place that enqueued the job if that was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agentrace.capture.carriers import replace
from agentrace.capture.runs import begin_run, carry, place_from
from agentrace.integrations.declaration import Jobs

_META: Final = "agentrace"
"""The key of a job's ``meta`` that tells where it was enqueued."""
_AT_ONCE: Final = "sync"
"""The worker of a queue that performs its jobs itself: they belong to the run that enqueues them."""


def install(module: Any) -> None:
    """Hook what makes a job and what performs one. ``module`` is ``rq.queue``."""
    replace(module.Queue, "create_job", _create_job)
    replace(module.Job, "perform", _perform)


def _create_job(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = original(self, *args, **kwargs)
        place = carry()
        if place:
            job.meta = {**job.meta, _META: place}
        return job

    return create_job


def _perform(original: Callable[..., Any]) -> Callable[..., Any]:
    def perform(self: Any) -> Any:
        if self.worker_name == _AT_ONCE:
            return original(self)
        begun = begin_run(self.func_name, place_from(self.meta.get(_META)))
        if begun is None:
            return original(self)
        begun.open()
        outside = begun.enter()
        error: BaseException | None = None
        try:
            return original(self)
        except BaseException as raised:
            error = raised
            raise
        finally:
            begun.leave(outside)
            begun.end(error)

    return perform


JOBS = Jobs(name="rq", requires="rq>=1.16,<4", module="rq.queue", install=install)
