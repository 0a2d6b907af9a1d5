"""The four shapes of a callable, each wrapped by a callable of the same shape around ``call``'s begin and end.

Wrappers are plain functions that close over the wrapped function and its frozen :class:`Spec` only; ``scope.FLOW`` is
looked up in its module, so that a wrapper can be pickled by value, as cloudpickle does. A result that is
itself a coroutine or generator (from a partial, a lambda, an undecorated factory) is recorded to its own end.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType
from typing import Any, Final

from agentrace.capture import process, scope
from agentrace.capture.answers import answered, answered_async_stream, answered_stream, answering, awaited_answer
from agentrace.capture.call import begin, chunk, complete, fail
from agentrace.capture.step import Spec, Step


def wrap(function: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    """A callable of ``function``'s own shape that records each call of it."""
    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(function, spec)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, spec)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(function, spec)
    else:
        wrapper = _plain(function, spec)
    return functools.wraps(function)(wrapper)


def arguments(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Any]:
    """How the arguments of a call of ``function`` are told: ``{parameter: value}``, without ``self``.

    Calls whose arguments do not fit the signature are told as ``{"args": [...], "kwargs": {...}}``.
    """
    names, skip = _parameters(function)
    if names is None:
        return lambda args, kwargs: {"args": list(args), "kwargs": dict(kwargs)} if args else dict(kwargs)
    count = len(names)
    only = names[0] if count == 1 and not skip else None

    def told(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if only is not None and not kwargs and len(args) == 1:
            return {only: args[0]}
        if not kwargs and len(args) - skip <= count:
            return dict(zip(names, args[skip:] if skip else args, strict=False))
        given = dict(zip(names, args[skip:], strict=False))
        if len(args) - skip > count:
            given["*args"] = list(args[skip + count :])
        if given.keys() & kwargs.keys():
            return {"args": list(args[skip:]), "kwargs": dict(kwargs)}
        given.update(kwargs)
        return given

    return told


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...] | None, int]:
    """Names of the positional parameters, and how many of them (``self``, ``cls``) are not told."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None, 0
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    in_class = "." in getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
    skip = 1 if in_class and names[:1] in (("self",), ("cls",)) and isinstance(function, FunctionType) else 0
    return names[skip:], skip


def _plain(function: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    told = arguments(function)

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
            step.shape = type(result).__name__
            return follow(step, result)
        complete(step, result)
        return result

    return wrapper


def _coroutine(function: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    told = arguments(function)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = None if process.current is None else begin(spec, told(args, kwargs), 2)
        if step is None:
            return await function(*args, **kwargs)
        if answering(step):
            return await awaited_answer(step)
        return await _awaited(step, function(*args, **kwargs))

    return wrapper


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


def _generator(function: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    told = arguments(function)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Step | None, Generator[Any, Any, Any]]:
        step = None if process.current is None else begin(spec, told(args, kwargs), 3)
        if step is not None and answering(step):
            return None, answered_stream(step)
        return step, function(*args, **kwargs)

    return _driver(start)


_Begun = tuple[Step | None, Generator[Any, Any, Any]]


def _driver(start: Callable[[tuple[Any, ...], dict[str, Any]], _Begun]) -> Callable[..., Any]:
    """A generator function that runs what ``start`` gives for its consumer: its flow is entered at each resumption and
    left at each yield."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step, generator = start(args, kwargs)
        if step is None:
            return (yield from generator)
        resume: Callable[[], Any] = generator.__next__
        while True:
            outside = scope.FLOW.get()
            scope.FLOW.set(step)
            try:
                item = resume()
            except StopIteration as stop:
                scope.FLOW.set(outside)
                complete(step, stop.value, _CLOSED if step.closing else "exhausted")
                return stop.value
            except BaseException as error:
                scope.FLOW.set(outside)
                _generator_failed(step, error)
                raise
            scope.FLOW.set(outside)
            chunk(step, "yield", item)
            try:
                sent = yield item
            except GeneratorExit as closing:
                # Thrown on like anything else, so that closing this one does all that closing the other would.
                step.closing = True
                resume = functools.partial(generator.throw, closing)
            except BaseException as thrown:
                chunk(step, "throw", thrown)
                resume = functools.partial(generator.throw, thrown)
            else:
                if sent is None:
                    resume = generator.__next__
                else:
                    chunk(step, "send", sent)
                    resume = functools.partial(generator.send, sent)

    return wrapper


_CLOSED: Final = "closed_by_consumer"


def _generator_failed(step: Step, error: BaseException) -> None:
    if step.closing and isinstance(error, GeneratorExit):
        complete(step, None, _CLOSED)
    else:
        fail(step, error)


def _async_generator(function: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    told = arguments(function)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Step | None, AsyncGenerator[Any, Any]]:
        step = None if process.current is None else begin(spec, told(args, kwargs), 3)
        if step is not None and answering(step):
            return None, answered_async_stream(step)
        return step, function(*args, **kwargs)

    return _async_driver(start)


_Start = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Step | None, AsyncGenerator[Any, Any]]]


def _async_driver(start: _Start) -> Callable[..., Any]:
    """An async generator function that runs what ``start`` gives, as ``_driven`` does for generators."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step, generator = start(args, kwargs)
        resume: Any = generator.__anext__()
        while True:
            outside = scope.FLOW.get()
            _enter(step)
            try:
                item = await resume
            except StopAsyncIteration:
                scope.FLOW.set(outside)
                if step is not None:
                    complete(step, None, _CLOSED if step.closing else "exhausted")
                return
            except BaseException as error:
                scope.FLOW.set(outside)
                if step is not None:
                    _generator_failed(step, error)
                raise
            scope.FLOW.set(outside)
            _passed(step, "yield", item)
            try:
                sent = yield item
            except GeneratorExit as closing:
                if step is not None:
                    step.closing = True
                resume = generator.athrow(closing)
            except BaseException as thrown:
                _passed(step, "throw", thrown)
                resume = generator.athrow(thrown)
            else:
                if sent is not None:
                    _passed(step, "send", sent)
                resume = generator.__anext__() if sent is None else generator.asend(sent)

    return wrapper


def _enter(step: Step | None) -> None:
    if step is not None:
        scope.FLOW.set(step)


def _passed(step: Step | None, op: str, item: Any) -> None:
    if step is not None:
        chunk(step, op, item)


_FOLLOWED: Final[dict[type, Callable[[Step, Any], Any]]] = {
    CoroutineType: _awaited,
    GeneratorType: lambda step, result: _driver(lambda args, kwargs: (step, result))(),
    AsyncGeneratorType: lambda step, result: _async_driver(lambda args, kwargs: (step, result))(),
}
"""Results that are not values yet, and how they are recorded to their end."""
