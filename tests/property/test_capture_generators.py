"""Generators: whatever a program does with one, it sees the same with and without the recording, and all of it is
recorded."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import agentrace
from agentrace.testing import MemoryRecorder, recorded

BODIES = st.lists(st.sampled_from(["yield", "guarded", "stubborn", "raise", "stop", "cleanup"]), max_size=5)
DRIVES = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from([None, 0, "x", [1]])),
        st.tuples(st.just("throw"), st.sampled_from([KeyError, ValueError, GeneratorExit, StopIteration])),
        st.just(("close", None)),
    ),
    max_size=8,
)


def speaking(body: list[str]) -> Generator[Any, Any, list[Any]]:
    got: list[Any] = []
    for action in body:
        if action == "yield":
            got.append((yield len(got)))
        elif action == "guarded":
            try:
                got.append((yield "guarded"))
            except KeyError as error:
                got.append(type(error).__name__)
        elif action == "stubborn":
            try:
                yield "stubborn"
            except GeneratorExit:
                got.append("not yet")
        elif action == "cleanup":
            try:
                yield "cleanup"
            finally:
                tidy(len(got))
        elif action == "raise":
            raise ValueError(len(got))
        else:
            raise StopIteration(len(got))
    return got


async def speaking_async(body: list[str]) -> AsyncGenerator[Any, Any]:
    for action in body:
        if action == "yield":
            yield [(yield "first")]
        elif action == "guarded":
            try:
                yield "guarded"
            except KeyError as error:
                yield type(error).__name__
        elif action == "stubborn":
            try:
                yield "stubborn"
            except GeneratorExit:
                await Turn()
        elif action == "cleanup":
            try:
                await Turn()
                yield "cleanup"
            finally:
                await Turn()
                tidy(0)
        elif action == "raise":
            raise ValueError(action)
        else:
            raise StopAsyncIteration(action)


ENDING = [("close", None)] * 6
"""More often than a body can refuse to be closed."""


class Turn:
    """What a coroutine waits for: one turn of whoever drives it."""

    def __await__(self) -> Generator[str, None, None]:
        yield "turn"


@agentrace.trace
def tidy(number: int) -> int:
    return number


def seen(act: Callable[[], Any]) -> Any:
    """What comes of an action, as it can be compared."""
    try:
        return "gives", act()
    except BaseException as error:
        return type(error).__name__, error.args, type(error.__cause__).__name__


def through(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing but turns, and how many those were."""
    turns = 0
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return turns, stop.value
        turns += 1


def drive(generator: Any, script: list[tuple[str, Any]]) -> list[Any]:
    acts: dict[str, Callable[[Any], Any]] = {
        "next": lambda _: next(generator),
        "send": lambda value: generator.send(value),
        "throw": lambda kind: generator.throw(kind("thrown")),
        "close": lambda _: generator.close(),
    }
    return [seen(lambda: acts[op](value)) for op, value in [*script, *ENDING]]  # noqa: B023


@contextmanager
def complaints() -> Iterator[list[Any]]:
    """What Python says about generators that refuse to be closed even when nobody holds them any more."""
    told: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda said: told.append(("complains", str(said.exc_value)))
    try:
        yield told
    finally:
        sys.unraisablehook = before


def drive_async(make: Callable[[], Any], script: list[tuple[str, Any]]) -> list[Any]:
    generator: Any = make()
    acts: dict[str, Callable[[Any], Any]] = {
        "next": lambda _: through(generator.__anext__()),
        "send": lambda value: through(generator.asend(value)),
        "throw": lambda kind: through(generator.athrow(kind("thrown"))),
        "close": lambda _: through(generator.aclose()),
    }
    with complaints() as told:
        results = [seen(lambda: acts[op](value)) for op, value in [*script, *ENDING]]  # noqa: B023
        generator = None
    return [*results, *told]


@settings(deadline=None, max_examples=60)
@given(BODIES, DRIVES)
def test_a_generator_answers_as_it_does_unrecorded(body: list[str], script: list[tuple[str, Any]]) -> None:
    plain = drive(speaking(body), script)

    with recorded() as record:
        observed = drive(agentrace.tool(speaking)(body), script)

    assert observed == plain
    if record.steps:
        _all_is_recorded(record, plain, body)
    else:
        assert not any(kind == "gives" and value is not None for kind, value, *_ in plain)


@settings(deadline=None, max_examples=60)
@given(BODIES, DRIVES)
@example(["stubborn", "stubborn"], [("next", None)])
def test_an_async_generator_answers_as_it_does_unrecorded(body: list[str], script: list[tuple[str, Any]]) -> None:
    plain = drive_async(lambda: speaking_async(body), script)

    with recorded() as record:
        observed = drive_async(lambda: agentrace.tool(speaking_async)(body), script)

    assert observed == plain
    if record.steps:
        _all_is_recorded(record, [(kind, value[1] if kind == "gives" else value) for kind, value, *_ in plain], body)


@settings(deadline=None, max_examples=60)
@given(BODIES, DRIVES)
def test_what_comes_out_of_a_plain_function_is_followed_too(body: list[str], script: list[tuple[str, Any]]) -> None:
    plain = drive(speaking(body), script)

    with recorded() as record:
        observed = drive(agentrace.tool(lambda given: speaking(given))(body), script)

    assert observed == plain
    assert [step.name for step in record.steps][:1] == [
        "test_what_comes_out_of_a_plain_function_is_followed_too.<lambda>"
    ]


def _all_is_recorded(record: MemoryRecorder, plain: list[Any], body: list[str]) -> None:
    """What was handed over is in the record, in order; and what the generator did while it was closed is inside it."""
    streamed = [chunk for event in record.events if type(event).__name__ == "StreamChunks" for chunk in event.chunks]
    yielded = [record.python(chunk.data) for chunk in streamed if chunk.op == "yield"]
    first, *inside = record.steps

    assert first.ended is not None
    assert first.chunks == len(yielded)
    assert all(step.dispatched.parent == first.id for step in inside)
    if "stubborn" not in body:
        assert yielded == [result[1] for result in plain if result[0] == "gives" and result[1] is not None]
