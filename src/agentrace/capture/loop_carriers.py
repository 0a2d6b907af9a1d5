"""How a flow gets into tasks, and how event loops are followed: iterations, timers, and what threads give them.

As in ``carriers``, each replaces one function of asyncio, uvloop or anyio by one that notes something and calls it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from agentrace.capture import process
from agentrace.capture.carriers import ATTRIBUTE, Job, branch, replace, worker
from agentrace.capture.guard import fault
from agentrace.capture.iterations import BEFORE
from agentrace.capture.scope import FLOW, Flow


def carry_asyncio(module: ModuleType) -> None:
    """Tasks of asyncio's own loops carry the flow of where they were created. ``module`` is ``asyncio.base_events``."""
    replace(module.BaseEventLoop, "create_task", _create_task)
    if "_run_once" in vars(module.BaseEventLoop):  # private; without it, ticks are told less exactly
        replace(module.BaseEventLoop, "_run_once", _run_once)
        replace(module.BaseEventLoop, "close", _close)
        replace(module.BaseEventLoop, "call_at", _call_at)
        replace(module.BaseEventLoop, "call_soon_threadsafe", _call_soon_threadsafe)
        replace(module.events.TimerHandle, "_run", _timer_called)


def _call_at(original: Callable[..., Any]) -> Callable[..., Any]:
    def call_at(self: Any, when: Any, callback: Any, *args: Any, **context: Any) -> Any:
        timer = original(self, when, callback, *args, **context)
        recording = process.current
        try:
            flow = None if recording is None else recording.flow_of_timers()
            if recording is not None and flow is not None:
                recording.scope.timer_made(timer, self, flow)
        except Exception as error:
            fault(error)
        return timer

    return call_at


def _call_soon_threadsafe(original: Callable[..., Any]) -> Callable[..., Any]:
    def call_soon_threadsafe(self: Any, callback: Any, *args: Any, **context: Any) -> Any:
        recording = process.current
        try:
            if recording is not None:
                flow = getattr(args[-1], ATTRIBUTE, None) if args else None
                if not isinstance(flow, Flow):  # else a job, which may have ended before its result was asked for
                    flow = None
                if flow is None and recording.scope.running_loop() is not self:
                    flow = recording.flow_given() or getattr(worker, "flow", None) or recording.flow_of_timers()
                if flow is not None and not flow.run.closed:
                    callback = recording.scope.post(callback, self, flow)
        except Exception as error:
            fault(error)
        return original(self, callback, *args, **context)

    return call_soon_threadsafe


def _timer_called(original: Callable[..., Any]) -> Callable[..., Any]:
    def _run(self: Any) -> None:
        recording = process.current
        try:
            if recording is not None:
                recording.scope.timer_called(self)
        except Exception as error:
            fault(error)
        original(self)

    return _run


def _close(original: Callable[..., Any]) -> Callable[..., Any]:
    def close(self: Any) -> None:
        recording = process.current
        try:
            if recording is not None and not self.is_closed():
                recording.scope.closing(self)
        except Exception as error:
            fault(error)
        original(self)

    return close


def _run_once(original: Callable[..., Any]) -> Callable[..., Any]:
    def _run_once(self: Any) -> None:
        try:
            self._agentrace_turn += 1
        except AttributeError:
            self._agentrace_turn = 1
        before = self.__dict__.get(BEFORE)
        if before is not None:
            before()
        ready = self.__dict__.get("_ready")
        self._agentrace_last = ready[-1] if ready else None
        try:
            original(self)
        finally:
            self._agentrace_last = None

    return _run_once


_RUNNERS: Final = frozenset({"TestRunner._call_in_runner_task", "TestRunner._run_tests_and_fixtures"})
"""Tasks in which anyio runs tests: what a test does is in the flow in which it is with any other runner."""


def _create_task(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        # A context given by the caller is the caller's: nothing is put into it. Generators that were left open are
        # closed by tasks of the loop's own, at times that depend on the garbage collector: they are no branches.
        apart = type(coro).__name__ == "async_generator_athrow" or getattr(coro, "__qualname__", "") in _RUNNERS
        flow = branch("task") if kwargs.get("context") is None and not apart else None
        if flow is None:
            return original(self, coro, **kwargs)
        outside = FLOW.get()
        FLOW.set(flow)  # the task copies the current context when it is made
        try:
            return original(self, coro, **kwargs)
        finally:
            FLOW.set(outside)

    return create_task


def carry_uvloop(module: ModuleType) -> None:
    """The same for the loops of ``uvloop``. How often they go round is their own secret."""
    replace(module.Loop, "create_task", _create_task)


def carry_worker_threads(module: ModuleType) -> None:
    """Jobs that are handed to threads which are there already carry their flow. ``module`` is ``anyio.to_thread``."""
    replace(module, "run_sync", _run_sync)


def _run_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    async def run_sync(func: Any, *args: Any, **options: Any) -> Any:
        flow = branch("thread")
        return await original(func if flow is None else Job(func, flow), *args, **options)

    return run_sync


def carry_completions(module: ModuleType) -> None:
    """``as_completed`` makes tasks in the order of what it is given, not of a set. ``module`` is ``asyncio.tasks``."""
    for owner in (module, sys.modules.get("asyncio")):
        if owner is not None and "as_completed" in vars(owner):
            replace(owner, "as_completed", functools.partial(_as_completed, module))


def _as_completed(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def tasks(fs: Any) -> Any:
        if process.current is None or module.futures.isfuture(fs) or module.coroutines.iscoroutine(fs):
            return fs
        return [module.ensure_future(one) for one in dict.fromkeys(fs)]

    def as_completed(fs: Any, **timeout: Any) -> Any:
        return original(tasks(fs), **timeout)

    def generated(fs: Any, **timeout: Any) -> Any:
        yield from original(tasks(fs), **timeout)

    return generated if inspect.isgeneratorfunction(original) else as_completed
