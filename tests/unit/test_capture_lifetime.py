"""Beginning, ending and failing: recording comes and goes without a trace, and its faults are nobody else's."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import concurrent.futures.thread
import inspect
import itertools
import multiprocessing.process
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace import config, events, runtime
from agentrace.capture import guard, process
from agentrace.errors import AgentraceError, ConfigError, RecordingFailed
from agentrace.query import Runs
from agentrace.runtime.assembly import Runtime
from agentrace.testing import MemoryRecorder, TickingClock, recorded
from tests.unit import capture_programs as program


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store for those who record for real."""
    monkeypatch.setenv("AGENTRACE_HOME", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "store"
    agentrace.shutdown()


# --- coming and going ---------------------------------------------------------------------------------------

PLACES: list[Any] = [
    sys,
    os,
    threading.Thread,
    asyncio.base_events.BaseEventLoop,
    asyncio.tasks,
    asyncio.events,
    concurrent.futures.thread.ThreadPoolExecutor,
    subprocess.Popen,
    subprocess,
    multiprocessing.process.BaseProcess,
    multiprocessing.util,
    signal,
    program,
]
"""Everything in which agentrace replaces something, or may."""


def _everything() -> dict[str, Any]:
    attributes = {f"{place!r}.{name}": value for place in PLACES for name, value in list(vars(place).items())}
    states = {
        "meta_path": list(sys.meta_path),
        "SIGTERM": signal.getsignal(signal.SIGTERM),
        "SIGINT": signal.getsignal(signal.SIGINT),
        "code": {name: f.__code__ for name, f in vars(program).items() if inspect.isfunction(f)},
        "environment": dict(os.environ),
        "path": list(sys.path),
        "hooks": [sys.excepthook, threading.excepthook, sys.unraisablehook],
    }
    return {**attributes, **states}


def test_shutdown_leaves_everything_as_it_was(store: Path) -> None:
    before = _everything()

    agentrace.init(tools=[f"{program.__name__}:undecorated*"])
    during = _everything()
    program.undecorated(1)
    program.add(1)
    agentrace.shutdown()

    changed = {name for name, value in during.items() if before.get(name) is not value and before.get(name) != value}
    assert len(changed) >= 8
    after = _everything()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()
    assert process.current is None


def test_what_somebody_else_replaced_since_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    agentrace.init(tools=[f"{program.__name__}:undecorated"])

    def start(self: Any) -> Any: ...

    def undecorated(number: int) -> int:
        return -number

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(program, "undecorated", undecorated)
    agentrace.shutdown()

    assert threading.Thread.start is start
    assert program.undecorated is undecorated


def test_init_again_changes_nothing(store: Path) -> None:
    first = agentrace.init(name="first")
    program.add(1)
    second = agentrace.init(name="second")
    program.add(2)

    assert (first.recording, second.recording, second.home) == (True, True, str(store))
    assert second.run_id == agentrace.status().run_id != ""
    agentrace.shutdown()
    assert _runs(store) == [("first", 2)]


def test_init_after_shutdown_is_another_run(store: Path) -> None:
    for number in range(3):
        agentrace.init(name=f"run {number}")
        program.add(number)
        agentrace.shutdown()
        program.add(100)

    assert _runs(store) == [("run 0", 1), ("run 1", 1), ("run 2", 1)]


def test_init_from_many_threads_begins_once(store: Path) -> None:
    barrier = threading.Barrier(8)
    homes: list[str] = []

    def begin() -> None:
        barrier.wait()
        homes.append(agentrace.init().home)
        program.add(1)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agentrace.shutdown()

    assert homes == [str(store)] * 8
    assert [steps for _, steps in _runs(store)] == [8]


def test_disabled_means_not_there(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    monkeypatch.setenv("AGENTRACE_DISABLED", "1")
    before = _everything()

    status = agentrace.init(on_error="nonsense")
    program.add(1)
    with agentrace.run("run") as run, agentrace.step("step"):
        program.add(2)

    assert not status.recording
    assert run.id == ""
    assert _everything() == before
    assert not store.exists()


def test_a_setting_that_cannot_be_used_leaves_nothing_behind() -> None:
    before = _everything()

    with pytest.raises(ConfigError):
        agentrace.init(on_error="nonsense")
    with pytest.raises(ConfigError):
        agentrace.init(redact_patterns=["("])

    assert _everything() == before


def test_one_runtime_at_a_time() -> None:
    with recorded(), pytest.raises(AgentraceError, match="recorded already"), recorded():
        pass

    with recorded() as again:
        program.add(1)
    assert len(again.steps) == 1


def test_a_module_that_cannot_be_looked_at_does_not_stop_init(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    monkeypatch.setitem(sys.modules, "odd_one", Odd())
    monkeypatch.setitem(sys.modules, "no_module", 5)
    monkeypatch.delenv("AGENTRACE_DEBUG")

    with recorded(tools=["undecorated"]) as record:
        program.undecorated(1)

    assert [step.name for step in record.steps] == ["undecorated"]


def _runs(store: Path) -> list[tuple[str, int]]:
    """The runs in a store, the oldest first: their names and how many steps they took."""
    runs = Runs(store)
    traces = [runs.record(run_id).trace for run_id in reversed(runs.ids)]
    assert all(trace.run.status == "completed" for trace in traces)
    return [(trace.run.name, len(trace.steps)) for trace in traces]


# --- faults -------------------------------------------------------------------------------------------------


class BrokenClock(TickingClock):
    """A clock that works for some readings only."""

    def __init__(self, works_for: int) -> None:
        super().__init__()
        self.left = works_for

    def monotonic_ns(self) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError("no clock")
        return super().monotonic_ns()


class BrokenRecorder(MemoryRecorder):
    """A recorder that fails now and then."""

    broken = False

    def event(self, data: bytes, /) -> None:
        if self.broken:
            raise OSError("no disk")
        super().event(data)

    def payload(self, digest: bytes, data: bytes, /) -> None:
        if self.broken:
            raise OSError("no disk")
        super().payload(digest, data)


@pytest.mark.parametrize("works_for", range(0, 40, 3))
def test_a_fault_is_not_the_programs(works_for: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.delenv("AGENTRACE_DEBUG")
    before = guard.faults()

    async def main() -> list[Any]:
        return [await program.fetch(2), [item async for item in program.stream(2)]]

    with recorded(clock=BrokenClock(works_for)) as record:
        assert program.add(1) == 6
        assert list(program.count(2)) == [0, 1]
        assert asyncio.run(main()) == [2, [0, 1]]
        with pytest.raises(program.Refused):
            program.refuse()
        with agentrace.step("block") as block:
            block.output = 1
        with agentrace.run("run"):
            program.add(2)

    assert guard.faults() > before
    assert "no clock" in guard.last_fault()
    for run in record.runs:
        assert [event.seq for event in run.events] == list(range(1, len(run.events) + 1))
    assert agentrace.status().faults == guard.faults()


def test_a_fault_is_told_once(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.delenv("AGENTRACE_DEBUG")
    monkeypatch.setattr(guard, "_counter", itertools.count(1))

    with recorded(clock=BrokenClock(3)):
        for number in range(5):
            program.add(number)

    told = capfd.readouterr().err
    assert told.count("a fault of its own was caught, the program is not affected: OSError: no clock") == 1


def test_under_test_a_fault_is_raised() -> None:
    clock = BrokenClock(1000)

    with recorded(clock=clock):
        clock.left = 0
        with pytest.raises(OSError, match="no clock"):
            program.add(1)
        clock.left = 1000


def test_what_goes_on_after_a_fault_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTRACE_DEBUG")
    clock = BrokenClock(1000)

    with recorded(clock=clock) as record:
        program.add(1)
        clock.left = 0
        program.add(2)
        clock.left = 1000
        program.add(3)

    assert [record.python(step.dispatched.input)["a"] for step in record.steps if step.status == "ok"] == [1, 3]
    assert record.trace.run.status == "completed"
    ended = record.events[-1]
    assert isinstance(ended, events.WorkflowCompleted)
    assert ended.faults > 0


def test_a_program_that_must_not_run_unrecorded_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    agentrace.init(home=str(tmp_path / "file" / "store"), on_error="raise")

    with pytest.raises(RecordingFailed, match="could not be kept"):
        program.add(1)
    with pytest.raises(RecordingFailed):
        list(program.count(1))


def test_a_program_that_may_run_unrecorded_goes_on_and_is_told_once(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    agentrace.init(home=str(tmp_path / "file" / "store"))

    assert [program.add(number) for number in range(3)] == [5, 6, 7]

    assert agentrace.status().lost >= 6
    agentrace.shutdown()
    assert capfd.readouterr().err.count("events are being lost, the program goes on") == 1


@pytest.mark.parametrize("broken", ["clock", "recorder"])
def test_a_shutdown_that_fails_still_ends_the_recording(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTRACE_DEBUG")
    before = _everything()
    before["environment"] = dict(os.environ)
    memory, clock = BrokenRecorder(), BrokenClock(1000)
    loaded = config.load({"home": "/nowhere"}, environ={}, cwd=Path("/"))

    runtime.start(Runtime(loaded, clock=clock, open_recorder=lambda _: memory))
    program.add(1)
    memory.broken = broken == "recorder"
    clock.left = 0 if broken == "clock" else 1000
    agentrace.shutdown()

    assert {name for name, value in _everything().items() if before.get(name) != value} == set()
    assert program.add(2) == 7


def test_at_the_end_nothing_is_written_after_the_end() -> None:
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            program.add(1)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    try:
        for _ in range(5):
            with recorded() as record:
                if not threads[0].is_alive():
                    for thread in threads:
                        thread.start()
                program.add(2)
            assert [len(record.runs), record.over, record.runs[-1].over] == [1, True, True]
            assert type(max(record.events, key=lambda event: event.seq)).__name__ == "WorkflowCompleted"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
