"""How a flow gets into the tasks of trio and the jobs of its threads, and when their order is a matter of timing.

trio shuffles what is ready at each turn on purpose, so nobody can tell the order in which tasks go on between two
calls. Which call is whose is told by creation order all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from agentrace.capture.carriers import Job, branch, replace
from agentrace.capture.scope import FLOW

_TRIOS_OWN: Final = 1
"""Tasks that trio runs for itself, beside the one that everything is below."""


def carry_trio(module: ModuleType) -> None:
    """Tasks carry the flow of where they were spawned. ``module`` is ``trio._core._run``."""
    runner = getattr(module, "Runner", None)
    if hasattr(runner, "spawn_impl"):  # private; it is where every nursery makes its tasks
        replace(runner, "spawn_impl", _spawn_impl)


def _spawn_impl(original: Callable[..., Any]) -> Callable[..., Any]:
    def spawn_impl(self: Any, async_fn: Any, args: Any, nursery: Any, *name: Any, **options: Any) -> Any:
        # The first two are trio's and what `trio.run` was given, which is in the flow of its caller, as with asyncio.
        trios = options.get("system_task") or nursery is None or getattr(self, "main_task", None) is None
        flow = None if trios or options.get("context") is not None else branch("task")
        if flow is None:
            return original(self, async_fn, args, nursery, *name, **options)
        outside = FLOW.get()
        FLOW.set(flow)  # the task copies the current context when it is made
        try:
            return original(self, async_fn, args, nursery, *name, **options)
        finally:
            FLOW.set(outside)

    return spawn_impl


def carry_trio_threads(module: ModuleType) -> None:
    """Jobs of trio's threads carry the flow of where they were handed over. ``module`` is ``trio.to_thread``."""
    replace(module, "run_sync", _run_sync)


def _run_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    async def run_sync(sync_fn: Any, *args: Any, **options: Any) -> Any:
        carried = isinstance(sync_fn, Job) or (getattr(sync_fn, "__module__", None) or "").startswith("anyio.")
        flow = None if carried or not callable(sync_fn) else branch("thread")
        if flow is None:
            return await original(sync_fn, *args, **options)
        return await original(Job(sync_fn, flow), *args, **options)

    return run_sync


def others_in_trio(module: ModuleType) -> Callable[[], bool]:
    """Asks whether other tasks of trio are there beside the calling one and those that wait for it."""
    context = module.GLOBAL_RUN_CONTEXT  # private, of each thread

    def others() -> bool:
        task = getattr(context, "task", None)
        if task is None:
            return False
        living = len(getattr(getattr(context, "runner", None), "tasks", ())) - _TRIOS_OWN
        while task is not None:
            living -= 1
            nursery = task.parent_nursery
            task = None if nursery is None else nursery.parent_task
        return living > 0

    return others
