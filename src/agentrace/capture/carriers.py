"""How a flow gets into the tasks, threads and pool jobs that the program creates, in creation order.

Each carrier replaces one function of the standard library by one that notes the creation and calls the original. Task
factories, user contexts and what the functions return stay as they are. Importing asyncio or concurrent.futures is left
to the program: their carriers are put in place when it does.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType, ModuleType
from typing import Any, Final, TypeAlias

from agentrace.capture import process
from agentrace.capture.guard import fault
from agentrace.capture.scope import FLOW, Flow, at_work_for

ATTRIBUTE: Final = "_agentrace_flow"
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


def branch(kind: str) -> Flow | None:
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
        apart = self.name.startswith("agentrace-") or _is_a_librarys(self)
        flow = None if apart or STARTING.get() else branch("thread")
        if flow is not None:
            self.__dict__[ATTRIBUTE] = flow
        original(self)

    return start


def _is_a_librarys(thread: threading.Thread) -> bool:
    target = getattr(getattr(thread, "_target", None), "__module__", None) or ""
    return type(thread).__module__.startswith("anyio.") or target.startswith("trio.")


def _thread_bootstrap(original: Callable[..., Any]) -> Callable[..., Any]:
    def _bootstrap_inner(self: threading.Thread) -> None:
        recording = process.current
        flow = self.__dict__.pop(ATTRIBUTE, None)
        if recording is None:
            original(self)
            return
        recording.scope.thread_started()
        FLOW.set(flow)
        STARTING.set(False)  # in case the thread was given a copy of the context
        try:
            original(self)
        finally:
            recording.scope.thread_ended()

    return _bootstrap_inner


def carry_pools(module: ModuleType) -> None:
    """Pool jobs carry the flow of where they were submitted. ``module`` is ``concurrent.futures.thread``."""
    replace(module.ThreadPoolExecutor, "submit", _submit)


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        flow = branch("thread")
        if flow is None:
            return original(self, fn, *args, **kwargs)
        # Whether the pool starts a worker now depends on timing, so workers are no branches of anything.
        before = STARTING.set(True)
        try:
            future = original(self, Job(fn, flow), *args, **kwargs)
        finally:
            STARTING.reset(before)
        future.__dict__[ATTRIBUTE] = flow
        return future

    return submit


worker = threading.local()
STARTING: Final[ContextVar[bool]] = ContextVar("agentrace_starting", default=False)
"""Whether a pool may be starting workers; not of the thread, in which gevent may go on with something else."""


class Job:
    """A pool's job with its flow, and the flow that submitted it."""

    __slots__ = ("flow", "function", "origin")

    def __init__(self, function: Any, flow: Flow) -> None:
        self.function = function
        self.flow = flow
        recording = process.current
        self.origin = flow if recording is None else recording.flow_given() or recording.implicit().root

    @property
    def __name__(self) -> Any:  # what libraries call the thread after
        return getattr(self.function, "__name__", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # It may run in its caller's context, which a library that wraps jobs hides from us.
        with at_work_for(self.origin, self.flow):
            return self._call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        function = self.function
        worker.flow = self.flow  # what the worker hands on when the job is done belongs to it
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
        if _asks_the_system(sys._getframe(1)):
            original(self, *args, **kwargs)
            return
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


_ASKING: Final = frozenset({"platform", "uuid", "ctypes.util"})
"""Modules of the standard library that start programs of the system to learn about it."""


def _asks_the_system(frame: FrameType | None) -> bool:
    """Whether the standard library itself starts a program, which is none of the caller's and records nothing."""
    while frame is not None and frame.f_globals.get("__name__") == "subprocess":
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in _ASKING


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


LOKY: Final = ("loky.backend.fork_exec", "joblib.externals.loky.backend.fork_exec")
"""The modules by which loky, on its own and in joblib, starts its workers."""


def carry_loky(module: ModuleType, environment: Environment) -> None:
    """The same for the workers of loky. ``module`` is one of :data:`LOKY`."""
    replace(module, "fork_exec", functools.partial(_fork_exec, environment))


def _fork_exec(environment: Environment, original: Callable[..., Any]) -> Callable[..., Any]:
    def fork_exec(cmd: Any, keep_fds: Any, env: Any = None) -> Any:
        try:
            given = dict(env or {})
            env = {**given, **environment({**os.environ, **given})}
        except Exception as error:
            fault(error)
        return original(cmd, keep_fds, env=env)

    return fork_exec


TOLD: Final = "agentrace"
"""The key under which a child of a fork server is told where it was asked for, beside what multiprocessing tells it."""


def carry_fork_servers(module: ModuleType, place: Callable[[], str], arrived: Callable[[str], None]) -> None:
    """The same for processes that a fork server starts: its environment is that of whoever needed it first.

    ``module`` is ``multiprocessing.spawn``; ``arrived`` is given the text of ``place()`` in the child.
    """
    replace(module, "get_preparation_data", functools.partial(_preparing, place))
    replace(module, "prepare", functools.partial(_prepared, arrived))


def _preparing(place: Callable[[], str], original: Callable[..., Any]) -> Callable[..., Any]:
    def get_preparation_data(name: Any) -> Any:
        data = original(name)
        if sys._getframe(1).f_globals.get("__name__") == "multiprocessing.popen_forkserver":
            try:
                data[TOLD] = place()
            except Exception as error:
                fault(error)
        return data

    return get_preparation_data


def _prepared(arrived: Callable[[str], None], original: Callable[..., Any]) -> Callable[..., Any]:
    def prepare(data: Any) -> Any:
        try:
            if TOLD in data:
                arrived(data[TOLD])
        except Exception as error:
            fault(error)
        return original(data)

    return prepare
