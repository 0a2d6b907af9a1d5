"""Every shape of callable does what it did, and what it was given and gave is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import agentrace
from agentrace import events
from agentrace.errors import ConfigError
from agentrace.testing import MemoryRecorder, recorded
from tests.unit import capture_programs as program


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


def told(record: MemoryRecorder) -> list[Any]:
    """Each step as ``(name, input, outcome, output)``."""
    return [
        (
            step.name,
            record.python(step.dispatched.input),
            step.ended and step.ended.outcome,
            record.python(step.ended.output) if isinstance(step.ended, events.StepCompleted) else None,
        )
        for step in record.steps
    ]


# --- calls --------------------------------------------------------------------------------------------------


def test_arguments_are_told_by_their_names(record: MemoryRecorder) -> None:
    assert program.add(1) == 6
    assert program.add(1, 5, 7, 8, c=1, d=2) == 24
    assert program.add(b=1, a=2) == 6

    assert told(record) == [
        ("add", {"a": 1}, "ok", 6),
        ("add", {"a": 1, "b": 5, "*args": [7, 8], "c": 1, "d": 2}, "ok", 24),
        ("add", {"b": 1, "a": 2}, "ok", 6),
    ]


def test_a_call_that_does_not_fit_fails_as_ever(record: MemoryRecorder) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        program.add()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="multiple values for argument 'a'"):
        program.add(1, a=2)  # type: ignore[misc]

    assert [name for name, _, outcome, _ in told(record) if outcome == "error"] == ["add", "add"]


def test_methods_of_every_kind(record: MemoryRecorder) -> None:
    shop = program.Shop.open("Kiosk")

    assert shop.buy("tea") == "Kiosk: tea"
    assert (shop.price("tea"), program.Shop.price("tea"), program.Shop.weight("tea")) == (3, 3, 3)
    assert program.Shop.closed("now") == "Shop now"
    assert asyncio.run(shop.deliver(item="tea")) == "tea"

    assert [(name, given) for name, given, _, _ in _without_output(record)] == [
        ("Shop.open", {"name": "Kiosk"}),
        ("Shop.buy", {"item": "tea"}),
        ("Shop.price", {"item": "tea"}),
        ("Shop.price", {"item": "tea"}),
        ("Shop.weight", {"item": "tea"}),
        ("Shop.closed", {"name": "now"}),
        ("Shop.deliver", {"item": "tea"}),
    ]


def _without_output(record: MemoryRecorder) -> list[Any]:
    return [(s.name, record.python(s.dispatched.input), s.ended and s.ended.outcome, None) for s in record.steps]


@pytest.mark.parametrize(
    ("make", "given", "result"),
    [
        (lambda: functools.partial(program.Adder(1), 2), {}, 3),
        (lambda: functools.partial(lambda a, b: a - b, 5), {"b": 3}, 2),
        (lambda: program.Adder(1), {"b": 2}, 3),
        (lambda: len, {"obj": "ab"}, 2),
        (lambda: program.Adder(3).__call__, {"b": 2}, 5),
    ],
    ids=["partial of an object", "partial of a function", "object", "builtin", "bound method"],
)
def test_whatever_can_be_called_can_be_recorded(
    make: Callable[[], Any], given: dict[str, Any], result: int, record: MemoryRecorder
) -> None:
    recorded_one = agentrace.tool(make(), name="it")

    assert recorded_one(*given.values()) == result

    assert told(record) == [("it", given or {}, "ok", result)]


@pytest.mark.parametrize("make", [lambda: program.AsyncAdder(1), lambda: functools.partial(program.AsyncAdder(1))])
def test_what_gives_a_coroutine_is_recorded_to_its_end(make: Callable[[], Any], record: MemoryRecorder) -> None:
    recorded_one = agentrace.tool(make(), name="it")

    assert asyncio.run(recorded_one(2)) == 3

    assert told(record) == [("it", {"b": 2}, "ok", 3)]


def test_a_partial_is_called_what_it_calls(record: MemoryRecorder) -> None:
    agentrace.tool(functools.partial(functools.partial(inspect.unwrap(program.add), 1), 2))()
    agentrace.tool(program.Adder(1))(2)

    assert [step.name for step in record.steps] == ["add", "Adder"]


def test_a_coroutine_and_streams(record: MemoryRecorder) -> None:
    async def main() -> list[Any]:
        return [await program.fetch(5), [item async for item in program.stream(2)]]

    assert asyncio.run(main()) == [5, [0, 1]]
    assert list(program.count(2)) == [0, 1]

    assert told(record) == [
        ("fetch", {"a": 5}, "ok", 5),
        ("stream", {"n": 2}, "exhausted", None),
        ("count", {"n": 2}, "exhausted", "done"),
    ]
    assert [step.chunks for step in record.steps] == [0, 2, 2]


def test_nothing_is_recorded_outside(record: MemoryRecorder) -> None:
    agentrace.shutdown()

    assert program.add(1) == 6
    assert list(program.count(1)) == [0]
    assert asyncio.run(program.fetch(1)) == 1

    assert record.written == []


@pytest.mark.parametrize("target", [1, int, None, "text"])
def test_what_cannot_be_decorated_is_told(target: Any) -> None:
    if target is None:
        assert callable(agentrace.tool(target))
        return
    with pytest.raises(ConfigError, match="was put on"):
        agentrace.tool(target)


# --- exceptions ---------------------------------------------------------------------------------------------


def test_the_very_exception_comes_out_and_is_told_whole(record: MemoryRecorder) -> None:
    with pytest.raises(program.Refused) as caught:
        program.refuse()

    failure = record.steps[0].failure
    assert caught.value is program.ERROR
    assert failure is not None
    assert failure.type == "tests.unit.capture_programs:Refused"
    assert failure.message == "refused with 7"
    assert failure.bases[0] == "builtins:Exception"
    assert (record.python(failure.args), record.python(failure.fields)) == (
        ["refused with 7"],
        {"code": 7, "field": "f"},
    )
    assert failure.notes == ["a note"]
    assert [(cause.type, cause.message) for cause in failure.causes] == [
        ("builtins:ValueError", "invalid literal for int() with base 10: 'x'")
    ]
    assert "raise ERROR from cause" in failure.traceback


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _circular() -> Exception:
    error = ValueError("a")
    error.__cause__ = KeyError("b")
    error.__cause__.__cause__ = error
    return error


def _noted(notes: Any) -> Exception:
    error = ValueError("a")
    error.__notes__ = notes
    return error


@pytest.mark.parametrize(
    "error",
    [
        Mute(),
        _circular(),
        _noted(None),
        _noted([Mute(), 1]),
        ValueError("\ud800 and \udcff"),
        ExceptionGroup("several", [ValueError("a"), ExceptionGroup("more", [KeyError("b")])]),
        SystemExit(3),
        KeyboardInterrupt(),
        StopIteration(1),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        ValueError(object(), lambda: 1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_any_kind_is_the_callers_and_is_told(error: BaseException, record: MemoryRecorder) -> None:
    with pytest.raises(type(error)) as caught:
        program.leave(error)

    assert caught.value is error
    assert [step.status for step in record.steps] == ["failed"]
    assert [event.seq for event in record.events] == list(range(1, len(record.events) + 1))


def test_a_cancellation_is_no_error(record: MemoryRecorder) -> None:
    async def main() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(slow(), 0.001)

    @agentrace.tool(name="slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    asyncio.run(main())

    ends = [step.ended for step in record.steps]
    assert [(end.outcome, end.source) for end in ends if isinstance(end, events.StepFailed)] == [
        ("cancelled", "task"),
        ("cancelled", "task"),
    ]


def test_a_cancelled_future_is_an_error_of_who_asks_for_its_result(record: MemoryRecorder) -> None:
    import concurrent.futures

    with pytest.raises(concurrent.futures.CancelledError):
        program.leave(concurrent.futures.CancelledError())

    assert [step.status for step in record.steps] == ["failed"]
