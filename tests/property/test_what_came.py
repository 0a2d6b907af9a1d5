"""Lists and indexes that go on from where they were say what those say that begin anew."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace.index import opened
from agentrace.journal.lane_glancing import Look, Places, look
from agentrace.journal.reading import Snapshot
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store
from tests.unit.indexes import one as one_value
from tests.unit.recorded_runs import Process, Writing, completion

ROUNDS = 1 if "AGENTRACE_SOAK" not in os.environ else 10


class World:
    """Two processes that record at random."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self._random = random.Random(seed)
        self._processes = [Process(root), Process(root)]
        self._runs: list[tuple[Process, Writing, list[int]]] = []
        self._number = 0

    def act(self) -> None:
        """Something happens."""
        self._random.choice(self._actions())()

    def close(self) -> None:
        for process in self._processes:
            process.close()

    def _actions(self) -> list[Callable[[], None]]:
        if not self._runs:
            return [self._begin]
        some = [*(self._step, self._step, self._step, self._end_step, self._end_step), self._note, self._history]
        return [*some, self._begin, self._large, self._end, self._leave, self._gap]

    def _begin(self) -> None:
        self._number += 1
        process = self._random.choice(self._processes)
        run = process.run(f"run {self._number}", number=self._number)
        self._runs.append((process, run, []))

    def _any(self) -> tuple[Process, Writing, list[int]]:
        return self._random.choice(self._runs)

    def _step(self) -> None:
        _, run, open_steps = self._any()
        parent = self._random.choice([0, *open_steps])
        kind = self._random.choice(["tool", "agent", "model"])
        open_steps.append(run.step(kind, "act", run.seq, {"n": run.seq, "text": "same" * 5}, parent=parent))

    def _end_step(self) -> None:
        _, run, open_steps = self._any()
        if open_steps:
            step = open_steps.pop(self._random.randrange(len(open_steps)))
            if self._random.random() < 0.7:
                run.done(step, run.seq, {"n": run.seq})
            else:
                run.failed(step, run.seq, "builtins:ValueError", "no")

    def _history(self) -> None:
        """A model call with a history that grows: its input shares payloads with those before it."""
        _, run, _ = self._any()
        messages = [{"role": "user", "content": f"{number} " + "word " * 400} for number in range(1 + run.seq % 7)]
        step = run.step("model", "m", run.seq, {"model": "m", "messages": messages}, integration="openai")
        run.exchange(step, run.seq, run.seq + 1, body=completion("yes"))
        run.answered(step, run.seq + 2)

    def _note(self) -> None:
        from agentrace.events import Logged

        _, run, _ = self._any()
        run.event(Logged, self._random.randrange(run.steps + 1), run.seq, "info", f"note {run.seq}")

    def _large(self) -> None:
        """So that the lane goes on to its next file."""
        _, run, open_steps = self._any()
        open_steps.append(run.step("tool", "large", run.seq, {"raw": self._random.randbytes(200_000)}))

    def _gap(self) -> None:
        _, run, _ = self._any()
        run.lose(1)

    def _end(self) -> None:
        at = self._random.randrange(len(self._runs))
        _, run, _ = self._runs.pop(at)
        run.end(run.seq)

    def _leave(self) -> None:
        """A process is over, and its runs are not."""
        if self._random.random() < 0.5:
            return
        at = self._random.randrange(2)
        self._processes[at].close()
        self._runs = [one for one in self._runs if one[0] is not self._processes[at]]
        self._processes[at] = Process(self.root)


@contextmanager
def world(seed: int) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as directory:
        made = World(Path(directory) / "store", seed)
        try:
            yield made
        finally:
            made.close()


def listed(found: Look) -> dict[bytes, tuple[int, bool, bool, bool, Path | None]]:
    return {name: (run.last, run.filled, run.finished, run.living, run.lane) for name, run in found.runs.items()}


def eventually_equal(one: Callable[[], object], other: Callable[[], object]) -> bool:
    """While a process seals what is over, two looks may come before and after that."""
    return any(one() == other() for _ in range(20))


@given(st.integers(0, 1 << 30), st.lists(st.integers(0, 6), min_size=1, max_size=12))
@settings(max_examples=60 * ROUNDS, deadline=None)
def test_a_look_that_goes_on_sees_what_one_sees_that_begins_anew(seed: int, pauses: list[int]) -> None:
    known: dict[bytes, int] = {}
    places: Places = {}
    with world(seed) as one:
        for pause in pauses:
            for _ in range(pause):
                one.act()
            quiet = Snapshot(one.root, before=places)
            entries = quiet.runs()
            assert eventually_equal(lambda at=places: listed(look(one.root, at)), lambda: listed(look(one.root)))
            assert eventually_equal(
                lambda at=places: Snapshot(one.root, before=at).runs(), lambda: Snapshot(one.root).runs()
            )
            for entry in entries:
                came = quiet.continued(entry.run_id, known.get(entry.run_id, 0)) if entry.state == "live" else None
                whole = Snapshot(one.root).record(entry.run_id)
                if came is not None:
                    after = known.get(entry.run_id, 0)
                    assert list(came.events(after)) == list(whole.events(after))
                assert list(quiet.record(entry.run_id).events()) == list(whole.events())
                known[entry.run_id] = whole.last
            places = quiet.places


@given(st.integers(0, 1 << 30), st.lists(st.integers(1, 8), min_size=2, max_size=6))
@settings(max_examples=5 * ROUNDS, deadline=None)
def test_an_index_that_goes_on_says_what_one_says_that_is_made_anew(seed: int, pauses: list[int]) -> None:
    with world(seed) as one:
        for pause in pauses:
            for _ in range(pause):
                one.act()
            assert of_store(one.root) == made_anew(one.root)


@given(st.integers(0, 1 << 30), st.randoms(use_true_random=False))
@settings(max_examples=15 * ROUNDS, deadline=None)
def test_no_place_leads_astray(seed: int, chance: random.Random) -> None:
    """Whatever is taken for how far an earlier list had come: that of any moment, damaged, or of another store."""
    told = [b"", b"nonsense"]
    for of in (seed + 1, seed):
        with world(of) as one:
            for _ in range(12):
                one.act()
                told.append(came_to(Store(one.root)))
            for before in chance.sample(told, 4):
                agrees(one, before)
                assert agrees(one, damaged(before, chance)) == 0


def came_to(store: Store) -> bytes:
    assert store.entries
    return store.came_to()


def agrees(one: World, before: bytes) -> int:
    """How often it is known what came, which is then what the whole record has."""
    said: list[bytes] = []
    store = Store(one.root)
    store.go_on_from(before)
    assert {entry.run_id for entry in store.entries} == {entry.run_id for entry in Store(one.root).entries}
    for entry in store.entries:
        whole = Store(one.root).source(entry.run_id)
        for after in range(whole.last + 1):  # whatever an index may have of it
            came = store.continued(entry.run_id, after)
            if came is not None:
                assert list(came.events(after)) == list(whole.events(after))
                said.append(entry.run_id)
    return len(said)


def damaged(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"\0"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def test_what_a_command_reads_of_a_live_run_is_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the whole of it again: neither its lane nor what stands in it."""
    process = Process(tmp_path)
    run = process.run("long")
    for at in range(2_000):
        run.done(run.step("tool", "act", at, {"n": at}), at, at)
    waiting = run.step("model", "m", 2_000, {"model": "m"})
    assert of_store(tmp_path)

    read = 0
    pread = os.pread

    def counted(fd: int, size: int, offset: int) -> bytes:
        nonlocal read
        found = pread(fd, size, offset)
        read += len(found.rstrip(b"\0")) if os.readlink(f"/proc/self/fd/{fd}").endswith(".lane") else 0
        return found

    monkeypatch.setattr(os, "pread", counted)
    run.done(waiting, 2_001, {"text": "late"})
    run.done(run.step("tool", "act", 2_002), 2_003)
    with opened(Store(tmp_path)) as session:
        assert session.indexed is not None
        assert session.indexed.events == 3
    assert 0 < read < 10_000
    monkeypatch.undo()
    assert of_store(tmp_path) == made_anew(tmp_path)
    process.close()


def rolled(root: Path) -> tuple[Process, Writing, Places]:
    """A run whose first lane file was looked at, and then sealed and removed while the run goes on in the next ones."""
    process = Process(root)
    run = process.run("long")
    run.step("tool", "first", 1)
    before = look(root).places
    (first,) = before
    until = time.monotonic() + 20
    while (root / first).exists():
        assert time.monotonic() < until
        run.done(run.step("tool", "large", run.seq, {"raw": random.randbytes(300_000)}), run.seq)
        time.sleep(0.01)
    return process, run, before


def test_what_was_sealed_meanwhile_is_not_taken_for_what_came(tmp_path: Path) -> None:
    process, run, before = rolled(tmp_path)
    now = Snapshot(tmp_path, before=before)
    assert [entry.state for entry in now.runs()] == ["live"]
    assert now.continued(run.id, 2) is None

    later = Snapshot(tmp_path, before=now.places)
    run.step("tool", "last", run.seq)
    later.runs()
    assert later.continued(run.id, 0) is None  # who asks has less than what is sealed
    came = later.continued(run.id, run.seq - 1)
    assert came is not None
    assert len(list(came.events())) == 1
    process.close()


def test_a_lane_that_lacks_a_file_is_read_whole(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("long")
    before = look(tmp_path).places
    (first,) = before
    for number in (2, 4):
        (tmp_path / first).with_name(f"{number:06d}.lane").write_bytes(bytes(4096))
    assert run.id not in look(tmp_path, before).news
    (tmp_path / first).with_name("000003.lane").write_bytes(bytes(4096))
    assert run.id in look(tmp_path, before).news
    process.close()


def test_events_are_kept_as_long_as_their_step_goes_on(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("long")
    outer = run.step("agent", "outer", 1)
    inner = [run.step("tool", "inner", at, parent=outer) for at in range(5)]
    kept = "SELECT list(DISTINCT step_id ORDER BY step_id) FROM open_rows"
    with opened(Store(tmp_path)) as session:
        assert one_value(session, kept) == [0, outer, *inner]
    for step in inner:
        run.done(step, 10)
    with opened(Store(tmp_path)) as session:
        assert one_value(session, kept) == [0, outer]
    run.done(outer, 11)
    run.end(12)
    with opened(Store(tmp_path)) as session:
        assert one_value(session, "SELECT count(*) FROM open_rows") == 0
    process.close()
