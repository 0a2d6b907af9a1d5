"""The decorators ``@trace``, ``@tool`` ... and the block ``with step(...)``: how a program names its own steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast, overload

import msgspec

from agentrace.capture import process
from agentrace.capture.arguments import ignorable
from agentrace.capture.call import begin, complete, fail
from agentrace.capture.codec import Codec
from agentrace.capture.entering import AlsoAsync
from agentrace.capture.scope import FLOW
from agentrace.capture.shapes import wrap
from agentrace.capture.standin import stand_in
from agentrace.capture.step import Kind, Spec, Step
from agentrace.errors import ConfigError

if TYPE_CHECKING:
    from functools import partialmethod, singledispatchmethod

    Decorated: TypeAlias = (
        Callable[..., Any]
        | classmethod[Any, Any, Any]
        | staticmethod[Any, Any]
        | partialmethod[Any]
        | singledispatchmethod[Any]
    )

F = TypeVar("F", bound="Decorated")

Effects = Literal["none", "read", "write", ""]
Replay = Literal["answer", "reexecute", ""]


class Decorator(Protocol):
    """What ``@trace`` and its siblings are: usable with and without arguments."""

    @overload
    def __call__(
        self,
        function: F,
        /,
        *,
        name: str = "",
        effects: Effects = "",
        replay: Replay = "",
        ignore: Sequence[str] = (),
        codec: Codec | None = None,
    ) -> F: ...

    @overload
    def __call__(
        self,
        /,
        *,
        name: str = "",
        effects: Effects = "",
        replay: Replay = "",
        ignore: Sequence[str] = (),
        codec: Codec | None = None,
    ) -> Callable[[F], F]: ...


def decorator(kind: Kind, doc: str) -> Decorator:
    """The decorator whose steps are of ``kind``."""

    def decorate(function: Any = None, /, **options: Any) -> Any:
        if function is None:
            return functools.partial(decorate, **options)
        return traced(function, _spec(kind, **options))

    decorate.__doc__ = doc
    decorate.__name__ = decorate.__qualname__ = "trace" if kind == "task" else kind
    return cast("Decorator", decorate)


def _spec(
    kind: Kind,
    *,
    name: str = "",
    effects: str = "",
    replay: str = "",
    ignore: Sequence[str] = (),
    codec: Codec | None = None,
) -> Spec:
    if codec is not None and not isinstance(codec, Codec):
        raise ConfigError(
            f"codec was given a {type(codec).__name__}", do='write codec=agentrace.Codec("name/1", encode, decode)'
        )
    return Spec(kind, name, effects=effects, replay=replay, ignore=cast("tuple[str, ...]", ignore), codec=codec)


def traced(function: Any, spec: Spec) -> Any:
    """``function`` recorded as ``spec`` says; descriptors of a class body are looked through."""
    below = _BELOW.get(type(function))
    if below is not None:
        return below(function, spec)
    if not callable(function):
        raise ConfigError(
            f"@agentrace.{spec.kind} was put on a {type(function).__name__}, which cannot be called",
            do="decorate a function, method or callable object; of a property, the function below it",
            slug="not-callable",
        )
    if isinstance(function, type):
        raise ConfigError(
            f"@agentrace.{spec.kind} was put on the class {function.__qualname__}",
            do="decorate its methods instead, so that it stays a class",
            slug="not-callable",
        )
    settled = _settled(function, spec)
    return wrap(function, settled) if isinstance(function, FunctionType) else stand_in(function, settled)


def _settled(function: Any, spec: Spec) -> Spec:
    """What is known of every call of ``function``."""
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    named = spec.name or getattr(called, "__qualname__", type(called).__qualname__).replace("<locals>.", "")
    ignore = ignorable(function, spec.ignore) if spec.ignore else ()
    return msgspec.structs.replace(spec, name=named, ignore=ignore)


_BELOW: Final[dict[type, Callable[[Any, Spec], Any]]] = {
    staticmethod: lambda method, spec: staticmethod(traced(method.__func__, spec)),
    classmethod: lambda method, spec: classmethod(traced(method.__func__, spec)),
    functools.partialmethod: lambda method, spec: functools.partialmethod(
        traced(method.func, spec), *method.args, **method.keywords
    ),
    functools.singledispatchmethod: lambda method, spec: stand_in(method, _settled(method.func, spec)),
}
"""What a class body may hold instead of functions, and what becomes of the function below."""


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
