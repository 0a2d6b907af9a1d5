"""Where in the program a step happens: flows, told by creation order and never by timing.

A :class:`Flow` is one line of control under one enclosing step: the step's own, that of a task, or that of a thread.
Its path counts creations within its parent, which is program order, so the same program gives the same paths under any
schedule. Flows travel in one context variable of ours; no other state of the user's contexts is touched.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from agentrace.native import get_ident

if TYPE_CHECKING:
    from agentrace.capture.ordinals import LoopState
    from agentrace.capture.recording import RunRecording

_ident = get_ident  # of the thread, also for a greenlet


class Flow:
    """One line of control under one enclosing step."""

    __slots__ = (
        "__weakref__",
        "_derived",
        "_task",
        "answered",
        "branches",
        "loop",
        "ordinals",
        "owner",
        "parent",
        "path",
        "run",
        "shared",
        "step",
        "step_path",
        "task",
        "thread",
        "timers",
        "values",
    )

    def __init__(
        self, run: RunRecording, parent: int, path: str, step_path: str = "", task: int = 0, shared: bool = False
    ) -> None:
        self.run = run
        self.parent = parent
        """The enclosing step, 0 for none."""
        self.path = path
        """Hops from the enclosing step, e.g. ``task:2/thread:0``."""
        self.step_path = step_path
        """The full path of the enclosing step."""
        self.task = task
        """Ordinal of the asyncio task, 0 outside."""
        self._task: Any = None
        self.shared = shared
        self.owner = 0
        """Identity of the thread that uses the flow; 0 until one does."""
        self.thread = 0
        self.ordinals = itertools.count()
        """Ordinals of the steps dispatched in this flow."""
        self.branches: dict[str, int] = {}
        self.values = 0
        """Values of the outside world that this flow has asked for."""
        self.timers = 0
        """Timers of event loops that it has made."""
        self.loop: LoopState | None = None
        self._derived: dict[int, Flow] | None = None
        self.step: Any = None
        """The enclosing step while it is open."""
        self.answered = False
        """Whether it is inside a step that a replay answers."""

    def beside(self, name: str) -> Flow:
        """A child that is told by a name of its own, and was not created here, now."""
        path = f"{self.path}/{name}" if self.path else name
        child = type(self)(self.run, self.parent, path, self.step_path, shared=self.shared)
        child.step, child.answered = self.step, self.answered
        return child

    def branch(self, kind: str, task: int = 0, shared: bool = False) -> Flow:
        """The flow of a ``task``, ``thread`` or other child that is created here, now."""
        count = self.branches.get(kind, 0)
        self.branches[kind] = count + 1
        child = self.beside(f"{kind}:{count}")
        child.task, child.shared = task, shared or self.shared
        return child

    def inside(self, step_id: int, name: str, ordinal: int) -> Flow:
        """The flow inside a step that this flow dispatched."""
        hops = f"/{self.path}" if self.path else ""
        inner = Flow(self.run, step_id, "", f"{self.step_path}{hops}/{name}#{ordinal}", self.task)
        inner.owner, inner.thread, inner.loop = self.owner, self.thread, self.loop
        inner._task, inner.answered = self._task, self.answered
        return inner

    def used_by(self, task: Any) -> None:
        """Note the asyncio task that takes a step: a second one beside it makes the order a matter of timing."""
        owner = None if self._task is None else self._task()
        if owner is None or (owner is not task and owner.done()):
            self._task = None if task is None else ref(task)
        elif owner is not task:
            self.shared = True

    def here(self) -> Flow:
        """This flow, or the one derived from it for a thread that it was not made for."""
        ident = _ident()
        if self.owner == ident:
            return self
        if not self.owner:
            self.owner = ident
            self.thread = self.run.process.thread_ordinal(ident)
            return self
        work = _given.get(_line()) if _given else None
        if work is not None and work[0] is self:
            return work[1].here()
        derived = self._derived = {} if self._derived is None else self._derived
        found = derived.get(ident)
        if found is None:
            found = derived[ident] = self.branch("worker", shared=True)
            found.owner = ident
            found.thread = self.run.process.thread_ordinal(ident)
        return found


class Apart(Flow):
    """A line of control on which a request goes out that is left out: its timers are not the program's, and a replay
    lets nothing of it leave the process."""

    __slots__ = ()

    @classmethod
    def leaving(cls, flow: Flow) -> Apart:
        """One that leaves ``flow`` here, for a while."""
        made = cls(flow.run, flow.parent, flow.path, flow.step_path)
        made.answered = True  # its timers are not the program's either
        return made


_given: Final[dict[int, tuple[Flow, Flow]]] = {}
"""By thread or greenlet: the flow whose work it is doing, though that is another one's, and the flow of this work."""


def _line() -> int:
    """The identity of what is running: of the thread, or of the greenlet where there are any."""
    greenlet = sys.modules.get("greenlet")
    return _ident() if greenlet is None else id(greenlet.getcurrent())


@contextmanager
def at_work_for(origin: Flow, flow: Flow) -> Generator[None]:
    """What runs here does what ``origin`` has given to it: what takes itself to be in ``origin`` is in ``flow``."""
    line = _line()
    outside = _given.get(line)
    _given[line] = origin, flow
    try:
        yield
    finally:
        if outside is None:
            del _given[line]
        else:
            _given[line] = outside


FLOW: ContextVar[Any] = ContextVar("agentrace_flow", default=None)
"""Where the calling code is: a ``Flow``, a ``Step`` (standing for the flow inside it), or ``None``."""
