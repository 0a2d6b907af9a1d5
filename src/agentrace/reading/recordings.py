"""What was recorded, open for reading: runs by name, by what they are and by what they hold; steps of all runs; SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, final

from agentrace.errors import RunNotFound
from agentrace.ids import parse_run_id
from agentrace.index.answers import Query, columns, rows
from agentrace.reading.drawing import brief
from agentrace.reading.filters import (
    KINDS,
    MODES,
    ROLES,
    RUN_STATUSES,
    STEP_STATUSES,
    Kind,
    Mode,
    OneOrMore,
    Role,
    RunFilter,
    RunStatus,
    Since,
    StepFilter,
    StepStatus,
    at_most,
    moment,
    spellings,
    step_parameters,
    words,
)
from agentrace.reading.listing import Ask, Items, Listing, Table
from agentrace.reading.parts import Event, Match, Message, event_of_row, match_of_row, message_of_row
from agentrace.reading.questions import asking
from agentrace.reading.runs import Run, run_of
from agentrace.reading.source import Source
from agentrace.reading.steps import Step

T = TypeVar("T")


@final
class Recordings:
    """The runs of a store or of a trace file: what ``agentrace.open()`` gives.

    Reading is never recorded, and changes nothing of what records. Each question sees what was finished before it;
    between questions nothing is held open. Threads may share one: their questions take turns. ::

        with agentrace.open() as recordings:
            for run in recordings.runs(status="failed", since=timedelta(days=1)):
                print(run.name, run.error)
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def path(self) -> Path:
        """The directory of the store, or the trace file."""
        return self._source.place

    @property
    def notices(self) -> Sequence[str]:
        """What is the matter with the whole of it, each as one sentence: a file that is cut off says so here."""
        return self._source.notices

    def close(self) -> None:
        """Read no more. Objects keep what they have read; what asks again raises ``AgentraceError``."""
        self._source.close()

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    # --- runs and steps -----------------------------------------------------------------------------------------

    def run(self, reference: str = "@last") -> Run:
        """The run that is meant: ``@last``, ``@last~2``, an id or the beginning of one, or the newest of a name.

        Raises ``RunNotFound`` where there is none, or where an id may be several. ::

            recordings.run("checkout").status
        """
        with self._source.lock:
            runs = self._source.runs()
            return run_of(self._source, runs, runs.find(reference))

    def step(self, reference: str) -> Step:
        """The step of ``RUN:STEP``, e.g. ``@last:7``. Raises ``RunNotFound``."""
        with self._source.lock:
            runs = self._source.runs()
            run_id, step_id = runs.find_step(reference)
            if not step_id:
                raise RunNotFound(f"{reference!r:.80} names no step", do="name one, as in @last:7")
            return run_of(self._source, runs, run_id).step(step_id)

    def runs(
        self,
        *,
        name: str | None = None,
        status: RunStatus | Collection[RunStatus] | None = None,
        since: Since | None = None,
        until: Since | None = None,
        kind: Kind | Collection[Kind] | None = None,
        model: str | None = None,
        tag: OneOrMore | None = None,
        mode: Mode | Collection[Mode] | None = None,
        replayable: bool | None = None,
        text: str | None = None,
        limit: int | None = None,
    ) -> Listing[Run]:
        """Runs, the newest first, those of processes and jobs among them; what is not given lets every run through.

        ``name`` and ``model`` (that served a step of it) are a part of a name, or a shell pattern (``*``, ``?``,
        ``[...]``) of all of it, in any case; ``status``, ``kind`` (of its steps) and ``mode`` one word or several;
        ``tag`` all of these; ``since`` and ``until`` when it began, as a datetime or as a timedelta for how long ago;
        ``text`` is in what went in, came out, failed or was noted, in any case; ``limit`` the newest of these.
        Raises ``ConfigError`` (slug ``open-filter``) for what there is not. ::

            recordings.runs(name="checkout*", model="mini", since=timedelta(hours=6), limit=20)
        """
        wanted = RunFilter(
            name=name,
            statuses=words("status", status, RUN_STATUSES),
            since=moment("since", since, time.time_ns),
            until=moment("until", until, time.time_ns),
            kinds=words("kind", kind, KINDS),
            model=model,
            tags=words("tag", tag),
            modes=words("mode", mode, MODES),
            replayable=replayable,
            text=text or None,
        )
        source, number = self._source, at_most(limit)

        def items() -> Sequence[Run]:
            if wanted == RunFilter():
                with source.lock:
                    runs = source.runs()
                    found = list(islice(runs.newest(), number))
            else:
                found = [
                    parse_run_id(run_id) for (run_id,) in self._asked(asking(source, wanted, ["run_ids"], limit=number))
                ]
                runs = source.runs()
            return Items(found, lambda run_id: run_of(source, runs, run_id))

        return Listing("runs", source, items, asking(source, wanted, ["runs"], limit=number))

    def steps(
        self,
        *,
        kind: Kind | Collection[Kind] | None = None,
        name: str | None = None,
        status: StepStatus | Collection[StepStatus] | None = None,
        model: str | None = None,
        run: str | None = None,
        since: Since | None = None,
        until: Since | None = None,
        limit: int | None = None,
    ) -> Listing[Step]:
        """Steps of all runs: those of the newest run first, in a run in dispatch order.

        ``kind``, ``name``, ``status`` and ``model`` as in ``Run.steps``; ``run``, ``since`` and ``until`` are name and
        time of the run, as in ``runs``. Raises ``ConfigError`` (slug ``open-filter``). ::

            recordings.steps(kind="model", since=timedelta(days=7)).to_pandas().groupby("model")["duration"].median()
        """
        source, number = self._source, at_most(limit)
        wanted = StepFilter(words("kind", kind, KINDS), name, words("status", status, STEP_STATUSES), model)
        of_runs = self._of_runs(run, since, until)

        def ask(statement: str) -> Ask:
            names = ["wanted_steps", statement]
            return asking(source, of_runs, names, lambda there: step_parameters(wanted, there), number)

        def items() -> Sequence[Step]:
            keys = self._asked(ask("step_ids"))
            return Items(keys, _stepping(source))

        return Listing("steps", source, items, ask("steps"))

    def messages(
        self,
        *,
        role: Role | Collection[Role] | None = None,
        run: str | None = None,
        since: Since | None = None,
        until: Since | None = None,
        limit: int | None = None,
    ) -> Listing[Message]:
        """Messages of all runs, each once in its run; the arguments are those of ``Run.messages`` and ``steps``. ::

        recordings.messages(role="user").to_polars()
        """
        source, wanted = self._source, words("role", role, ROLES)
        of_runs = self._of_runs(run, since, until)
        ask = asking(source, of_runs, ["messages"], lambda _: {"roles": wanted}, at_most(limit))
        return Listing("messages", source, self._objects(ask, message_of_row), ask)

    def events(
        self,
        *,
        type: OneOrMore | None = None,  # noqa: A002  (as the column is called)
        run: str | None = None,
        since: Since | None = None,
        until: Since | None = None,
        limit: int | None = None,
    ) -> Listing[Event]:
        """Events of all runs; the arguments are those of ``Run.events`` and ``steps``. ::

        recordings.events(type="Scored").to_dicts()
        """
        source, wanted = self._source, words("type", type)
        of_runs = self._of_runs(run, since, until)
        ask = asking(source, of_runs, ["events"], lambda _: {"types": wanted}, at_most(limit))
        return Listing("events", source, self._objects(ask, event_of_row), ask)

    def search(
        self,
        text: str,
        *,
        run: str | None = None,
        since: Since | None = None,
        until: Since | None = None,
        limit: int | None = None,
    ) -> Listing[Match]:
        """Where a text is, in any case: in what went into steps, came out, failed or was noted; newest runs first. ::

        for match in recordings.search("refund", limit=20):
            print(match.run_id, match.step_id, match.excerpt)
        """
        source = self._source
        (sought,) = words("text", text) or ("",)
        of_runs = self._of_runs(run, since, until)
        ask = asking(source, of_runs, ["matches"], lambda _: {"sought": spellings(sought)}, at_most(limit))
        return Listing("matches", source, self._objects(ask, match_of_row), ask)

    def sql(self, query: str, /, **parameters: Any) -> Table:
        """What a SELECT of yours gives, over the views ``runs``, ``steps``, ``events``, ``messages`` and the others.

        ``$name`` in the query takes the value of the argument ``name``. Nothing outside the index can be read or
        written. Raises ``ConfigError`` (slugs ``sql`` and ``sql-read-only``) for a query that is not understood, or is
        no SELECT. ::

            recordings.sql("SELECT name, error FROM steps WHERE duration_s > $least", least=2.5).to_pandas()
        """
        asked = self._source.check(Query(query, parameters))
        with self._source.index() as connection:
            columns(connection, asked)  # says at once what is wrong with it
        return Table(self._source, asked)

    # --- as a collection of runs --------------------------------------------------------------------------------

    def __getitem__(self, reference: str) -> Run:
        return self.run(reference)

    def __contains__(self, reference: object) -> bool:
        try:
            return isinstance(reference, str) and bool(self.run(reference).run_id)
        except RunNotFound:
            return False

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs())

    def __len__(self) -> int:
        return len(self.runs())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        what = "trace file" if self._source.is_file else "store"
        return f"<Recordings of the {what} {brief(str(self.path), 200)}{', closed' if self._source.closed else ''}>"

    # --- how it is asked ----------------------------------------------------------------------------------------

    def _of_runs(self, name: str | None, since: Since | None, until: Since | None) -> RunFilter:
        return RunFilter(
            name=name, since=moment("since", since, time.time_ns), until=moment("until", until, time.time_ns)
        )

    def _asked(self, ask: Ask) -> list[tuple[Any, ...]]:
        with self._source.index() as connection:
            query = ask(connection)
            return rows(connection, query, columns(connection, query))

    def _objects(self, ask: Ask, make: Callable[[dict[str, Any]], T]) -> Callable[[], Sequence[T]]:
        def items() -> Sequence[T]:
            with self._source.index() as connection:
                query = ask(connection)
                of = columns(connection, query)
                names = [column.name for column in of]
                found = rows(connection, query, of)
            return Items(found, lambda row: make(dict(zip(names, row, strict=True))))

        return items


def _stepping(source: Source) -> Callable[[tuple[str, int]], Step]:
    """Makes steps of their ids; the run of the last one is kept in mind."""
    runs = source.runs()
    last: list[Run] = []

    def make(key: tuple[str, int]) -> Step:
        run_id, step_id = key
        if not last or last[0].run_id != run_id:
            last[:] = [run_of(source, runs, parse_run_id(run_id))]
        return last[0].step(step_id)

    return make
