"""A function recorded in place: the very object that the program holds in its dicts, lists and closures.

The function's code is replaced by a few instructions that call the recording wrapper, which runs a copy of the function
with its original code. The object stays the same, so references taken before are covered too; ``inspect`` finds the
original through ``__wrapped__``, and breakpoints and coverage see the original code run. A call that is under way goes
on with the code that it began with.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

from agentrace.capture import blocks, driving
from agentrace.capture.shapes import recorder, wrap
from agentrace.capture.step import Spec

_TARGET: Final = "agentrace: what to call"
_ARGUMENTS: Final = ("agentrace: args", "agentrace: kwargs", "agentrace: target")
"""What the locals of the few instructions are called, so that they are no names of the program."""
_FILE: Final = "<agentrace: recorded in place>"
_WRAPPERS: Final = (recorder, driving.driver, blocks.block)
_OWN_FILES: Final = frozenset({_FILE, *(made.__code__.co_filename for made in _WRAPPERS)})

_BODIES: Final = {
    "plain": ("def", "return target(*args, **kwargs)"),
    "coroutine": ("async def", "return await target(*args, **kwargs)"),
    "generator": ("def", "return (yield from target(*args, **kwargs))"),
}


def is_recorded(function: object) -> bool:
    """Whether calls of ``function`` are recorded already: by a decorator, under other decorators, or in place."""
    while isinstance(function, FunctionType):
        if function.__code__.co_filename in _OWN_FILES:
            return True
        function = function.__dict__.get("__wrapped__")
    return False


def record_in_place(function: FunctionType, spec: Spec) -> Callable[[], None]:
    """Record every call of ``function`` as ``spec`` says; returns how to undo it."""
    code, known = function.__code__, dict(function.__dict__)
    original = _copy(function)
    instead = _calling(function, wrap(original, spec))
    if known.keys().isdisjoint(("__wrapped__", "__signature__")):  # else it tells of another, as ever
        function.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    function.__wrapped__ = original  # type: ignore[attr-defined]
    function.__code__ = instead

    def undo() -> None:
        if function.__code__ is not instead:  # the program has put something in its place since
            return
        function.__code__ = code
        for name in ("__wrapped__", "__signature__"):
            if name in known:
                function.__dict__[name] = known[name]
            else:
                function.__dict__.pop(name, None)

    return undo


def _copy(function: FunctionType) -> FunctionType:
    """A function that does the same, over the same cells."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = function.__annotations__
    copy.__qualname__, copy.__module__, copy.__doc__ = function.__qualname__, function.__module__, function.__doc__
    copy.__dict__.update(function.__dict__)
    return copy


def _calling(function: FunctionType, target: Callable[..., Any]) -> CodeType:
    """Code that calls ``target`` and looks like the code of ``function`` to who asks for its kind or its variables."""
    code = function.__code__
    # A call of an async generator function only makes a generator: a plain call of the target, which makes one, is the
    # same. Delegating to it from another would lose what is sent and thrown.
    kept = code.co_flags & (inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE)
    template = _template(_shape(function), len(code.co_freevars))
    variables = (*_ARGUMENTS, *code.co_varnames)
    return template.replace(
        co_consts=tuple(target if constant == _TARGET else constant for constant in template.co_consts),
        co_flags=template.co_flags | kept,
        co_varnames=variables,
        co_nlocals=len(variables),
        co_freevars=code.co_freevars,
        co_name=code.co_name,
        co_qualname=code.co_qualname,
    )


def _shape(function: FunctionType) -> str:
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(function) else "plain"


@functools.cache
def _template(shape: str, cells: int) -> CodeType:
    """The instructions of a function with so many cells: only code with as many can take the place of other code."""
    define, body = _BODIES[shape]
    names = "".join(f"cell_{number}, " for number in range(cells))
    source = (
        f"def outer({names}):\n"
        f"    {define} inner(*args, **kwargs):\n"
        f"        target = {_TARGET!r}\n"
        f"        if 0: ({names})\n"  # never done, and enough to have the cells
        f"        {body}\n"
    )
    outer = _code_in(compile(source, _FILE, "exec"))
    return _code_in(outer)


def _code_in(code: CodeType) -> CodeType:
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))
