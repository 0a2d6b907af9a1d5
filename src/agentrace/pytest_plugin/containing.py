"""Divergences on their way out of a test's code, made into failures that pytest and its plugins know how to pass on.

A divergence is a ``BaseException``, so that no program takes it for an error of its own. Those who run the coroutines
of tests take it for the end of the task in which other tests run as well, and pytest, where a fixture raises it at its
end, for a reason not to tear the others down.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Generator
from contextlib import aclosing, contextmanager
from typing import Any, Final

import pytest

from agentrace.errors import ReplayDivergence


def is_divergence(error: BaseException) -> bool:
    """Whether an exception is a divergence, a group of nothing else, or a failure that stands for one."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_divergence, error.exceptions))
    if isinstance(error, pytest.fail.Exception) and error.__cause__ is not None:
        return is_divergence(error.__cause__)
    return isinstance(error, ReplayDivergence)


@contextmanager
def contained(owner: Any, name: str, instance: object = None) -> Generator[None]:
    """Meanwhile ``owner.name``, a test or a fixture, raises no divergence as what it is, if it is a coroutine or a
    generator. A method is bound to ``instance``, if one is given, as pytest does it."""
    function: Any = getattr(owner, name, None)
    make = next((make for is_one, make in _CONTAINING if is_one(function)), None)
    if make is None:
        yield
        return
    bound = function
    if instance is not None and inspect.ismethod(function) and isinstance(instance, type(function.__self__)):
        bound = function.__func__.__get__(instance)
    setattr(owner, name, functools.wraps(bound)(make(bound)))
    try:
        yield
    finally:
        setattr(owner, name, function)


def _coroutine(function: Any) -> Any:
    async def contained(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _as_failure():
            return await function(*args, **kwargs)

    return contained


def _async_generator(function: Any) -> Any:
    async def contained(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _as_failure():
            async with aclosing(function(*args, **kwargs)) as values:
                async for value in values:
                    yield value

    return contained


def _generator(function: Any) -> Any:
    def contained(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _as_failure():
            yield from function(*args, **kwargs)

    return contained


_CONTAINING: Final = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
)


@contextmanager
def _as_failure() -> Generator[None]:
    __tracebackhide__ = True
    try:
        yield
    except (ReplayDivergence, BaseExceptionGroup) as error:
        if is_divergence(error):
            raise pytest.fail.Exception(str(error), pytrace=False) from error
        raise
