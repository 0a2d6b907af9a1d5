"""Which recorded exchange answers the next request of a step, and how a wire plays it back."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from agentrace.capture.answers import END, HEAD, Answer
from agentrace.capture.requests import Asked, asked, own, same
from agentrace.events import Failure
from agentrace.exchanges import Recorded

if TYPE_CHECKING:
    from agentrace.capture.step import Step

_CANCELLED: Final = "asyncio.exceptions:CancelledError"
_CANCELLATIONS: Final = frozenset(
    {_CANCELLED, "builtins:GeneratorExit", "trio:Cancelled", "greenlet:GreenletExit", "gevent.timeout:Timeout"}
)
"""Classes, or bases, of what is raised in a request that was told to stop."""


def served(step: Step, method: str, url: str) -> Recorded:
    """The recorded exchange that answers the next request of ``step``: the next that asked for the same.

    A client that signs in by itself does so where its token is missing or too old, which is not the program's doing and
    may be another time on a replay. So what it asked for that is left out is passed over, and what it asks for that was
    asked elsewhere is answered as it was there.
    """
    live, operation = asked(method, step.run.redactor.url(url)), step.spec.operation
    answer: Answer = step.answer
    left, elsewhere = answer.exchanges, answer.elsewhere
    assert elsewhere is not None
    for at, recorded in enumerate(left):
        past = asked(recorded.method, recorded.url)
        if not recorded.url or same(past, live, operation, elsewhere.hosts):
            before = left[:at]
            del left[: at + 1]
            if before:
                _noted(step, "does not sign in where it did in the recorded run")
            return replace(recorded, before=before) if before else recorded
        if not elsewhere.is_sign_in(past, operation):
            break
    again = elsewhere.sign_in(live, operation, answer.source_step)
    if again is not None:
        _noted(step, "signs in where it did not in the recorded run, and is handed what it was handed elsewhere")
        return again
    if answer.never and not left:  # cancelled before it made this request, which then gets no answer either
        return Recorded(step.exchanges + 1, error=Failure(_CANCELLED, ""))
    raise _not_recorded(step, live, left)


def requests_left(step: Step) -> str:
    """What to say of recorded requests that a step did not make until its end; empty if there are none of its own."""
    left = [asked(recorded.method, recorded.url) for recorded in step.answer.exchanges]
    missing = next((past for past in left if own(past, step.spec.operation)), None)
    if missing is None:
        return ""
    return f"{step.path} ended after request {step.exchanges}, but the recorded run then asked for {missing.told}"


def _not_recorded(step: Step, live: Asked, left: Sequence[Recorded]) -> BaseException:
    number = step.exchanges + 1
    if not left:
        what = f"{step.path} makes request {number}, but the record holds {step.exchanges}: {live.told}"
        return step.run.stopped("RECORD_INCOMPLETE", what, step)
    following = asked(left[0].method, left[0].url)
    what = f"{step.path} asks for {live.told} as request {number}, but the recorded run asked for {following.told} here"
    return step.run.stopped("CALL_CHANGED", what, step)


def _noted(step: Step, what: str) -> None:
    if step.run.tape is not None:
        step.run.tape.caveat(f"the client of step {step.answer.source_step} ({step.spec.name}) {what}")


def head(step: Step, recorded: Recorded) -> None:
    """Raise what the transport raised, if there was no response."""
    arrived(step, recorded)
    if recorded.error is not None:
        raise step.answer.rebuild(recorded.error)


def arrived(step: Step, recorded: Recorded) -> None:
    """Return when it is the turn of the response's head, or of what was raised instead of it."""
    for other in recorded.before:  # comes in its turn, to nobody
        for part in (HEAD, *range(len(other.body)), END):
            step.answer.turns.wait(other.number, part)
    if recorded.error is not None and _cancelled(recorded.error):
        step.answer.turns.never()
    step.answer.turns.wait(recorded.number, HEAD)


async def head_in_turn(step: Step, recorded: Recorded) -> None:
    """Raise what the transport of an async client raised."""
    await arrived_in_turn(step, recorded)
    if recorded.error is not None:
        raise step.answer.rebuild(recorded.error)


async def arrived_in_turn(step: Step, recorded: Recorded) -> None:
    """Return when it is the turn of the head in an async client."""
    for other in recorded.before:
        for part in (HEAD, *range(len(other.body)), END):
            await step.answer.turns.turn(other.number, part)
    if recorded.error is not None and _cancelled(recorded.error):
        await step.answer.turns.never_turn()
    await step.answer.turns.turn(recorded.number, HEAD)


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


class BodyInTurn:
    """The same for an async client, which may give up waiting for a chunk and ask for it again."""

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._step, self._recorded = step, recorded
        self._left = deque(enumerate(recorded.chunks()))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        turns, number, broken = self._step.answer.turns, self._recorded.number, self._recorded.broken
        if self._left:
            part, chunk = self._left[0]
            await turns.turn(number, part)
            self._left.popleft()
            return chunk
        if broken is not None and _cancelled(broken):
            await turns.never_turn()
        await turns.turn(number, END)
        _end(self._step, self._recorded)
        raise StopAsyncIteration


def _end(step: Step, recorded: Recorded) -> None:
    if recorded.broken is not None:
        raise step.answer.rebuild(recorded.broken)
    if recorded.closed:
        raise step.run.stopped(
            "RECORD_INCOMPLETE", f"the program reads the answer to {step.path} further than the recorded run did", step
        )


def _cancelled(failure: Failure) -> bool:
    return not _CANCELLATIONS.isdisjoint((failure.type, *failure.bases))
