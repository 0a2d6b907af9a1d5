"""A step of a run, as it was recorded: what it was called with, what came of it, what is inside of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, final

from agentrace.errors import ValueUndecodable
from agentrace.events import StepCompleted
from agentrace.fold import StepState, retries
from agentrace.query import Usage, in_one_line
from agentrace.reading.content import RunContent
from agentrace.reading.drawing import brief, in_seconds
from agentrace.reading.filters import StepFilter, matcher
from agentrace.reading.parts import Error, Exchange, Message, Note, Score, moment, span
from agentrace.reading.parts import error as error_of


@final
class Step:
    """One step. It cannot be changed; what is large is read when it is first asked for.

    Two objects are equal if they are the same step of the same run. ::

        step = recordings.run("@last").step(7)
        print(step.name, step.duration, step.output)
    """

    __slots__ = ("_content", "_state")
    _content: RunContent
    _state: StepState

    def __init__(self, content: RunContent, state: StepState) -> None:
        object.__setattr__(self, "_content", content)
        object.__setattr__(self, "_state", state)

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"a recorded step cannot be changed: {name}")

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run that it is of."""
        return self._content.id

    @property
    def step_id(self) -> int:
        """Its ordinal in the run, from 1, in dispatch order."""
        return self._state.id

    @property
    def kind(self) -> str:
        """``model``, ``embedding``, ``tool``, ``retriever``, ``planner``, ``validator``, ``safety``, ``agent`` or
        ``task``; empty where its beginning is lost."""
        return self._state.kind

    @property
    def name(self) -> str:
        """As it was dispatched; ``?`` where that is lost."""
        return self._state.name

    @property
    def operation(self) -> str:
        """What was asked, e.g. ``chat/completions:stream``; empty for decorated functions."""
        return self._state.dispatched.operation

    @property
    def path(self) -> str:
        """Its place in the program, whatever the timing: ``/plan#0/task:1/search#0``."""
        return self._state.path

    @property
    def call_site(self) -> str:
        """``file:line function`` of the call."""
        return self._state.dispatched.call_site

    @property
    def integration(self) -> str:
        """What captured it; empty for decorators."""
        return self._state.dispatched.integration

    # --- how it went --------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """``running``, ``ok``, ``failed``, ``cancelled``, or ``interrupted`` if its run was over before."""
        return self._content.status(self._state)

    @property
    def started(self) -> datetime:
        """When it was dispatched; UTC, to the microsecond."""
        return moment(self._state.started_ts)

    @property
    def duration(self) -> timedelta | None:
        """From dispatch to end, by a clock that never goes back; ``None`` while it runs."""
        return None if self._state.duration_ns is None else span(self._state.duration_ns)

    @property
    def first_chunk(self) -> timedelta | None:
        """From dispatch to the first piece of a streamed answer; ``None`` if none came."""
        return span(self._state.first_chunk_ns) if self._state.first_chunk_ns else None

    @property
    def chunks(self) -> int:
        """Elements of a stream that were handed over."""
        return self._state.chunks

    @property
    def error(self) -> str:
        """The exception that ended it, in one line; empty for none."""
        return "" if self._state.failure is None else in_one_line(self._state.failure)

    @property
    def exception(self) -> Error | None:
        """The same with its traceback, notes and causes."""
        return None if self._state.failure is None else error_of(self._state.failure)

    # --- what went in and came out ------------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The arguments as JSON data: by parameter, or the JSON of a provider's request.

        What JSON has no word for is told under ``$``-keys; what cannot be read is ``{"$unreadable": why}``.
        """
        return self._content.input(self._state)

    @property
    def output(self) -> Any:
        """What came of it as JSON data: what was returned; of a stream what it yielded; of a model call what the
        response means. ``None`` while it runs and where it failed before anything came."""
        return self._content.output(self._state)

    def input_python(self) -> Any:
        """The arguments as the program had them: tuples, sets, dates, objects of classes that are imported here.

        Nothing is imported and no code of a class is run. Raises ``ValueUndecodable`` for what cannot be rebuilt.
        """
        return self._content.python(self._state.dispatched.input)

    def output_python(self) -> Any:
        """What the call returned, the same way; of a generator the list of what it yielded.

        Raises ``ValueUndecodable`` also where the call returned nothing of its own: where it has not ended, failed, or
        was recorded as it went over the wire (``exchanges`` and ``output`` tell that).
        """
        ended = self._state.ended
        if not isinstance(ended, StepCompleted) or ended.fidelity == "exchange":
            raise ValueUndecodable(
                f"step {self.step_id} of run {self.run_id} has no value that a call returned",
                do="see its status, error, exchanges and output",
            )
        if ended.outcome != "ok":
            return [self._content.python(data) for data in self._content.yielded(self._state)]
        return self._content.python(ended.output)

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """What went over wires, in order, retries included."""
        return self._content.exchanges(self._state)

    @property
    def retries(self) -> int:
        """Requests that were sent again because the one before had failed."""
        return retries_of(self._content, self._state)

    # --- what it meant ------------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The model that served it; if none did, the one that was asked for; empty for other kinds."""
        return self._content.meaning(self._state).model

    @property
    def usage(self) -> Usage | None:
        """Tokens that it used in disjoint buckets, ``input_fresh``, ``cache_read``, ``cache_write``, ``output_visible``
        and ``reasoning``, with sums ``input_tokens`` and ``output_tokens``; ``None`` where the record does not tell."""
        return self._content.meaning(self._state).usage

    @property
    def finish_reason(self) -> str:
        """Why the model stopped, as its provider calls it; empty where it does not tell."""
        return self._content.meaning(self._state).finish_reason

    @property
    def messages(self) -> Sequence[Message]:
        """What it added to the conversations of its run: messages of its request that were new, and its answer."""
        return self._content.messages.get(self.step_id, ())

    @property
    def notes(self) -> Sequence[Note]:
        """What was logged in it, in order."""
        return self._content.notes(self.step_id)

    @property
    def scores(self) -> Sequence[Score]:
        """The scores that it was given, in order."""
        return self._content.scores(self.step_id)

    # --- what is around it --------------------------------------------------------------------------------------

    @property
    def parent(self) -> Step | None:
        """The step that encloses it."""
        outer = self._content.parent(self._state)
        return Step(self._content, self._content.steps[outer]) if outer else None

    @property
    def children(self) -> Sequence[Step]:
        """The steps that it encloses, in dispatch order."""
        found = self._content.children.get(self.step_id, ())
        return tuple(Step(self._content, self._content.steps[step_id]) for step_id in found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and (self.run_id, self.step_id) == (other.run_id, other.step_id)

    def __hash__(self) -> int:
        return hash((self.run_id, self.step_id))

    def __repr__(self) -> str:
        took = "" if self.duration is None else f" in {in_seconds(self.duration)}"
        return f"<Step {self.step_id} {brief(self.kind)} {brief(self.name)} {brief(self.status)}{took}>"


def retries_of(content: RunContent, state: StepState) -> int:
    """How many requests of a step repeat one that had failed."""
    if state.exchanges < 2:
        return 0
    return retries(content.exchange_states(state.id))


def meant(content: RunContent, wanted: StepFilter) -> list[StepState]:
    """The steps of a run that a filter lets through."""
    named, of_model = matcher(wanted.name), matcher(wanted.model)
    return [
        step
        for step in content.steps.values()
        if (wanted.kinds is None or step.kind in wanted.kinds)
        and named(step.name)
        and (wanted.statuses is None or content.status(step) in wanted.statuses)
        and (wanted.model is None or ((model := content.meaning(step).model) and of_model(model)))
    ]
