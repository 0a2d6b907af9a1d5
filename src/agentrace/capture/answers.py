"""How a recorded outcome is handed to the program on a replay: returned, raised or streamed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NoReturn

from msgspec import Struct

from agentrace.capture.call import chunk, complete, fail
from agentrace.capture.step import Step
from agentrace.events import Failure


def _unknown(failure: Failure) -> BaseException:
    return RuntimeError(f"{failure.type}: {failure.message}")


class Answer(Struct, frozen=True):
    """What the record holds for one call."""

    source_step: int
    """The step of the source run that answers."""
    value: Any = None
    """What the call returns, if nothing is raised."""
    error: BaseException | None = None
    """What the call raises."""
    chunks: list[tuple[str, Any]] = []
    """For a stream: ``(op, element)`` in recorded order."""
    closed: bool = False
    """For a stream: its consumer closed it early, so what would follow is not in the record."""
    never: bool = False
    """The call was cancelled before it ended, so it does not end again until it is."""
    exchanges: list[Any] = []
    """Recorded exchanges, for a call whose library makes its output from them."""
    rebuild: Callable[[Failure], BaseException] = _unknown
    """Makes an exception of how an exchange failed."""


def answering(step: Step) -> bool:
    """Whether ``step`` is answered from a record; asks the tape, which raises if the call is not the recorded one."""
    tape = step.run.tape
    if tape is None or not step.spec.answered:
        return False
    step.answer = tape.answer(step)
    return step.answer is not None


def answered(step: Step) -> Any:
    """Return or raise what the record holds."""
    answer: Answer = step.answer
    if answer.chunks:
        return answered_stream(step)
    if answer.never:
        raise step.run.stopped("TIMEOUT", f"{step.path} was cancelled in the recorded run", step)
    if answer.error is not None:
        fail(step, answer.error)
        raise answer.error
    complete(step, answer.value)
    return answer.value


async def awaited_answer(step: Step) -> Any:
    """The same for a coroutine: control passes to the loop once, as it would for a real call."""
    try:
        if step.answer.never:
            await never(step)
        await control_passed()
    except BaseException as error:
        fail(step, error)
        raise
    return answered(step)


async def control_passed() -> None:
    """Let other tasks run once, where an asyncio loop is running."""
    import asyncio

    if asyncio._get_running_loop() is not None:
        await asyncio.sleep(0)


async def never(step: Step) -> NoReturn:
    """Wait for the cancellation that ended the call in the recorded run."""
    import asyncio

    if asyncio._get_running_loop() is not None:
        await asyncio.get_running_loop().create_future()
    raise step.run.stopped("TIMEOUT", f"{step.path} was cancelled in the recorded run", step)


def answered_stream(step: Step | None) -> Generator[Any, Any, Any]:
    """Yield what the record holds, then end as it did."""
    assert step is not None
    answer: Answer = step.answer
    try:
        for op, item in answer.chunks:
            if op == "yield":
                chunk(step, op, item)
                yield item
    except GeneratorExit:
        complete(step, None, "closed_by_consumer")
        raise
    if answer.closed:
        raise step.run.stopped(
            "RECORD_INCOMPLETE", f"the program reads {step.path} further than the recorded run did", step
        )
    if answer.error is not None:
        fail(step, answer.error)
        raise answer.error
    complete(step, answer.value, "exhausted")
    return answer.value
