"""Functions that give context managers: the step of one begins when its block is entered and ends when it is left.

What :func:`contextlib.contextmanager` made stays what it is; the generator below it is recorded. The steps of the block
are inside the step of a kind that is executed again, and beside that of one that a replay answers.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import CodeType, FunctionType
from typing import Any, Final, TypeAlias

from agentrace.capture.call import complete
from agentrace.capture.driving import CLOSED, async_driver, driver
from agentrace.capture.step import Spec, Step

Recorded: TypeAlias = Callable[[Callable[..., Any], Spec, bool, bool], Callable[..., Any]]
"""How a function that gives a generator is recorded: function, spec, is it async, are the steps of the block inside."""


def _empty() -> Generator[None]:
    yield


async def _empty_async() -> AsyncGenerator[None]:
    yield


_HELPERS: Final[dict[CodeType, str]] = {
    contextlib.contextmanager(_empty).__code__: "contextmanager",
    contextlib.asynccontextmanager(_empty_async).__code__: "asynccontextmanager",
}
_MANAGER: Final = type(contextlib.contextmanager(_empty)())
_ASYNC_MANAGER: Final = type(contextlib.asynccontextmanager(_empty_async)())


def shape_of(function: FunctionType) -> str:
    """``contextmanager`` or ``asynccontextmanager`` if that made the function; empty if not."""
    return _HELPERS.get(function.__code__, "")


def block(function: FunctionType, spec: Spec, recorded: Recorded) -> Callable[..., Any]:
    """A function that gives what ``function`` gives, with the generator below it recorded by ``recorded``."""
    inner: Any = inspect.getclosurevars(function).nonlocals["func"]
    name = shape_of(function)
    below = functools.wraps(inner)(recorded(inner, spec, name.startswith("async"), not spec.answered))
    make: Any = getattr(contextlib, name)
    made = make(below)
    is_lazy = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if is_lazy:
            inner(*args, **kwargs)  # runs nothing, and refuses arguments that do not fit where it always did
        return made(*args, **kwargs)

    return wrapper


def _follow(step: Step, manager: Any) -> Any:
    if "func" not in vars(manager):  # its block is entered already
        complete(step, manager)
        return manager
    inside, generator = not step.spec.answered, manager.gen
    drive: Any = driver if type(manager) is _MANAGER else async_driver
    step.shape = "contextmanager" if drive is driver else "asynccontextmanager"
    step.run.unfinished[step] = lambda: complete(step, None, CLOSED)  # it may never be entered
    manager.gen = drive(lambda args, kwargs: (step, generator), inside)()
    return manager


FOLLOWED: Final[dict[type, Callable[[Step, Any], Any]]] = {_MANAGER: _follow, _ASYNC_MANAGER: _follow}
"""Context managers that a plain function gives, and how they are recorded to the end of their blocks."""
