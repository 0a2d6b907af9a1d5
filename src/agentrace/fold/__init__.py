"""The fold: from the events of a run to the states of the run, its steps and their exchanges."""

from __future__ import annotations

from agentrace.fold.applying import (
    VERSION,
    Folder,
    apply_to_exchange,
    apply_to_run,
    apply_to_step,
    dispatched,
    fold,
    unknown_step,
)
from agentrace.fold.states import (
    ExchangeState,
    Place,
    RunState,
    RunStatus,
    StepState,
    StepStatus,
    Trace,
    boundaries,
    retries,
)

__all__ = [
    "VERSION",
    "ExchangeState",
    "Folder",
    "Place",
    "RunState",
    "RunStatus",
    "StepState",
    "StepStatus",
    "Trace",
    "apply_to_exchange",
    "apply_to_run",
    "apply_to_step",
    "boundaries",
    "dispatched",
    "fold",
    "retries",
    "unknown_step",
]
