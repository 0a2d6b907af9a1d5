"""One request on its way over any wire: the step it belongs to, its exchange, and what answers it on a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from agentrace.capture import process
from agentrace.capture.answers import answering
from agentrace.capture.call import begin, fail
from agentrace.capture.exchange import Exchange, Header, returned, send
from agentrace.capture.guard import fault
from agentrace.capture.recorded import served
from agentrace.capture.scope import FLOW, Flow
from agentrace.capture.step import Spec, Step
from agentrace.exchanges import Recorded
from agentrace.integrations.catalogue import integration
from agentrace.integrations.spoken import spoken


class Outgoing(Struct, frozen=True):
    """A request as its wire is about to send it."""

    wire: str
    method: str
    url: str
    host: str
    """Without the port."""
    path: str
    """Without the query, and without percent signs for what is no path otherwise."""
    headers: Iterable[Header]
    content: bytes | None
    """The body; ``None`` where it cannot be had without taking it from its one reader."""
    told: Any
    """The body as a replay compares it."""


class Passing:
    """A request that belongs to a step."""

    __slots__ = ("_own", "body_flow", "exchange", "recorded", "restore", "step")

    def __init__(
        self, step: Step, own: bool, recorded: Recorded | None, exchange: Exchange | None, body_flow: Flow | None
    ) -> None:
        self.step = step
        self._own = own
        self.body_flow = body_flow
        """Where the program makes the body; ``None`` if that is there already, or made within the call."""
        self.restore: Callable[[], None] | None = None
        """Makes the request again what it was before it set out."""
        self.recorded = recorded
        """What answers the request on a replay."""
        self.exchange = exchange
        """Where the response is told; ``None`` after a fault of ours."""

    def failed(self, error: BaseException) -> None:
        """There is no response."""
        self._over()
        if self.exchange is not None:
            self.exchange.end("error", error)
        if self._own:
            FLOW.set(self.step.outer)
            fail(self.step, error)

    def handed_over(self) -> None:
        """The program goes on with the response, whose body may still be coming in."""
        self._over()
        if self._own:
            FLOW.set(self.step.outer)
            try:
                returned(self.step)
            except Exception as error:
                fault(error)

    def _over(self) -> None:
        if self.restore is not None:
            self.restore()


def setting_out(asked: Outgoing) -> Passing | None:
    """A request as it sets out; ``None`` if nothing is recorded.

    It belongs to the enclosing step if a replay answers that one; otherwise it is a boundary of its own. Until it has
    ``failed`` or is ``handed_over``, what happens belongs to its step. Raises where a replay holds no answer.
    """
    recording = process.current
    if recording is None:
        return None
    try:
        step = recording.enclosing()
        own = step is None or not step.spec.answered
        left_out: Passing | None = recording.leave_out(asked) if own else None
        if left_out is not None:
            return left_out
        if own:
            step = _begun(recording, asked)
    except Exception as error:
        fault(error)
        return None
    if step is None:
        return None
    if own:
        answering(step)
    recorded = None if step.answer is None else served(step, asked.method, asked.url)
    exchange = send(step, asked.wire, asked.method, asked.url, asked.headers, asked.content)
    body_flow = _body_flow(step, own) if asked.content is None else None
    if own:
        FLOW.set(step)
    return Passing(step, own, recorded, exchange, body_flow)


def _body_flow(step: Step, own: bool) -> Flow | None:
    """A function of the program that a replay answers is not called again, and does not make its bodies either."""
    try:
        return step.outer.here().branch("body") if own or step.spec.integration else None
    except Exception as error:
        fault(error)
        return None


def _begun(recording: process.Recording, asked: Outgoing) -> Step | None:
    """The step of a request that no known library made: a model's if it speaks like one, else a tool's."""
    meant = spoken(asked.method, asked.path, asked.url, asked.content)
    if meant is not None:
        speaks = integration(meant[0].integration)
        if recording.tools_offered is not None and speaks is not None:
            recording.offer(speaks.offered(meant[1]))
        return begin(*meant, 4)
    return begin(*bare(asked, recording.flow().run.redactor.url(asked.url)), 4)


def bare(asked: Outgoing, clean: str) -> tuple[Spec, Any]:
    """What is known of a call that is a request and nothing more, and its input; ``clean``: the URL, redacted."""
    name, operation = f"{asked.method} {asked.host}{asked.path}", f"{asked.method} {asked.path}"
    return Spec("tool", name, operation, asked.wire), {"method": asked.method, "url": clean, "body": asked.told}


def replaying() -> bool:
    """Whether calls are answered from a record, so that nothing is to be waited for or connected to."""
    recording = process.current
    return recording is not None and recording.flow().run.tape is not None
