"""A call in progress, and what is known of it before it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct

from agentrace.capture.chance import generator, standing
from agentrace.capture.codec import Codec
from agentrace.capture.recording import RunRecording
from agentrace.capture.scope import Flow
from agentrace.events import answered_kind

Kind: TypeAlias = Literal["model", "embedding", "tool", "retriever", "planner", "validator", "safety", "agent", "task"]


class Spec(Struct, frozen=True):
    """What is known of a call before it is made."""

    kind: str
    name: str
    operation: str = ""
    integration: str = ""
    effects: str = ""
    replay: str = ""
    """``answer`` or ``reexecute``; empty means: boundaries are answered, other kinds executed."""
    json: bool = False
    """Whether the input goes over a wire as JSON."""
    ignore: tuple[str, ...] = ()
    """Arguments, as they are told, whose values make it no other call."""
    codec: Codec | None = None
    """Keeps outputs that can only be described otherwise."""
    offered: str = ""
    """The tool that a request of the run must have offered; before that a call is not recorded."""

    @property
    def answered(self) -> bool:
        """Whether a replay answers this call from the record."""
        return answered_kind(self.kind, self.replay)


class Step:
    """A call in progress."""

    # Defaults stand on the class, because making one of these is on the caller's time.
    chunks = 0
    passed = 0
    """Elements that went in or out of a generator."""
    exchanges = 0
    first_chunk_ns = 0
    ended = False
    closing = False
    """Whether the consumer of a generator has closed it."""
    notes: Any = None
    """What of its exchanges is not written yet."""
    last_exchange: Any = None
    """The exchange that began last."""
    answer: Any = None
    """On a replay: what the record holds for this call."""
    source = 0
    """On a replay: the step of the source run that this one repeats."""
    shape = ""
    """Of what a plain function gave instead of a value, as in ``events.StepCompleted``."""
    before_end: Callable[[], None] | None = None
    """What is to be told of the step before its end."""
    _inner: Flow | None = None

    def __init__(self, spec: Spec, outer: Flow, ordinal: int, value: Raw) -> None:
        run = outer.run
        self.spec = spec
        self.run: RunRecording = run
        self.id: int = run.next_step()
        self.outer = outer
        """The flow that made the call."""
        self.ordinal = ordinal
        self.input = value
        self.started_ns: int = run.clock.monotonic_ns()
        if run.tape is not None:
            run.tape.began(self)

    @property
    def inner(self) -> Flow:
        """The flow inside the call, made when something inside asks for it."""
        flow = self._inner
        if flow is None:
            flow = self._inner = self.outer.inside(self.id, self.spec.name, self.ordinal)
            flow.step = None if self.ended else self
            flow.answered = flow.answered or self.spec.answered
        return flow

    def let_go(self) -> None:
        """The step ended. Step and flow hold each other: let both go without the garbage collector."""
        if self.before_end is not None:
            self.before_end()
        if self._inner is not None:
            self._inner.step = None
        if self.run.tape is not None:
            self.run.tape.ended(self)

    @property
    def path(self) -> str:
        """The step's place in the program, independent of timing."""
        return self.inner.step_path

    def drawn(self) -> int:
        """Where the generator of ``random`` stands, if a replay has to be told and it has moved since; else 0."""
        if not self.spec.answered or self.spec.integration:
            return 0
        stands = standing(generator())
        if stands == self.run.random:
            return 0
        self.run.random = stands
        return stands

    def elapsed_ns(self) -> int:
        """Monotonic nanoseconds since dispatch."""
        return self.run.clock.monotonic_ns() - self.started_ns
