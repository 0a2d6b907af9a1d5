"""Which recorded exchange answers the next request of a step, and how a wire plays it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agentrace.capture.answers import END, HEAD
from agentrace.events import Failure
from agentrace.exchanges import Recorded

if TYPE_CHECKING:
    from agentrace.capture.step import Step

_CANCELLED: Final = "asyncio.exceptions:CancelledError"
_CANCELLATIONS: Final = frozenset({_CANCELLED, "builtins:GeneratorExit"})
"""Classes, or bases, of what is raised in a request that was told to stop."""


def served(step: Step) -> Recorded:
    """The recorded exchange that answers the next request of ``step``."""
    exchanges: Sequence[Recorded] = step.answer.exchanges
    number = step.exchanges
    if number < len(exchanges):
        return exchanges[number]
    if step.answer.never:  # cancelled before it made this request, which then gets no answer either
        return Recorded(number + 1, error=Failure(_CANCELLED, ""))
    raise step.run.stopped(
        "RECORD_INCOMPLETE",
        f"{step.path} makes request {number + 1}, but the record holds {len(exchanges)}",
        step,
    )


def head(step: Step, recorded: Recorded) -> None:
    """Raise what the transport raised, if there was no response."""
    if recorded.error is not None and _cancelled(recorded.error):
        step.answer.turns.never()
    step.answer.turns.wait(recorded.number, HEAD)
    if recorded.error is not None:
        raise step.answer.rebuild(recorded.error)


async def head_in_turn(step: Step, recorded: Recorded) -> None:
    """The same for an async client."""
    if recorded.error is not None and _cancelled(recorded.error):
        await step.answer.turns.never_turn()
    await step.answer.turns.turn(recorded.number, HEAD)
    if recorded.error is not None:
        raise step.answer.rebuild(recorded.error)


def body(step: Step, recorded: Recorded) -> Iterator[bytes]:
    """The chunks of the response's body, and then how it ended; each in its turn."""
    turns = step.answer.turns
    for part, chunk in enumerate(recorded.chunks()):
        turns.wait(recorded.number, part)
        yield chunk
    if recorded.broken is not None and _cancelled(recorded.broken):
        turns.never()
    turns.wait(recorded.number, END)
    _end(step, recorded)


async def body_in_turn(step: Step, recorded: Recorded) -> AsyncIterator[bytes]:
    """The same for an async client."""
    turns = step.answer.turns
    for part, chunk in enumerate(recorded.chunks()):
        await turns.turn(recorded.number, part)
        yield chunk
    if recorded.broken is not None and _cancelled(recorded.broken):
        await turns.never_turn()
    await turns.turn(recorded.number, END)
    _end(step, recorded)


def _end(step: Step, recorded: Recorded) -> None:
    if recorded.broken is not None:
        raise step.answer.rebuild(recorded.broken)
    if recorded.closed:
        raise step.run.stopped(
            "RECORD_INCOMPLETE", f"the program reads the answer to {step.path} further than the recorded run did", step
        )


def _cancelled(failure: Failure) -> bool:
    return not _CANCELLATIONS.isdisjoint((failure.type, *failure.bases))
