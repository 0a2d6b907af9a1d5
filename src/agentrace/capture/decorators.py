"""The decorators ``@trace``, ``@tool`` ... and the block ``with step(...)``: how a program names its own steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar, cast, overload

from agentrace.capture import process
from agentrace.capture.call import begin, complete, fail
from agentrace.capture.entering import AlsoAsync
from agentrace.capture.scope import FLOW
from agentrace.capture.shapes import wrap
from agentrace.capture.step import Kind, Spec, Step
from agentrace.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

Effects = Literal["none", "read", "write", ""]
Replay = Literal["answer", "reexecute", ""]


class Decorator(Protocol):
    """What ``@trace`` and its siblings are: usable with and without arguments."""

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(self, /, *, name: str = "", effects: Effects = "", replay: Replay = "") -> Callable[[F], F]: ...


def decorator(kind: Kind, doc: str) -> Decorator:
    """The decorator whose steps are of ``kind``."""

    def decorate(function: Any = None, /, *, name: str = "", effects: Effects = "", replay: Replay = "") -> Any:
        if function is None:
            return functools.partial(decorate, name=name, effects=effects, replay=replay)
        return traced(function, Spec(kind, name, effects=effects, replay=replay))

    decorate.__doc__ = doc
    decorate.__name__ = decorate.__qualname__ = "trace" if kind == "task" else kind
    return cast("Decorator", decorate)


def traced(function: Any, spec: Spec) -> Any:
    """``function`` recorded as ``spec`` says; descriptors of a class body are looked through."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(traced(function.__func__, spec))
    if not callable(function):
        raise ConfigError(
            f"@agentrace.{spec.kind} was put on a {type(function).__name__}, which cannot be called",
            do="decorate a function, method or callable object",
            slug="not-callable",
        )
    if isinstance(function, type):
        raise ConfigError(
            f"@agentrace.{spec.kind} was put on the class {function.__qualname__}",
            do="decorate its methods instead, so that it stays a class",
            slug="not-callable",
        )
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    named = spec.name or getattr(called, "__qualname__", type(called).__qualname__).replace("<locals>.", "")
    return wrap(function, Spec(spec.kind, named, effects=spec.effects, replay=spec.replay))


trace = decorator("task", "Record each call as a step of kind ``task``; such steps run again on a replay.")
agent = decorator("agent", "Record each call as a step of kind ``agent``; such steps run again on a replay.")
planner = decorator("planner", "Record each call as a step of kind ``planner``.")
validator = decorator("validator", "Record each call as a step of kind ``validator``.")
safety = decorator("safety", "Record each call as a step of kind ``safety``.")
tool = decorator("tool", "Record each call as a tool step, which a replay answers from the record.")
retriever = decorator("retriever", "Record each call as a retriever step, which a replay answers from the record.")
model = decorator("model", "Record each call as a model step, which a replay answers from the record.")
embedding = decorator("embedding", "Record each call as an embedding step, which a replay answers from the record.")


class step(AlsoAsync):
    """A block as a step: ``with step("plan") as s: ...; s.output = plan``; also ``async with``.

    Args:
        name: what the step is called.
        kind: a step kind; the block is executed on a replay whatever its kind.
        input: what the step is given, for the record.
    """

    output: Any = None
    """What the step gives, for the record. Set it inside the block."""

    def __init__(self, name: str, *, kind: Kind = "task", input: Any = None) -> None:  # noqa: A002
        self._spec = Spec(kind, name, replay="reexecute")
        self._input = input
        self._step: Step | None = None

    def __enter__(self) -> step:
        self.output = None
        self._step = None if process.current is None else begin(self._spec, self._input, 2)
        if self._step is not None:
            FLOW.set(self._step)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        current = self._step
        if current is None:
            return
        FLOW.set(current.outer)
        if error is None:
            complete(current, self.output)
        else:
            fail(current, error)
