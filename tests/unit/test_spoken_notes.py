"""Notes that are taken of what a program logs and prints: all of it, where it belongs, and nobody notices."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import gc
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import agentrace
from agentrace.capture import output, spoken_notes
from agentrace.events import Logged
from agentrace.testing import MemoryRecorder, recorded
from tests.unit.replays import exact, record_of, replayed

KEY = "sk-proj-Abc123Def456Ghi789Jkl012Mno345Pqr678Stu901"


def logged(record: MemoryRecorder) -> list[tuple[int, str, str]]:
    """Step, level and text of each note."""
    return [(event.step_id, event.level, event.message) for event in record.events if isinstance(event, Logged)]


@agentrace.tool
def weigh(order: str) -> int:
    return len(order)


# --- taken of its log ---------------------------------------------------------------------------------------


@pytest.fixture
def logger() -> logging.Logger:
    # Of its own: what tests run in listens to all others.
    return logging.Logger("shop.tests", logging.DEBUG)  # noqa: LOG001


def test_what_is_logged_at_the_level_asked_for_is_noted(logger: logging.Logger) -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)

    with recorded(logs="info") as record:
        logger.debug("too fine")
        with agentrace.step("pack"):
            logger.info("packing %s of %d", "box", 3, extra={"order": {"id": 7}})
        logger.critical("dropped")
        try:
            raise ZeroDivisionError("boxes")
        except ZeroDivisionError:
            logger.exception("failed")
    logger.info("over")

    assert logged(record) == [(1, "info", "packing box of 3"), (0, "error", "dropped"), (0, "error", "failed")]
    notes = [event for event in record.events if isinstance(event, Logged)]
    assert {note.logger for note in notes} == {"shop.tests"}
    first, second, third = (record.json(note.fields) for note in notes)
    assert first["extra"] == {"order": {"id": 7}}
    assert "test_spoken_notes.py:" in first["at"]
    assert second["level"] == "CRITICAL"
    assert third["exception"]["type"] == "builtins:ZeroDivisionError"
    assert heard == ["too fine", "packing box of 3", "dropped", "failed", "over"]


def test_levels_and_filters_stay_the_programs(logger: logging.Logger) -> None:
    logger.setLevel("WARNING")
    logger.addFilter(lambda record: "secretly" not in record.getMessage())

    with recorded(logs="debug") as record:
        logger.info("not let through")
        logger.warning("secretly")
        logger.warning("let through")

    assert [text for _, _, text in logged(record)] == ["let through"]
    assert "callHandlers" in logging.Logger.__dict__
    assert not hasattr(logging.Logger.callHandlers, "_agentrace")


def test_a_record_that_cannot_be_formatted_stays_the_programs_problem(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    def complained() -> str:
        logger.info("%d boxes", "many")
        return capsys.readouterr().err

    logger.addHandler(logging.StreamHandler(sys.stderr))
    said: list[str] = []
    for listening in (contextlib.nullcontext(), recorded(logs="info")):
        with listening as record:
            said.append(complained())

    assert said[0] == said[1]
    assert "TypeError" in said[0]
    assert record is not None
    assert [text for _, _, text in logged(record)] == ["%d boxes"]


class Talkative:
    """Logs whenever it is shown."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def __str__(self) -> str:
        self.logger.warning("shown %s", self)
        return "talkative"


def test_what_logs_while_it_is_logged_ends(logger: logging.Logger) -> None:
    logger.addHandler(logging.NullHandler())

    with recorded(logs="info") as record:
        logger.info("%s", Talkative(logger))

    assert logged(record)[:2] == [(0, "info", "talkative"), (0, "warning", "shown talkative")]
    assert len(logged(record)) <= 110
    assert logged(record)[-1] == (0, "warning", "1 more of what was said while notes were written is not recorded")


def test_threads_that_log_change_nothing_that_a_replay_goes_by(logger: logging.Logger) -> None:
    def program(says: bool = False) -> Any:
        seen: list[int] = []
        over, said = threading.Event(), threading.Event()

        def talk() -> None:
            for _ in range(3 if says else 0):
                logger.warning("working")
                agentrace.log("working")
            said.set()
            over.wait(10)

        # Threads of which nobody is told that they begin: their flows are made by their first step.
        _thread.start_new_thread(talk, ())
        said.wait(10)
        _thread.start_new_thread(lambda: (seen.append(weigh("1042")), over.set()), ())
        over.wait(10)
        return seen

    with recorded(logs="info") as heard:
        assert program(says=True) == [4]
    seen, record = record_of(program)
    again = replayed(record, lambda: program(says=True))

    assert len(logged(heard)) == 6
    assert (again.seen, again.verdict) == (seen, replayed(record, program).verdict)


# --- taken of its output ------------------------------------------------------------------------------------


@contextlib.contextmanager
def terminal() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Standard output and error as a program has them."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


def printed(stream: Any) -> str:
    text: str = stream.buffer.getvalue().decode()
    return text


def test_what_is_printed_is_noted_line_by_line() -> None:
    with terminal() as (out, err), recorded(output="both") as record:
        before = (type(out), out.encoding, out.isatty(), out.buffer)
        print("before")
        with agentrace.step("pack"):
            print("box ", end="")
            print(1, "of", 2)
            print("two\nlines", file=sys.stderr)
            print("half", end="")
        sys.stdout.write("after")
        during = (type(out), out.encoding, out.isatty(), out.buffer)

    assert logged(record) == [
        (0, "info", "before"),
        (1, "info", "box 1 of 2"),
        (1, "info", "two\nlines"),
        (1, "info", "half"),
        (0, "info", "after"),
    ]
    half = next(event for event in record.events if getattr(event, "message", "") == "half")
    assert half.seq < record.steps[0].ended.seq  # type: ignore[union-attr]
    assert printed(out) == "before\nbox 1 of 2\nhalfafter"
    assert printed(err) == "two\nlines\n"
    assert during == before
    assert "write" not in out.__dict__


def test_nothing_is_noted_unless_it_is_asked_for() -> None:
    with terminal(), recorded() as record:
        print("quietly")
    with terminal(), recorded(output="stderr") as other:
        print("quietly")

    assert logged(record) == logged(other) == []


def test_redirected_output_is_the_programs_own() -> None:
    with terminal(), recorded(output="stdout") as record:
        with contextlib.redirect_stdout(io.StringIO()) as inside, agentrace.step("quiet"):
            print("inside")
        print("outside")

    assert inside.getvalue() == "inside\n"
    assert [text for _, _, text in logged(record)] == ["outside"]


def test_another_way_to_the_same_file_is_followed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "out", "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with recorded(output="stdout") as record:
            print("one")
            sys.stdout = io.TextIOWrapper(os.fdopen(file.fileno(), "wb", closefd=False), write_through=True)
            with agentrace.step("pack"):
                print("two")
            sys.stdout = io.TextIOWrapper(sys.stdout.detach(), write_through=True)
            with agentrace.step("pack"):
                print("three")
            monkeypatch.setattr(sys, "stdout", file)

    assert [text for _, _, text in logged(record)] == ["one", "two", "three"]


@pytest.mark.parametrize("stream", [None, object()])
def test_a_stream_that_is_not_there_stays_so(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream)

    with recorded(output="both") as record:
        if stream is None:
            print("nowhere")

    assert sys.stdout is stream
    assert logged(record) == []


def test_a_closed_stream_raises_as_it_did() -> None:
    with terminal(), recorded(output="stdout") as record:
        sys.stdout.close()
        with pytest.raises(ValueError, match="closed file"):
            print("too late")

    assert logged(record) == []


def test_lines_of_threads_and_tasks_are_not_mixed() -> None:
    async def say(name: str) -> None:
        with agentrace.step(name):
            for word in ("one", "two", "three"):
                print(word, end=" ")
                await asyncio.sleep(0)
            print(name)

    async def all_say() -> None:
        await asyncio.gather(*map(say, "abcd"))

    with terminal(), recorded(output="stdout") as record:
        asyncio.run(all_say())

    assert logged(record) == [(step, "info", f"one two three {name}") for step, name in enumerate("abcd", 1)]


def test_a_line_without_an_end_takes_a_bounded_room() -> None:
    with terminal(), recorded(output="stdout") as record:
        for _ in range(3000):
            sys.stdout.write("a word " * 100)

    ((_, _, text),) = logged(record)
    fields = record.json(next(event for event in record.events if isinstance(event, Logged)).fields)
    assert output.LONGEST - 10_000 < len(text) <= output.LONGEST
    assert fields["characters_not_recorded"] == 3000 * 700 - len(text)


def test_a_loop_that_prints_says_where_its_record_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoken_notes, "MOST", 50)

    with terminal(), recorded(output="stdout") as record:
        for number in range(1000):
            print(number)
        agentrace.log("given notes are kept")

    texts = [text for _, _, text in logged(record)]
    assert texts[:50] == [str(number) for number in range(50)]
    assert texts[50].startswith("the program has said more than 50 things")
    assert texts[51:] == ["given notes are kept"]


def test_secrets_are_taken_out_of_what_is_said(logger: logging.Logger) -> None:
    with terminal(), recorded(output="both", logs="debug") as record:
        print("key", KEY[:12], sep=" ", end="")
        print(KEY[12:])
        logger.info("with %s", KEY, extra={"authorization": KEY})

    assert KEY.encode() not in record.everything()
    assert len(logged(record)) == 2


def test_listening_keeps_no_stream_alive() -> None:
    ended: list[str] = []

    class Stream(io.StringIO):
        def __del__(self) -> None:
            ended.append("stream")

    with contextlib.redirect_stdout(Stream()), recorded(output="stdout"):
        print("heard")
    gc.collect()

    assert ended == ["stream"]


def test_a_program_that_talks_is_replayed_exactly() -> None:
    def program() -> Any:
        print("asking")
        logging.getLogger("shop.tests").warning("asking")
        return weigh("1042")

    assert exact(program) == 4
