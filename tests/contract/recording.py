"""Recording and replaying inside the test's own process, with the record in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from agentrace import config, events, runtime
from agentrace.canonical import Reader
from agentrace.capture.behind import Behind
from agentrace.journal import Damage
from agentrace.query import inferred, replayable
from agentrace.replay.calls import taped
from agentrace.replay.manner import Manner
from agentrace.replay.report import coded
from agentrace.replay.tape import ExactTape
from agentrace.runtime.assembly import Runtime
from agentrace.store import RunRecord


class Memory:
    """A recorder that keeps everything where it can be looked at."""

    def __init__(self) -> None:
        self.run_id = b""
        self.written: list[bytes] = []
        self.payloads: dict[bytes, bytes] = {}
        self.over = False

    def event(self, data: bytes, /) -> None:
        """Keep one event."""
        self.written.append(data)

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep a payload."""
        self.payloads[digest] = data

    def finished(self) -> None:
        """The run is over."""
        self.over = True

    def everything(self) -> bytes:
        """All bytes that would be on disk."""
        return b"\n".join([*self.written, *self.payloads.values()])

    def told(self) -> list[Any]:
        """The events, decoded, in the order of seq."""
        return sorted(map(events.decode, self.written), key=lambda event: event.seq)


class Kept:
    """What a memory holds, as the journal gives the record of a run that is over."""

    state: Literal["live", "unsealed", "sealed"] = "sealed"
    damage: list[Damage]
    holes: list[tuple[int, int]]

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.run_id = memory.run_id
        self.damage, self.holes = [], []

    def events(self, after: int = 0) -> Iterator[bytes]:
        """The encoded events beyond a seq."""
        return (events.encode(event) for event in self._memory.told() if event.seq > after)

    def payload(self, digest: bytes) -> bytes:
        """What is stored under a digest."""
        return self._memory.payloads[digest]


class Recording:
    """A runtime that is started and ended by hand, and the record that it makes."""

    def __init__(self, tape: ExactTape | None = None, memory: Memory | None = None, **settings: object) -> None:
        self.memory = Memory() if memory is None else memory
        loaded = config.load({"home": "/nowhere", **settings}, environ={}, cwd=Path("/"))
        self.tape = tape
        self.runtime = Runtime(loaded, open_recorder=self._opened, tape=tape)
        self.runtime.behind = Behind()  # as where it is written to a disk

    def _opened(self, run_id: bytes) -> Memory:
        self.memory.run_id = run_id
        return self.memory

    def start(self) -> None:
        """Begin to record."""
        runtime.start(self.runtime)

    def end(self) -> None:
        """Record nothing more."""
        runtime.shutdown()

    @property
    def record(self) -> RunRecord:
        """The run as a reader sees it."""
        return RunRecord(Kept(self.memory))


@contextmanager
def recording(**settings: object) -> Iterator[Recording]:
    """Record what happens in the block."""
    made = Recording(**settings)  # type: ignore[arg-type]
    made.start()
    try:
        yield made
    finally:
        made.end()


@contextmanager
def replaying(source: RunRecord, settings: dict[str, object] | None = None, **manner: Any) -> Iterator[Recording]:
    """Answer what happens in the block from ``source``; what it leaves unanswered is a divergence too."""
    memory = Memory()
    known = replayable(source, inferred(source))
    tape = ExactTape(
        taped(source),
        Reader(memory.payloads.__getitem__),
        caveats=coded([*known.because, *known.caveats]),
        manner=Manner(**manner),
        on_divergence=lambda divergence, step: None,
        give_up=_no_end,
    )
    made = Recording(tape, memory, **(settings or {}))
    made.start()
    try:
        yield made
        tape.finish()
    finally:
        made.end()


def _no_end() -> None:
    raise AssertionError("the program swallowed a thousand divergences")
