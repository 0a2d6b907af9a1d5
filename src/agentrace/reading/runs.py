"""A run, as it was recorded: how it went, what it adds up to, its steps, messages and events, the runs it started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, final

from msgspec import Struct

from agentrace.errors import RunNotFound
from agentrace.query import Inferred as InferredCall
from agentrace.query import ProcessRow, Runs, StepRow, Usage
from agentrace.reading.content import RunContent
from agentrace.reading.drawing import brief, counted, in_seconds
from agentrace.reading.filters import (
    KINDS,
    ROLES,
    STEP_STATUSES,
    Kind,
    OneOrMore,
    Role,
    RunFilter,
    StepFilter,
    StepStatus,
    step_parameters,
    words,
)
from agentrace.reading.listing import Ask, Items, Listing
from agentrace.reading.parts import Error, Event, Message, Note, Score, id_text, moment, span
from agentrace.reading.parts import error as error_of
from agentrace.reading.questions import Parameters, asking
from agentrace.reading.source import Source
from agentrace.reading.steps import Step, meant


class Branch(Struct, frozen=True):
    """A line of a run's tree."""

    depth: int
    """How deep it is below the run, from 0."""
    item: Step | Run | InferredCall
    """A step; the run of a process or job, whose own steps are below it; or a tool call that was only read in messages
    (``name``, ``arguments``, ``result``)."""


@final
class Run:
    """One run. It cannot be changed; of a run that goes on it is what was there when it was asked for.

    Two objects are equal if they are the same run. ::

        run = recordings.run("checkout")
        print(run.status, run.duration, run.usage.input_tokens, [step.name for step in run.steps(kind="tool")])
    """

    __slots__ = ("_content", "_source")
    _content: RunContent
    _source: Source

    def __init__(self, source: Source, content: RunContent) -> None:
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "_content", content)
        assert content.summary.run_id == content.run_id  # read here, so that an object never changes

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"a recorded run cannot be changed: {name}")

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """A UUID, as SQL and JSON spell it; ids sort by start."""
        return self._content.id

    @property
    def name(self) -> str:
        """What it is called, by its user or after its program."""
        return self._content.summary.name

    @property
    def mode(self) -> str:
        """``live``, ``replay``, ``fork`` or ``import``."""
        return self._content.summary.mode

    @property
    def source_run_id(self) -> str | None:
        """Of a replay or fork: the id of the run whose record was used."""
        return id_text(self._content.summary.source)

    @property
    def verdict(self) -> str:
        """Of a replay: ``exact``, ``exact_with_caveats`` or ``diverged``; empty for other runs."""
        return self._content.summary.verdict

    @property
    def parent_run_id(self) -> str | None:
        """The id of the run that started its process, or sent its job."""
        return id_text(self._content.summary.parent)

    @property
    def parent_step_id(self) -> int | None:
        """The step of that run that did."""
        return None if self._content.started is None else self._content.started.parent.step_id or None

    @property
    def tags(self) -> Sequence[str]:
        """As they were set."""
        return tuple(self._started("tags", ()))

    @property
    def workflow(self) -> str:
        """The workflow that it is a run of; empty for none, and so are the next three."""
        return str(self._started("workflow", ""))

    @property
    def agent(self) -> str:
        """The agent that ran it."""
        return str(self._started("agent", ""))

    @property
    def session_id(self) -> str:
        """The conversation that spans runs."""
        return str(self._started("session_id", ""))

    @property
    def project(self) -> str:
        """The project that it belongs to."""
        return str(self._started("project", ""))

    @property
    def argv(self) -> Sequence[str]:
        """The command line of its process."""
        return tuple(self._started("argv", ()))

    @property
    def sample_rate(self) -> float:
        """The share of root runs like it that were written, 0 to 1."""
        return self._content.summary.sample_rate

    # --- how it went --------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """``pending``, ``running``, ``completed``, ``failed``, ``aborted``, ``interrupted`` (its process died), or
        ``unreadable``."""
        return self._content.summary.status

    @property
    def started(self) -> datetime | None:
        """When it began; UTC, to the microsecond; ``None`` where that is lost."""
        return moment(self._content.summary.started_ts) if self._content.summary.started_ts else None

    @property
    def duration(self) -> timedelta | None:
        """From start to end; while there is no end, to the last event."""
        return span(self._content.summary.duration_ns) if self._content.summary.started_ts else None

    @property
    def error(self) -> str:
        """The exception that ended it, or why it cannot be read, in one line; empty for none."""
        return self._content.summary.error

    @property
    def exception(self) -> Error | None:
        """The same with its traceback, notes and causes; ``None`` for none, and where it cannot be read."""
        return None if self._content.failure is None else error_of(self._content.failure)

    @property
    def exit_code(self) -> int | None:
        """The program's; ``None`` before the end."""
        return self._content.summary.exit_code

    @property
    def health(self) -> Sequence[str]:
        """What is the matter with the record: ``incomplete``, ``privacy_risk``, ``damaged`` as far as is met."""
        return tuple(self._content.summary.health)

    @property
    def replayable(self) -> bool:
        """Whether it can be replayed."""
        return self._content.summary.replayable.yes

    @property
    def because(self) -> Sequence[str]:
        """Why it cannot be replayed; empty if it can."""
        return tuple(self._content.summary.replayable.because)

    @property
    def caveats(self) -> Sequence[str]:
        """What a replay that succeeds will still have to say."""
        return tuple(self._content.summary.replayable.caveats)

    # --- what it adds up to -------------------------------------------------------------------------------------

    @property
    def usage(self) -> Usage:
        """Tokens that its steps used, in disjoint buckets, with the sums ``input_tokens`` and ``output_tokens``."""
        return self._content.summary.totals.usage

    @property
    def step_count(self) -> int:
        """Steps, of all kinds."""
        return self._content.summary.totals.count

    @property
    def failed_steps(self) -> int:
        """Of these, those that ended with an exception."""
        return self._content.summary.totals.failed

    @property
    def retries(self) -> int:
        """Requests that were sent again because the one before had failed."""
        return self._content.summary.totals.retries

    @property
    def inferred(self) -> int:
        """Tool calls that were read in messages only."""
        return self._content.summary.inferred

    @property
    def models(self) -> Sequence[str]:
        """The models that served its steps, by name."""
        content = self._content
        return tuple(sorted({content.meaning(step).model for step in content.steps.values()} - {""}))

    # --- what is in it ------------------------------------------------------------------------------------------

    def step(self, step_id: int) -> Step:
        """The step with this ordinal, from 1. Raises ``RunNotFound``."""
        state = self._content.steps.get(step_id)
        if state is None:
            last = max(self._content.steps, default=0)
            raise RunNotFound(
                f"run {self.run_id} has no step {step_id!r:.20}",
                do=f"its steps go from 1 to {last}" if last else "it has no steps",
            )
        return Step(self._content, state)

    def steps(
        self,
        *,
        kind: Kind | Collection[Kind] | None = None,
        name: str | None = None,
        status: StepStatus | Collection[StepStatus] | None = None,
        model: str | None = None,
    ) -> Listing[Step]:
        """Its steps in dispatch order.

        ``kind`` and ``status`` are one word or several; ``name`` and ``model`` a part of a name, or a shell pattern
        (``*``, ``?``, ``[...]``) of all of it, in any case. Raises ``ConfigError`` for words that there are not. ::

            run.steps(kind="tool", status="failed")
        """
        wanted = StepFilter(words("kind", kind, KINDS), name, words("status", status, STEP_STATUSES), model)
        content = self._content
        return Listing(
            "steps",
            self._source,
            lambda: Items(meant(content, wanted), lambda state: Step(content, state)),
            self._asking("wanted_steps", "steps", parameters=lambda names: step_parameters(wanted, names)),
        )

    def messages(self, *, role: Role | Collection[Role] | None = None) -> Listing[Message]:
        """The messages of its conversations, each once, with the step whose request, or answer, held it first.

        Raises ``ConfigError`` for a role that there is not. ::

            for message in run.messages(role="assistant"):
                print(message.text, message.tool_calls)
        """
        wanted = words("role", role, ROLES)
        content = self._content
        return Listing(
            "messages",
            self._source,
            lambda: [one for told in content.messages.values() for one in told if wanted is None or one.role in wanted],
            self._asking("messages", parameters=lambda _: {"roles": wanted}),
        )

    def events(self, *, type: OneOrMore | None = None) -> Listing[Event]:  # noqa: A002  (as the column is called)
        """Its events in the order of seq; ``type`` as in the trace specification. ::

        run.events(type=["StepFailed", "Logged"])
        """
        wanted = words("type", type)
        content = self._content
        return Listing(
            "events",
            self._source,
            lambda: [one for one in content.events if wanted is None or one.type in wanted],
            self._asking("events", parameters=lambda _: {"types": wanted}),
        )

    @property
    def notes(self) -> Sequence[Note]:
        """What was logged in it outside of its steps, in order."""
        return self._content.notes(0)

    @property
    def scores(self) -> Sequence[Score]:
        """The scores that it was given as a whole, in order."""
        return self._content.scores(0)

    @property
    def children(self) -> Sequence[Run]:
        """The runs of processes that it started and of jobs that it sent, the oldest first."""
        return tuple(run_of(self._source, self._content.runs, run_id) for run_id in self._content.below())

    def tree(self) -> Sequence[Branch]:
        """All that is below it in the order in which ``agentrace show`` draws it. ::

        for branch in run.tree():
            print("  " * branch.depth, branch.item.name)
        """
        with self._source.lock:
            rows = Runs(self._content.runs.store).tree(self._content.run_id).rows
        contents = {self._content.run_id: self._content}
        found: list[Branch] = []
        for row in rows:
            if row.run_id not in contents:
                contents[row.run_id] = self._source.content(self._content.runs, row.run_id)
            content = contents[row.run_id]
            if isinstance(row, StepRow):
                found.append(Branch(row.depth, Step(content, content.steps[row.state.id])))
            elif isinstance(row, ProcessRow):
                found.append(Branch(row.depth, Run(self._source, content)))
            else:
                found.append(Branch(row.depth, row.call))
        return found

    def _asking(self, *names: str, parameters: Parameters) -> Ask:
        return asking(self._source, RunFilter(run_ids=[self.run_id]), names, parameters)

    def _started(self, field: str, default: Any) -> Any:
        return default if self._content.started is None else getattr(self._content.started, field)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.run_id == other.run_id

    def __hash__(self) -> int:
        return hash(self.run_id)

    def __repr__(self) -> str:
        took = "" if self.duration is None else f" in {in_seconds(self.duration)}"
        return f"<Run {self.run_id} {brief(self.name)} {self.status}{took}, {counted(self.step_count, 'steps')}>"


def run_of(source: Source, runs: Runs, run_id: bytes) -> Run:
    """A run by its id. Raises ``RunNotFound``."""
    return Run(source, source.content(runs, run_id))
