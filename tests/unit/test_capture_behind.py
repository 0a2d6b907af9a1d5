"""What is noted is written in its order, by one thread at a time, and whoever needs it written finds it written."""

from __future__ import annotations

import threading

import pytest

from agentrace.capture import behind
from agentrace.capture.behind import Behind, Notes
from agentrace.errors import RecordingFailed

LONG = 30.0


class Page:
    """What notes are written on, with a check that nobody else is writing."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, int]] = []
        self._writing = threading.Lock()

    def write(self, author: int, number: int) -> None:
        assert self._writing.acquire(blocking=False), "two threads write at once"
        self.lines.append((author, number))
        self._writing.release()


def test_whoever_settles_finds_all_that_it_noted_written_in_its_order() -> None:
    notes, page = Notes(Behind()), Page()
    seen: dict[int, list[int]] = {}

    def work(author: int) -> None:
        for number in range(2000):
            notes.put(page.write, author, number)
            if number % 7 == author:
                notes.settle()
                seen.setdefault(author, []).append(page.lines.count((author, number)))

    threads = [threading.Thread(target=work, args=(author,)) for author in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes.settle()

    assert {count for counts in seen.values() for count in counts} == {1}
    for author in range(4):
        assert [number for who, number in page.lines if who == author] == list(range(2000))


@pytest.mark.parametrize("pause", [behind.PAUSE, 0.0], ids=["still looking", "asleep again"])
def test_what_is_noted_is_written_though_nobody_settles(pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "PAUSE", pause)
    monkeypatch.setattr(behind, "ROUNDS", 1)
    written = threading.Event()
    thread = Behind()

    for _ in range(50):
        Notes(thread).put(written.set)
        assert written.wait(LONG)
        written.clear()


def test_without_a_thread_everything_is_written_at_once() -> None:
    notes, page = Notes(None), Page()

    notes.put(page.write, 1, 1)

    assert page.lines == [(1, 1)]


def test_whoever_settles_waits_for_the_thread_that_is_writing() -> None:
    notes, page = Notes(None), Page()
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert go_on.wait(LONG)
        page.write(0, 0)

    writer = threading.Thread(target=notes.put, args=(slow,))
    writer.start()
    assert begun.wait(LONG)
    threading.Timer(0.01, go_on.set).start()
    notes.settle()

    assert page.lines == [(0, 0)]
    writer.join()


def test_a_note_that_settles_while_it_is_written_does_not_wait_for_itself() -> None:
    notes, page = Notes(Behind()), Page()

    def handler() -> None:
        notes.put(page.write, 0, 2)
        notes.settle()
        page.write(0, 1)

    notes.put(handler)
    notes.settle()

    assert page.lines == [(0, 1), (0, 2)]


def test_a_thread_that_is_told_to_end_writes_no_more_and_keeps_nothing_from_being_written() -> None:
    thread, page = Behind(), Page()
    thread.close()
    notes = Notes(thread)

    notes.put(page.write, 0, 0)

    assert page.lines == []
    notes.settle()
    assert page.lines == [(0, 0)]


def test_whoever_settles_is_told_what_the_thread_could_not_write() -> None:
    tried = threading.Event()
    notes = Notes(Behind())

    def refused() -> None:
        tried.set()
        raise RecordingFailed("no room", do="make room")

    notes.put(refused)
    assert tried.wait(LONG)

    with pytest.raises(RecordingFailed, match="no room"):
        notes.settle()
    notes.settle()


def test_nobody_waits_for_ever() -> None:
    notes, go_on, begun = Notes(None), threading.Event(), threading.Event()
    before, behind.PATIENCE = behind.PATIENCE, 0.01

    def stuck() -> None:
        begun.set()
        go_on.wait(LONG)

    writer = threading.Thread(target=notes.put, args=(stuck,))
    writer.start()
    try:
        assert begun.wait(LONG)
        notes.settle()
    finally:
        behind.PATIENCE = before
        go_on.set()
        writer.join()
