"""How a flow gets into the tasks, threads and pool jobs that the program creates, in creation order.

Each carrier replaces one function of the standard library by one that notes the creation and calls the original. Task
factories, user contexts and what the functions return stay as they are. Importing asyncio or concurrent.futures is left
to the program: their carriers are put in place when it does.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, TypeAlias

from agentrace.capture import process
from agentrace.capture.guard import fault
from agentrace.capture.iterations import BEFORE
from agentrace.capture.scope import FLOW, Flow

_ATTRIBUTE: Final = "_agentrace_flow"
_replaced: list[tuple[Any, str, Any, Any]] = []


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put ``make(original)`` in place of ``owner.name``, once; :func:`restore_all` takes it back."""
    original = owner.__dict__[name] if name in owner.__dict__ else getattr(owner, name)
    if getattr(original, "_agentrace", False):
        return
    replacement: Any = functools.wraps(original)(make(original))
    replacement._agentrace = True
    _replaced.append((owner, name, owner.__dict__.get(name), replacement))
    setattr(owner, name, replacement)


def restore_all() -> None:
    """Take back every replacement, newest first; one that somebody has wrapped since stays below, and does nothing."""
    while _replaced:
        owner, name, original, replacement = _replaced.pop()
        if owner.__dict__.get(name) is not replacement:
            continue
        if original is None:  # it was inherited
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _branch(kind: str) -> Flow | None:
    recording = process.current
    if recording is None:
        return None
    try:
        recording.prepare()
        return recording.flow().branch(kind, next(recording.scope.tasks) if kind == "task" else 0)
    except Exception as error:
        fault(error)
        return None


def carry_threads() -> None:
    """Threads carry the flow of where ``start()`` was called."""
    replace(threading.Thread, "start", _thread_start)
    # Private, and the only place that runs inside the new thread whatever a subclass overrides.
    replace(threading.Thread, "_bootstrap_inner", _thread_bootstrap)


def _thread_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> None:
        # The journal's own threads are not the program's; when a library starts its workers depends on timing.
        apart = self.name.startswith("agentrace-") or type(self).__module__.startswith("anyio.")
        flow = None if apart or getattr(_pool, "starting", False) else _branch("thread")
        if flow is not None:
            self.__dict__[_ATTRIBUTE] = flow
        original(self)

    return start


def _thread_bootstrap(original: Callable[..., Any]) -> Callable[..., Any]:
    def _bootstrap_inner(self: threading.Thread) -> None:
        recording = process.current
        flow = self.__dict__.pop(_ATTRIBUTE, None)
        if recording is None:
            original(self)
            return
        recording.scope.thread_started()
        FLOW.set(flow)
        try:
            original(self)
        finally:
            recording.scope.thread_ended()

    return _bootstrap_inner


def carry_asyncio(module: ModuleType) -> None:
    """Tasks of asyncio's own loops carry the flow of where they were created. ``module`` is ``asyncio.base_events``."""
    replace(module.BaseEventLoop, "create_task", _create_task)
    if "_run_once" in vars(module.BaseEventLoop):  # private; without it, ticks are told less exactly
        replace(module.BaseEventLoop, "_run_once", _run_once)
        replace(module.BaseEventLoop, "close", _close)
        replace(module.BaseEventLoop, "call_at", _call_at)
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
        flow = _branch("task") if kwargs.get("context") is None and not apart else None
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
        flow = _branch("thread")
        return await original(func if flow is None else _Job(func, flow), *args, **options)

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


def carry_pools(module: ModuleType) -> None:
    """Pool jobs carry the flow of where they were submitted. ``module`` is ``concurrent.futures.thread``."""
    replace(module.ThreadPoolExecutor, "submit", _submit)


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        flow = _branch("thread")
        if flow is None:
            return original(self, fn, *args, **kwargs)
        # Whether the pool starts a worker now depends on timing, so workers are no branches of anything.
        _pool.starting = True
        try:
            return original(self, _Job(fn, flow), *args, **kwargs)
        finally:
            _pool.starting = False

    return submit


_pool = threading.local()


class _Job:
    """A pool's job with the flow it was submitted in."""

    __slots__ = ("flow", "function")

    def __init__(self, function: Any, flow: Flow) -> None:
        self.function = function
        self.flow = flow

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.function
        context = _private_context(function)
        if context is not None:  # asyncio.to_thread: the job runs in a copy of its caller's context
            context.run(FLOW.set, self.flow)
            return function(*args, **kwargs)
        FLOW.set(self.flow)
        try:
            return function(*args, **kwargs)
        finally:
            FLOW.set(None)


def _private_context(function: Any) -> Any:
    inner = getattr(function, "func", None)
    context = getattr(inner, "__self__", None)
    return context if type(context).__name__ == "Context" and getattr(inner, "__name__", "") == "run" else None


Environment: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, str]]
"""What to add to the environment that a child process is given."""


def carry_subprocesses(module: ModuleType, environment: Environment) -> None:
    """Child processes are told which run and step started them, by ``environment(theirs)``.

    ``module`` is ``subprocess``.
    """
    replace(module.Popen, "__init__", functools.partial(_popen, environment))


_POSITION_OF_ENV: Final = 10
"""Of ``env`` among the parameters of ``Popen.__init__`` after ``self``."""


def _popen(environment: Environment, original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            if len(args) > _POSITION_OF_ENV:
                env = _with(args[_POSITION_OF_ENV], environment)
                args = (*args[:_POSITION_OF_ENV], env, *args[_POSITION_OF_ENV + 1 :])
            else:
                kwargs["env"] = _with(kwargs.get("env"), environment)
        except Exception as error:
            fault(error)
        original(self, *args, **kwargs)

    return __init__


def _with(env: Mapping[Any, Any] | None, environment: Environment) -> Mapping[Any, Any] | None:
    given = os.environ if env is None else env
    if not isinstance(given, Mapping):
        return env  # the program's mistake, of which it is told as ever
    merged: dict[Any, Any] = dict(given)
    texts = [(name, value) for name, value in merged.items() if isinstance(name, _TEXT) and isinstance(value, _TEXT)]
    added = environment({os.fsdecode(name): os.fsdecode(value) for name, value in texts})
    for name, value in added.items():
        merged[os.fsencode(name) if any(isinstance(key, bytes) for key in merged) else name] = value
    return merged


_TEXT: Final = (str, bytes, os.PathLike)


def carry_execs(environment: Environment, ended: Callable[[], None]) -> None:
    """A program that becomes another one is over, and starts that one. Everything in ``os`` goes through these two."""
    replace(os, "execve", functools.partial(_execve, environment, ended))
    replace(os, "execv", lambda _: _execv)


def _execve(environment: Environment, ended: Callable[[], None], original: Callable[..., Any]) -> Callable[..., Any]:
    def execve(path: Any, argv: Any, env: Any) -> Any:
        if process.current is not None and _starts(path):
            try:
                env = _with(env, environment)
                ended()
            except Exception as error:
                fault(error)
        return original(path, argv, env)

    return execve


def _execv(path: Any, argv: Any, /) -> Any:
    os.execve(path, argv, os.environ)


def _starts(path: Any) -> bool:
    """Whether ``exec`` is going to find something; many places are tried for a name that is looked for in PATH."""
    try:
        return isinstance(path, int) or (os.path.isfile(path) and os.access(path, os.X_OK))
    except (TypeError, ValueError):  # the program's mistake, of which it is told as ever
        return False


def carry_spawns(module: ModuleType, environment: Environment) -> None:
    """The same for processes that multiprocessing starts afresh. ``module`` is ``multiprocessing.util``."""
    replace(module, "spawnv_passfds", functools.partial(_spawning, environment))


_environ_lock = threading.Lock()


def _spawning(environment: Environment, original: Callable[..., Any]) -> Callable[..., Any]:
    def spawnv_passfds(path: Any, args: Any, passfds: Any) -> Any:
        if any("resource_tracker" in str(argument) for argument in args):
            return original(path, args, passfds)  # runs nothing of the program
        with _environ_lock:  # the function takes no environment, so it inherits what is there for a moment
            before = dict(os.environ)
            try:
                os.environ.update(environment(before))
                return original(path, args, passfds)
            finally:
                for name in os.environ.keys() - before.keys():
                    del os.environ[name]
                os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})

    return spawnv_passfds
