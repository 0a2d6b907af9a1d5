"""The shapes of a function, each wrapped by a function of the same shape around ``call``'s begin and end.

Wrappers are plain functions that close over the wrapped function and its frozen :class:`Spec` only; ``scope.FLOW`` is
looked up in its module, so that a wrapper can be pickled by value, as cloudpickle does. A result that is itself a
coroutine, a generator or a context manager (from a lambda, an undecorated factory) is recorded to its own end.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType, MethodType
from typing import Any, Final

from agentrace.capture import blocks, process, scope
from agentrace.capture.answers import answered, answered_async_stream, answered_stream, answering, awaited_answer
from agentrace.capture.arguments import Instance, arguments
from agentrace.capture.call import begin, complete, fail
from agentrace.capture.driving import async_driver, driver
from agentrace.capture.step import Spec, Step


def wrap(function: Callable[..., Any], spec: Spec, instance: Instance = Instance.BY_NAME) -> Callable[..., Any]:
    """A plain function of ``function``'s own shape that records each call of it and looks like it."""
    return functools.wraps(function)(recorder(function, spec, instance))


def recorder(function: Callable[..., Any], spec: Spec, instance: Instance = Instance.BY_NAME) -> Callable[..., Any]:
    """The same, looking like nothing."""
    told = arguments(function, instance)
    if isinstance(function, FunctionType) and blocks.shape_of(function):
        return blocks.block(function, spec, _generators)
    flags = _flags(function)
    shape = next((shape for flag, shape in _SHAPES if flags & flag), _plain)
    return shape(function, spec, told)


def _flags(function: Any) -> int:
    """What the code says that is run when ``function`` is called; 0 where that is not known."""
    while isinstance(function, (MethodType, functools.partial)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    code = getattr(function, "__code__", None)
    return code.co_flags if isinstance(code, CodeType) else 0


_Told = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def _plain(function: Callable[..., Any], spec: Spec, told: _Told) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = None if process.current is None else begin(spec, told(args, kwargs), 2)
        if step is None:
            return function(*args, **kwargs)
        if answering(step):
            return answered(step)
        scope.FLOW.set(step)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            scope.FLOW.set(step.outer)
            fail(step, error)
            raise
        scope.FLOW.set(step.outer)
        follow = _FOLLOWED.get(type(result))
        if follow is not None:
            return follow(step, result)
        complete(step, result)
        return result

    return wrapper


def _coroutine(function: Callable[..., Any], spec: Spec, told: _Told) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = None if process.current is None else begin(spec, told(args, kwargs), 2)
        if step is None:
            return await function(*args, **kwargs)
        if answering(step):
            return await awaited_answer(step)
        return await _awaited(step, function(*args, **kwargs))

    return wrapper


def _generator_coroutine(function: Callable[..., Any], spec: Spec, told: _Told) -> Callable[..., Any]:
    """What ``types.coroutine`` made of a generator function: its generators are awaited."""
    awaited = _coroutine(function, spec, told)

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from awaited(*args, **kwargs).__await__())

    return types.coroutine(wrapper)


async def _awaited(step: Step, awaitable: Coroutine[Any, Any, Any]) -> Any:
    scope.FLOW.set(step)
    try:
        result = await awaitable
    except BaseException as error:
        scope.FLOW.set(step.outer)
        fail(step, error)
        raise
    scope.FLOW.set(step.outer)
    complete(step, result)
    return result


def _generator(function: Callable[..., Any], spec: Spec, told: _Told, inside: bool = False) -> Callable[..., Any]:
    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Step | None, Generator[Any, Any, Any]]:
        step = None if process.current is None else begin(spec, told(args, kwargs), 3)
        if step is not None and answering(step):
            return None, answered_stream(step)
        return step, function(*args, **kwargs)

    return driver(start, inside)


def _async_generator(function: Callable[..., Any], spec: Spec, told: _Told, inside: bool = False) -> Callable[..., Any]:
    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Step | None, AsyncGenerator[Any, Any]]:
        step = None if process.current is None else begin(spec, told(args, kwargs), 3)
        if step is not None and answering(step):
            return None, answered_async_stream(step)
        return step, function(*args, **kwargs)

    return async_driver(start, inside)


def _generators(function: Callable[..., Any], spec: Spec, is_async: bool, inside: bool) -> Callable[..., Any]:
    """A function that gives generators, which are driven whatever kind of function it is."""
    shape = _async_generator if is_async else _generator
    return shape(function, spec, arguments(function), inside)


_SHAPES: Final[tuple[tuple[int, Callable[..., Callable[..., Any]]], ...]] = (
    (inspect.CO_ASYNC_GENERATOR, _async_generator),
    (inspect.CO_ITERABLE_COROUTINE, _generator_coroutine),
    (inspect.CO_GENERATOR, _generator),
    (inspect.CO_COROUTINE, _coroutine),
)
"""By what the code of a function says of it; a function that says nothing of this gives a value."""


def _followed(drive: Callable[[Step, Any], Any]) -> Callable[[Step, Any], Any]:
    def follow(step: Step, result: Any) -> Any:
        step.shape = type(result).__name__
        return drive(step, result)

    return follow


_FOLLOWED: Final[dict[type, Callable[[Step, Any], Any]]] = {
    CoroutineType: _followed(_awaited),
    GeneratorType: _followed(lambda step, result: driver(lambda args, kwargs: (step, result))()),
    AsyncGeneratorType: _followed(lambda step, result: async_driver(lambda args, kwargs: (step, result))()),
    **blocks.FOLLOWED,
}
"""Results that are not values yet, and how they are recorded to their end."""
