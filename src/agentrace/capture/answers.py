"""How a recorded outcome is handed to the program on a replay: returned, raised or streamed, each in its turn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol

from msgspec import Raw, Struct

from agentrace.capture.call import chunk, complete, fail
from agentrace.capture.requests import Asked
from agentrace.capture.step import Step
from agentrace.events import Failure
from agentrace.exchanges import Recorded

HEAD: Final = -2
"""The part of an exchange that is the head of its response, or the error instead of one."""
END: Final = -1
"""The part that ends an answer."""


class Turns(Protocol):
    """When the parts of one answer are handed over: as they came in the recorded run, relative to everything else.

    A part is ``HEAD``, ``END`` or the number of a chunk; exchange 0 is the call's own outcome.
    """

    def wait(self, exchange: int, part: int) -> None:
        """Return when it is the part's turn."""
        ...

    async def turn(self, exchange: int, part: int) -> None:
        """The same for a coroutine: control passes to its loop as it did."""
        ...

    def never(self) -> NoReturn:
        """It has no turn: the recorded call did not end by itself."""
        ...

    async def never_turn(self) -> NoReturn:
        """Wait for the cancellation that ended the recorded call."""
        ...


class Elsewhere(Protocol):
    """What the record of the whole run holds of its wires."""

    @property
    def hosts(self) -> Collection[str]:
        """Who was asked for anything."""
        ...

    def is_sign_in(self, request: Asked, operation: str, /) -> bool:
        """Whether a recorded request of a call is one by which its client signs in, of its own accord."""
        ...

    def sign_in(self, request: Asked, operation: str, step: int, /) -> Recorded | None:
        """What a client was handed that signed in like this elsewhere in the run."""
        ...


def _unknown(failure: Failure) -> BaseException:
    return RuntimeError(f"{failure.type}: {failure.message}")


class Answer(Struct, frozen=True):
    """What the record holds for one call."""

    source_step: int
    """The step of the source run that answers."""
    turns: Turns
    value: Any = None
    """What the call returns, if nothing is raised."""
    error: BaseException | None = None
    """What the call raises."""
    shape: str = ""
    """What a plain function gives instead of a value; as in ``StepCompleted``."""
    chunks: list[tuple[str, Any, int]] = []
    """For a stream: ``(op, element, random)`` in recorded order, ``random`` as in :attr:`random`."""
    random: int = 0
    """Where the generator of the module ``random`` stood at the end; 0 if it had not moved."""
    draw: Callable[[int], None] = lambda stands: None
    """Draws from it until it stands somewhere."""
    closed: bool = False
    """For a stream: its consumer closed it early, so what would follow is not in the record."""
    closing: bool = False
    """For a stream: the error was raised while its consumer closed it."""
    never: bool = False
    """The call was cancelled before it ended, so it does not end again until it is."""
    exchanges: list[Recorded] = []
    """Recorded exchanges that are still to be served, for a call whose library makes its output from them."""
    elsewhere: Elsewhere | None = None
    """What other calls were served."""
    rebuild: Callable[[Failure], BaseException] = _unknown
    """Makes an exception of how an exchange failed."""
    same: Callable[[int, Raw], str] = lambda position, value: ""
    """How what is sent into a stream differs from what was sent at that position; empty if it does not."""


def answering(step: Step) -> bool:
    """Whether ``step`` is answered from a record; asks the tape, which raises if the call is not the recorded one."""
    tape = step.run.tape
    if tape is None or not step.spec.answered:
        return False
    step.answer = tape.answer(step)
    return step.answer is not None


def answered(step: Step) -> Any:
    """Return or raise what the record holds, in its turn."""
    answer: Answer = step.answer
    if answer.shape:
        return _SHAPES[answer.shape](step)
    if answer.chunks:
        return answered_stream(step)
    try:
        if answer.never:
            answer.turns.never()
        answer.turns.wait(0, END)
    except BaseException as error:
        fail(step, error)
        raise
    return _outcome(step)


async def awaited_answer(step: Step) -> Any:
    """The same for a coroutine."""
    answer: Answer = step.answer
    try:
        if answer.never:
            await answer.turns.never_turn()
        await answer.turns.turn(0, END)
    except BaseException as error:
        fail(step, error)
        raise
    return _outcome(step)


def _outcome(step: Step, outcome: str = "ok") -> Any:
    answer: Answer = step.answer
    answer.draw(answer.random)
    if answer.error is not None:
        fail(step, answer.error)
        raise answer.error
    complete(step, answer.value, outcome)
    return answer.value


async def control_passed() -> None:
    """Let other tasks run once, where an asyncio loop is running."""
    import asyncio

    if asyncio._get_running_loop() is not None:
        await asyncio.sleep(0)


# --- streams ------------------------------------------------------------------------------------------------


class _Playback:
    """A recorded stream on its way to its consumer: where it is, and whether the consumer does what it did."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._answer: Answer = step.answer
        self._at = 0
        self._thrown: BaseException | None = None
        self.value: Any = None
        """What the generator returned, once it is over."""
        self.sent: Any = None
        """What the consumer sent in, coming back."""

    @property
    def part(self) -> int:
        """What comes next: the number of an element, or the end."""
        return self._at if self._at < len(self._answer.chunks) else END

    @property
    def never(self) -> bool:
        """Whether nothing comes next: the recorded stream was cancelled here."""
        return self._answer.never and self.part == END and self._thrown is None

    def next(self) -> tuple[Any, ...]:
        """The next element, alone; or nothing at the end. Raises what the recorded stream raised."""
        answer = self._answer
        if self._at < len(answer.chunks):
            op, item, stands = answer.chunks[self._at]
            self._at += 1
            answer.draw(stands)
            chunk(self._step, op, item)
            return (item,)
        if answer.closed or answer.closing:
            raise self._stopped("RECORD_INCOMPLETE", "reads {} further than the recorded run did")
        thrown, error = self._thrown, answer.error
        if thrown is not None and (_alike(error, thrown) or answer.never):
            fail(self._step, thrown)  # it came through as it was thrown in
            raise thrown
        if error is not None and _alike(error.__cause__, thrown):
            error.__cause__ = error.__context__ = thrown  # a context manager asks whether it is the very one
        self.value = _outcome(self._step, "exhausted")
        return ()

    def __enter__(self) -> None:
        """The consumer has an element now."""
        self.sent = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """It came back: for more, with something, or to close the stream."""
        if isinstance(error, GeneratorExit):
            self._closed()
            return False
        if error is not None:
            self._resumed("throw", error)
        else:
            self._resumed("send" if self.sent is not None else "", self.sent)
        return True

    def _resumed(self, op: str, given: Any) -> None:
        """The consumer asked for more: plainly, or with ``send`` or ``throw``."""
        expected = self._answer.chunks[self._at][0] if self._at < len(self._answer.chunks) else ""
        wanted = expected if expected in ("send", "throw") else ""
        if op:
            chunk(self._step, op, given)
        if op != wanted:
            done = {"": "only asks {} for more", "send": "sends something into {}", "throw": "throws into {}"}
            did = {"": "only asked for more", "send": "sent something", "throw": "threw"}
            raise self._stopped("CALL_CHANGED", f"{done[op]}; the recorded run {did[wanted]} here")
        if not op:
            return
        differs = self._answer.same(self._at, self._step.run.encoder.encode(given)[0])
        if differs:
            raise self._stopped("CALL_CHANGED", f"{op}s into {{}} something else than the recorded run:\n{differs}")
        self._at += 1
        self._thrown = given if op == "throw" else None

    def _closed(self) -> None:
        """The consumer closed the stream."""
        answer = self._answer
        left = sum(op == "yield" for op, *_ in answer.chunks[self._at :])
        if left:
            raise self._stopped("CALL_CHANGED", f"closes {{}} when {left} more element(s) were read")
        if answer.closing:
            _outcome(self._step)
        complete(self._step, None, "closed_by_consumer")

    def failed(self, error: BaseException) -> None:
        """Waiting for the next element was given up."""
        if isinstance(error, GeneratorExit):
            complete(self._step, None, "closed_by_consumer")
        else:
            fail(self._step, error)

    def _stopped(self, code: str, what: str) -> BaseException:
        report = f"the program {what.format(self._step.path)}"
        return self._step.run.stopped(code, report, self._step)


def _alike(recorded: BaseException | None, live: BaseException | None) -> bool:
    return recorded is not None and live is not None and (type(recorded), recorded.args) == (type(live), live.args)


def answered_stream(step: Step | None) -> Generator[Any, Any, Any]:
    """What the record holds, as a generator."""
    assert step is not None
    playback = _Playback(step)
    while True:
        try:
            if playback.never:
                step.answer.turns.never()
            step.answer.turns.wait(0, playback.part)
        except BaseException as error:
            playback.failed(error)
            raise
        item = playback.next()
        if not item:
            return playback.value
        with playback:
            playback.sent = yield item[0]


async def answered_async_stream(step: Step) -> AsyncGenerator[Any, Any]:
    """The same as an async generator."""
    playback = _Playback(step)
    while True:
        try:
            if playback.never:
                await step.answer.turns.never_turn()
            await step.answer.turns.turn(0, playback.part)
        except BaseException as error:
            playback.failed(error)
            raise
        item = playback.next()
        if not item:
            return
        with playback:
            playback.sent = yield item[0]


def _managed(step: Step, make: Callable[..., Any], stream: Callable[[Step], Any]) -> Any:
    """What the record holds, as a context manager: entering gives what was yielded, and leaving does what that did."""
    step.run.unfinished[step] = lambda: complete(step, None, "closed_by_consumer")
    step.shape = step.answer.shape
    return make(lambda: stream(step))()


_SHAPES: Final[dict[str, Callable[[Step], Any]]] = {
    "contextmanager": lambda step: _managed(step, contextlib.contextmanager, answered_stream),
    "asynccontextmanager": lambda step: _managed(step, contextlib.asynccontextmanager, answered_async_stream),
    "coroutine": awaited_answer,
    "generator": answered_stream,
    "async_generator": answered_async_stream,
}
