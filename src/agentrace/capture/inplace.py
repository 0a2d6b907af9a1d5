"""A function recorded in place: the very object that the program holds in its dicts, lists and closures.

The function's code is replaced by a few instructions that call the recording wrapper, which runs a copy of the function
with its original code. The object stays the same, so references taken before are covered too; ``inspect`` finds the
original through ``__wrapped__``, and breakpoints and coverage see the original code run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

from agentrace.capture import blocks, driving
from agentrace.capture.shapes import recorder, wrap
from agentrace.capture.step import Spec

_TARGET: Final = "agentrace: what to call"


_OWN_FILES: Final = frozenset(
    function.__code__.co_filename for function in (recorder, driving.driver, blocks.block, lambda: None)
)


def _plain(*args: Any, **kwargs: Any) -> Any:
    target: Any = "agentrace: what to call"
    return target(*args, **kwargs)


async def _coroutine(*args: Any, **kwargs: Any) -> Any:
    target: Any = "agentrace: what to call"
    return await target(*args, **kwargs)


def _generator(*args: Any, **kwargs: Any) -> Any:
    target: Any = "agentrace: what to call"
    return (yield from target(*args, **kwargs))


def is_recorded(function: object) -> bool:
    """Whether calls of ``function`` are recorded already: by a decorator, under other decorators, or in place."""
    while isinstance(function, FunctionType):
        if function.__code__.co_filename in _OWN_FILES:
            return True
        function = function.__dict__.get("__wrapped__")
    return False


def record_in_place(function: FunctionType, spec: Spec) -> Callable[[], None] | None:
    """Record every call of ``function``; returns how to undo it, or ``None`` if it cannot be done in place.

    Not in place: closures, whose code is bound to its cells, and async generators, which cannot delegate.
    """
    template = _template(function)
    if template is None or function.__closure__ is not None:
        return None
    code = function.__code__
    original = FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
    original.__kwdefaults__ = function.__kwdefaults__
    original.__annotations__ = function.__annotations__
    original.__qualname__, original.__module__, original.__doc__ = (
        function.__qualname__,
        function.__module__,
        function.__doc__,
    )
    original.__dict__.update(function.__dict__)
    function.__code__ = _calling(template, code, wrap(original, spec))
    function.__wrapped__ = original  # type: ignore[attr-defined]

    def undo() -> None:
        function.__code__ = code
        function.__dict__.pop("__wrapped__", None)

    return undo


def _template(function: FunctionType) -> CodeType | None:
    if inspect.isasyncgenfunction(function):
        return None
    if inspect.iscoroutinefunction(function):
        return _coroutine.__code__
    return _generator.__code__ if inspect.isgeneratorfunction(function) else _plain.__code__


def _calling(template: CodeType, code: CodeType, target: Callable[..., Any]) -> CodeType:
    constants = tuple(target if constant == _TARGET else constant for constant in template.co_consts)
    return template.replace(co_consts=constants, co_name=code.co_name, co_qualname=code.co_qualname)
