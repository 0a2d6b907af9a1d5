"""Runs that are a part of a process: a block, a decorated function, a request, a job.

What begins one knows its name, and perhaps the place it was sent from; the steps that are taken inside belong to it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

from agentrace import events
from agentrace.capture import process
from agentrace.capture.entering import AlsoAsync
from agentrace.capture.guard import fault
from agentrace.capture.process import Recording
from agentrace.capture.recording import RunRecording
from agentrace.capture.sampling import Unwritten
from agentrace.capture.scope import FLOW, Flow
from agentrace.errors import ConfigError
from agentrace.ids import format_run_id, parse_run_id

P = ParamSpec("P")
T = TypeVar("T")

NOWHERE: Final = process.NO_PARENT
"""The parent of a run that nothing recorded has started."""
_UNWRITTEN: Final = "unsampled:"
"""What stands before a place, as text, in a run that is not written; `agentrace run` knows it, too."""


def place_as_text(place: events.Parent) -> str:
    """``RUN_ID:STEP:FLOW``; empty for :data:`NOWHERE`. In a run that is not written ``unsampled:`` stands before it."""
    if not place.run_id:
        return ""
    unwritten = _UNWRITTEN if isinstance(place, Unwritten) else ""
    return f"{unwritten}{format_run_id(place.run_id)}:{place.step_id}:{place.flow}"


def place_in(flow: Flow, hop: str) -> events.Parent:
    """The place of what the calling code starts: ``hop`` from a flow."""
    kind = events.Parent if flow.run.sampled else Unwritten
    return kind(flow.run.id, flow.parent, f"{flow.step_path}/{hop}")


def place_from(text: object) -> events.Parent:
    """The place that a text names; :data:`NOWHERE` if it names none, or badly."""
    told = text if isinstance(text, str) else ""
    kind = Unwritten if told.startswith(_UNWRITTEN) else events.Parent
    run_id, _, rest = told.removeprefix(_UNWRITTEN).partition(":")
    step, _, flow = rest.partition(":")
    try:
        return kind(parse_run_id(run_id), int(step), flow)
    except ValueError:
        return NOWHERE


def carry() -> str:
    """The calling code's place in its run, to be handed to whoever does a job of it: ``agentrace.run(parent=...)``.

    A line of printable text, e.g. for a message's headers. Empty while nothing is recorded.
    """
    recording = process.current
    if recording is None:
        return ""
    try:
        flow = recording.flow()
        flow.run.open()  # a job may only name a run that exists
        return place_as_text(place_in(flow, flow.branch("job").path))
    except Exception as error:
        fault(error)
        return ""


class Begun:
    """A run between its begin and its end, whoever holds it. Nothing is written before its first event."""

    def __init__(
        self,
        recording: Recording,
        name: str | Callable[[], str],
        parent: events.Parent,
        sample: bool | None,
    ) -> None:
        self._recording = recording
        self._is_joined = recording.is_one_run
        self.run: RunRecording = recording.implicit() if self._is_joined else recording.open_run(name, parent, sample)
        self._inside: Any = self.run.root

    def enter(self) -> Flow | None:
        """From here on steps belong to the run, where it was left; returns what :meth:`leave` needs."""
        outside: Flow | None = FLOW.get()
        if not self._is_joined:
            FLOW.set(self._inside)
        return outside

    def leave(self, outside: Flow | None) -> None:
        """Steps belong to where the program was before :meth:`enter`."""
        if not self._is_joined:
            inside = FLOW.get()
            self._inside = self.run.root if inside is None or inside.run is not self.run else inside
            FLOW.set(outside)

    def abort(self, by: str, code: str, reason: str) -> None:
        """Tell that somebody outside has put an end to it."""
        if not self._is_joined and not self.run.closed:
            self._told(self.run.emit, events.ExecutionAborted, events.RUN_STEP, by, code, reason)

    def open(self) -> None:
        """Be on disk from now on, whether or not a step is ever taken."""
        self._told(self.run.open)

    def end(self, error: BaseException | None = None, *, is_failure: bool = False) -> None:
        """It is over, with the exception that ended it; ``is_failure``: it failed without one."""
        if self._is_joined or self.run.closed:
            return
        self.open()
        self.run.exit_code = int(is_failure or error is not None)
        self._told(self._recording.end_run, self.run, error)

    @staticmethod
    def _told(tell: Callable[..., None], *args: object) -> None:
        try:
            tell(*args)
        except Exception as error:
            fault(error)


def begin_run(
    name: str | Callable[[], str], parent: events.Parent = NOWHERE, sample: bool | None = None
) -> Begun | None:
    """A new run of this process; ``None`` where nothing is recorded. In a test that has a trace, the run of the test.

    A ``name`` that is a function is asked when the run's first event is written.
    """
    recording = process.current
    if recording is None:
        return None
    try:
        return Begun(recording, name, parent, sample)
    except Exception as error:
        fault(error)
        return None


REQUEST: Final = "agentrace.run"
"""The key of a request's scope or environ that holds the id of its run."""


def begin_request(request: MutableMapping[str, Any], name: Callable[[], str]) -> Begun | None:
    """The run of a request; ``None`` also where somebody further out has begun it already."""
    recording = process.current
    here = None if recording is None else recording.flow_given()
    if here is not None and request.get(REQUEST) == format_run_id(here.run.id):
        return None
    begun = begin_run(name)
    if begun is not None:
        request[REQUEST] = format_run_id(begun.run.id)
    return begun


class run(AlsoAsync):
    """A run of its own: ``with agentrace.run("checkout"): ...``, ``async with``, or ``@agentrace.run("nightly")``.

    Steps inside it belong to this run. Without ``init()`` it does nothing; in a test that has a trace, its steps belong
    to the run of the test.

    Args:
        name: what the run is called; a decorated function's name by default.
        parent: what :func:`carry` gave where the work was sent from; the run is then shown below that place.
        sample: whether the run is written, whatever the setting ``sample_rate`` says. Below a ``parent`` it is
            written if that one is.
        tags: labels by which it is found, besides those of the setting ``tags``.
    """

    def __init__(
        self, name: str = "", *, parent: str = "", sample: bool | None = None, tags: Iterable[str] = ()
    ) -> None:
        if not isinstance(name, str):
            raise ConfigError(
                f"agentrace.run was given a {type(name).__name__} as the name of a run",
                do='write @agentrace.run("name"), or @agentrace.run() to take the name of the function',
            )
        self._name = name
        self._parent = parent
        self._sample = sample
        self._tags = _checked(tags)
        self._begun: Begun | None = None
        self._outside: Flow | None = None

    @property
    def id(self) -> str:
        """The run's id; empty while nothing is recorded, and for a run that is not written (see ``sample_rate``)."""
        return "" if self._begun is None or not self._begun.run.sampled else format_run_id(self._begun.run.id)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """``function`` with each call of it as a run. Raises ``ConfigError`` for what is no function or coroutine."""
        name = self._name or getattr(function, "__qualname__", "").replace("<locals>.", "")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) or not name:
            raise ConfigError(
                f"@agentrace.run was put on {function!r}, which is no function that begins and ends with its call",
                do="decorate the function that goes through it, or use `with agentrace.run(...)` inside",
                slug="not-callable",
            )
        return _decorated(function, name, self._parent, self._sample, self._tags)

    def __enter__(self) -> run:
        self._begun = begin_run(self._name, place_from(self._parent), self._sample)
        if self._begun is not None:
            self._begun.run.tags = self._tags
            self._begun.open()
            self._outside = self._begun.enter()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if self._begun is not None:
            self._begun.leave(self._outside)
            self._begun.end(error)


def _checked(tags: Iterable[object]) -> tuple[str, ...]:
    found = [] if isinstance(tags, str) else list(tags)
    labels = tuple(tag for tag in found if isinstance(tag, str) and tag.strip())
    if isinstance(tags, str) or len(labels) != len(found):
        raise ConfigError(f"agentrace.run was given {tags!r} as tags", do='write tags=["nightly", "checkout"]')
    return labels


def _decorated(
    function: Callable[P, T], name: str, parent: str, sample: bool | None, tags: Iterable[str]
) -> Callable[P, T]:
    # The block is looked up at the call, so that a decorated function can be pickled and copied like any other.
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with run(name, parent=parent, sample=sample, tags=tags):
                return await function(*args, **kwargs)

        return cast("Callable[P, T]", functools.wraps(function)(awaited))

    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with run(name, parent=parent, sample=sample, tags=tags):
            return function(*args, **kwargs)

    return functools.wraps(function)(called)
