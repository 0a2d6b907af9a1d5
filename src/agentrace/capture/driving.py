"""Generators that run another one for its consumer, and record what passes in both directions.

The step's flow is entered at each resumption and left at each yield; in that of a context manager (``inside``) only at
the end, so that the steps of the block are inside the step.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, TypeAlias

from agentrace.capture import scope
from agentrace.capture.call import chunk, complete, fail
from agentrace.capture.step import Step

CLOSED: Final = "closed_by_consumer"

Begun: TypeAlias = tuple[Step | None, Generator[Any, Any, Any]]
BegunAsync: TypeAlias = tuple[Step | None, AsyncGenerator[Any, Any]]


def driver(start: Callable[[tuple[Any, ...], dict[str, Any]], Begun], inside: bool = False) -> Callable[..., Any]:
    """A generator function that runs what ``start`` gives, recorded in the step that it gives with it."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step, generator = start(args, kwargs)
        if step is None:
            return (yield from generator)
        around = scope.FLOW.get()
        resume: Callable[[], Any] = generator.__next__
        while True:
            outside = scope.FLOW.get()
            scope.FLOW.set(step)
            try:
                item = resume()
            except StopIteration as stop:
                scope.FLOW.set(_after(step, outside, around))
                complete(step, stop.value, CLOSED if step.closing else "exhausted")
                return stop.value
            except BaseException as error:
                scope.FLOW.set(_after(step, outside, around))
                _failed(step, error)
                raise
            if not inside:
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


def async_driver(
    start: Callable[[tuple[Any, ...], dict[str, Any]], BegunAsync], inside: bool = False
) -> Callable[..., Any]:
    """An async generator function that does the same."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step, generator = start(args, kwargs)
        around = scope.FLOW.get()
        resume: Any = generator.__anext__()
        while True:
            outside = scope.FLOW.get()
            _enter(step)
            try:
                item = await resume
            except StopAsyncIteration:
                scope.FLOW.set(_after(step, outside, around))
                if step is not None:
                    complete(step, None, CLOSED if step.closing else "exhausted")
                return
            except BaseException as error:
                scope.FLOW.set(_after(step, outside, around))
                if step is not None:
                    _failed(step, error)
                raise
            if not inside:
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


def _after(step: Step | None, outside: Any, around: Any) -> Any:
    """Where the program is when a step is over: where it was before that, or, if it is inside the step, around it.

    Blocks may be left in another order than they were entered in, and in another task.
    """
    if step is None or outside is None or (outside is not step and outside is not step._inner):
        return outside
    while type(around) is Step and around.ended:
        around = around.outer
    return around


def _failed(step: Step, error: BaseException) -> None:
    if step.closing and isinstance(error, GeneratorExit):
        complete(step, None, CLOSED)
    else:
        fail(step, error)


def _enter(step: Step | None) -> None:
    if step is not None:
        scope.FLOW.set(step)


def _passed(step: Step | None, op: str, item: Any) -> None:
    if step is not None:
        chunk(step, op, item)
