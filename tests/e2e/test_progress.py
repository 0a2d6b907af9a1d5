"""Progress on a real terminal: late, in place, and gone at the end; and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.cli.progress import Progress, line
from agentrace.cli.terminal import Terminal
from tests.e2e.place import AGENTRACE, PYTHON, Place
from tests.e2e.screens import Screen, shown
from tests.unit.recorded_runs import Process

COUNTING = """
    import itertools
    import sys
    from agentrace.cli.progress import Progress

    ticks = itertools.count(0, 0.5).__next__  # half a second from one look at the clock to the next
    with Progress("checking", "run", 10, clock=ticks) as progress:
        for number in progress.over(range(10)):
            if number == 5:
                progress.write(["a line in between"])
                with progress.aside():
                    print("a word aside", file=sys.stderr)
            if number == 8 and "--forever" in sys.argv:
                while True:
                    progress.advance(0)
    print("done")
"""


SHOWS = """
    import sys
    import time
    from agentrace.cli import execute

    # A clock that runs ten times as fast, so that a run of this size takes its second.
    began, clock = time.monotonic(), time.monotonic
    import agentrace.cli.progress as progress
    progress.Progress.__init__.__kwdefaults__["clock"] = lambda: began + 10 * (clock() - began)
    sys.exit(execute(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write("counting.py", COUNTING)
    return place


def test_it_is_drawn_after_a_second_and_leaves_nothing(place: Place) -> None:
    with Screen([PYTHON, "counting.py"], place.environ, place.root) as screen:
        assert screen.ended() == 0

    drawn = [part for part in screen.raw.split("\r\x1b[K") if "checking" in part]
    assert drawn[0].startswith("checking  ██████")
    assert " 20%  2/10 runs  2/s  4 s left" in drawn[0]
    assert len(drawn) == 9
    assert shown(screen.raw) == ["a line in between", "a word aside", "done", ""]


def test_it_is_ascii_where_nothing_else_can_be_drawn(place: Place) -> None:
    environ = {**place.environ, "PYTHONIOENCODING": "ascii"}
    with Screen([PYTHON, "counting.py"], environ, place.root) as screen:
        assert screen.ended() == 0

    assert "checking  ######------------------------   20%  2/10 runs" in screen.raw
    assert screen.raw.isascii()


def test_an_interrupt_leaves_a_clean_line(place: Place) -> None:
    with Screen([PYTHON, "counting.py", "--forever"], place.environ, place.root) as screen:
        screen.until("80%")
        screen.interrupt()
        assert screen.ended() != 0

    last = shown(screen.raw)
    assert "KeyboardInterrupt" in last
    assert [text for text in last if "checking" in text or "█" in text] == []


def test_it_is_not_drawn_into_a_pipe_nor_on_a_terminal_that_cannot_erase(place: Place) -> None:
    done = place.do(PYTHON, "counting.py")
    assert (done.out, done.err) == ("a line in between\ndone\n", "a word aside\n")

    with Screen([PYTHON, "counting.py"], place.environ, place.root, term="dumb") as screen:
        assert screen.ended() == 0
    assert shown(screen.raw) == ["a line in between", "a word aside", "done", ""]
    assert "\x1b" not in screen.raw


def test_a_large_run_that_is_shown_says_how_far_reading_it_is(place: Place) -> None:
    process = Process(place.store)
    run = process.run("large")
    for number in range(60_000):
        step = run.step("tool", "fetch", number, number)
        run.done(step, number + 1, number)
    run.end(60_001)
    process.close()
    place.write("shows.py", SHOWS)

    with Screen([PYTHON, "shows.py", "show", "large", "--no-pager"], place.environ, place.root) as screen:
        assert screen.ended() == 0

    drawn = [part for part in screen.raw.split("\r\x1b[K") if part.startswith("reading")]
    assert len(drawn) > 3
    assert all(" events  " in part.splitlines()[0] for part in drawn)
    assert not any("reading" in text for text in shown(screen.raw))
    piped = place.do(AGENTRACE, "show", "large")
    assert (piped.err, "60,000 steps" in piped.out) == ("", True)


def test_what_takes_less_than_a_second_is_not_drawn(place: Place) -> None:
    process = Process(place.store)
    process.run("agent").end(1)
    process.close()
    with Screen([PYTHON, "-m", "agentrace", "verify", "--all"], place.environ, place.root) as screen:
        assert screen.ended() == 0

    assert "checking" not in screen.raw
    assert shown(screen.raw)[-2] == "1 run, 1 whole"


def progress(done: float, total: int | None) -> Progress:
    made = Progress("checking", "run", total, clock=lambda: 0.0)
    made.done = done
    return made


@pytest.mark.parametrize(
    ("done", "total", "seconds", "width", "text"),
    [
        (0, 10, 2, 100, f"checking  {'░' * 30}    0%  0/10 runs"),
        (10, 10, 2, 100, f"checking  {'█' * 30}  100%  10/10 runs  5/s"),
        (2500, 10_000, 5, 100, f"checking  {'█' * 8}{'░' * 22}   25%  2,500/10,000 runs  500/s  15 s left"),
        (1, 3, 900, 100, f"checking  {'█' * 10}{'░' * 20}   33%  1/3 runs  30 min left"),
        (0.25, 1, 2, 100, f"checking  {'█' * 8}{'░' * 22}   25%  0/1 run  6 s left"),
        (12, 10, 2, 100, f"checking  {'█' * 30}  100%  12/10 runs  6/s"),
        (0, 0, 2, 100, f"checking  {'█' * 30}  100%  0/0 runs"),
        (1234, None, 2, 100, "checking  1,234 runs  617/s"),
        (2500, 10_000, 5, 60, "checking   25%  2,500/10,000 runs  500/s  15 s left"),
        (2500, 10_000, 5, 40, "checking   25%  2,500/10,000 runs  500…"),
    ],
)
def test_a_line_tells_share_count_rate_and_time_left(
    done: float, total: int | None, seconds: float, width: int, text: str
) -> None:
    made = line(progress(done, total), seconds, Terminal(width=width))

    assert made == text
    assert len(made) < width


def test_a_terminal_that_goes_away_is_no_failure() -> None:
    class Gone:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def fileno(self) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    clock = iter(range(100)).__next__
    with Progress("checking", "run", 10, stream=Gone(), environ={}, clock=clock) as made:  # type: ignore[arg-type]
        assert list(made.over(range(10))) == list(range(10))
    assert made.done == 10
