"""``agentrace tail`` beside real programs: as they run, end, are killed, start others and fill their lanes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, SECONDS, Place, ended

WORKING = """
    import sys
    import agentrace

    agentrace.init()

    @agentrace.tool
    def work(order):
        if order == "wait":
            sys.stdin.readline()
        if order == "fail":
            raise ValueError("no such order")
        return order

    with agentrace.run(sys.argv[1]):
        for line in iter(sys.stdin.readline, ""):
            try:
                work(line.strip())
            except ValueError:
                pass
            print("done", flush=True)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.write("agent.py", WORKING)
    return found


class Worker:
    """A program that works on one order after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def order(self, order: str, *, done: bool = True) -> None:
        """Hand it an order, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{order}\n".encode())
        self.process.stdin.flush()
        if done:
            assert self.process.stdout.readline() == b"done\n"

    def end(self) -> None:
        """No more orders."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(SECONDS)


@contextmanager
def working(place: Place, name: str = "shop") -> Generator[Worker, None, None]:
    """A worker that has done its first order."""
    with place.started(PYTHON, "agent.py", name) as process:
        worker = Worker(process)
        worker.order("first")
        yield worker
        process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    """The next line of a tail, without what differs from one time to the next."""
    assert process.stdout is not None
    text = process.stdout.readline().decode()
    assert text, "it has ended"
    return constant(text)


def constant(text: str) -> str:
    """A line without times and ids."""
    text = re.sub(r"^\d\d:\d\d:\d\d\.\d{3}  ", "", text.rstrip("\n"))
    return re.sub(r"[\d.]+ (ns|µs|ms|s)\b", "TIME", re.sub(r"\b[0-9a-f]{12}\b", "ID", text))


def test_a_run_is_told_as_it_goes_until_it_ends(place: Place) -> None:
    with working(place) as worker, place.started(AGENTRACE, "tail", "shop") as tail:
        before = [line(tail) for _ in range(3)]
        worker.order("fail")
        during = [line(tail) for _ in range(2)]
        worker.end()
        done = ended(tail)

    assert before == ["▸ run shop ID began", "▸ 1 tool work", "✓ 1 tool work  TIME"]
    assert during == ["▸ 2 tool work", "✗ 2 tool work  TIME  ValueError: no such order"]
    assert (done.code, done.err) == (0, "")
    assert constant(done.out) == "✓ run shop ID completed in TIME, 2 steps, 1 failed"


def test_a_killed_program_is_told_as_interrupted(place: Place) -> None:
    with working(place) as worker, place.started(AGENTRACE, "tail", "shop") as tail:
        worker.order("wait", done=False)
        while "▸ 2 tool work" not in line(tail):
            pass
        worker.process.kill()
        done = ended(tail)

    assert (done.code, done.err) == (0, "")
    assert constant(done.out) == "… run shop ID interrupted: its process died, in 1 step"


def test_without_a_run_all_are_told_and_those_that_begin(place: Place) -> None:
    with working(place, "first") as worker, place.started(AGENTRACE, "tail") as tail:
        seen = [line(tail) for _ in range(3)]
        with working(place, "second") as other:
            seen += [line(tail) for _ in range(3)]
            worker.order("more")
            seen += [line(tail) for _ in range(2)]
            other.end()
            seen.append(line(tail))
        tail.send_signal(signal.SIGINT)
        done = ended(tail)

    assert seen == [
        "first ID  ▸ run first ID began",
        "first ID  ▸ 1 tool work",
        "first ID  ✓ 1 tool work  TIME",
        "second ID  ▸ run second ID began",
        "second ID  ▸ 1 tool work",
        "second ID  ✓ 1 tool work  TIME",
        "first ID  ▸ 2 tool work",
        "first ID  ✓ 2 tool work  TIME",
        "second ID  ✓ run second ID completed in TIME, 1 step",
    ]
    assert (done.code, done.out, done.err) == (130, "", "")


FORKING = """
    import multiprocessing, sys
    import agentrace

    agentrace.init()

    @agentrace.tool
    def count(n):
        return n

    if __name__ == "__main__":
        with agentrace.run("parent"):
            count(1)
            sys.stdin.readline()
            child = multiprocessing.get_context("fork").Process(target=count, args=(2,))
            child.start()
            child.join()
"""


def test_what_a_run_starts_belongs_to_it(place: Place) -> None:
    program = place.write("forking.py", FORKING)

    with place.started(PYTHON, program) as process, place.started(AGENTRACE, "tail", "--json") as tail:
        assert tail.stdout is not None
        told = [json.loads(tail.stdout.readline()) for _ in range(3)]
        ended(process, b"go\n")
        while told[-1]["what"] != "run_ended" or told[-1]["name"] != "parent":
            told.append(json.loads(tail.stdout.readline()))
        tail.send_signal(signal.SIGINT)
        done = ended(tail)

    parent = told[0]["run_id"]
    assert done.code == 130
    assert {one["root_run_id"] for one in told} == {parent}
    child = next(one for one in told if one["what"] == "run_began" and one["run_id"] != parent)
    assert child["parent_run_id"] == parent
    assert [
        one["step"]["status"] for one in told if one["run_id"] == child["run_id"] and one["what"] == "step_ended"
    ] == ["ok"]


FILLING = """
    import sys
    import agentrace

    agentrace.init()

    @agentrace.tool
    def fill(n):
        return {"n": n, "text": "x" * 150}

    with agentrace.run("filling"):
        fill(0)
        print("begun", flush=True)
        sys.stdin.readline()
        for n in range(1, 12_000):
            fill(n)
"""


def test_nothing_is_told_twice_or_missed_while_lanes_are_sealed(place: Place) -> None:
    program = place.write("filling.py", FILLING)

    with place.started(PYTHON, program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        with place.started(AGENTRACE, "tail", "@last", "--json") as tail:
            assert tail.stdout is not None
            told = [json.loads(tail.stdout.readline()) for _ in range(3)]
            ended(process, b"go\n")
            told += [json.loads(one) for one in ended(tail).out.splitlines()]

    for what in ("step_began", "step_ended"):
        assert sorted(one["step"]["step_id"] for one in told if one["what"] == what) == list(range(1, 12_001))
    assert (told[-1]["what"], told[-1]["steps"]) == ("run_ended", 12_000)


def test_a_run_that_is_over_is_told_and_left(place: Place) -> None:
    with working(place) as worker:
        worker.end()

    done = place.do(AGENTRACE, "tail", "shop", "-n", "1")

    assert done.code == 0
    assert [constant(one) for one in done.out.splitlines()] == [
        "✓ 1 tool work  TIME",
        "✓ run shop ID completed in TIME, 1 step",
    ]


def test_nobody_reading_is_no_reason_to_complain(place: Place) -> None:
    with working(place) as worker, place.started(AGENTRACE, "tail", "shop") as tail:
        line(tail)
        assert tail.stdout is not None
        tail.stdout.close()
        while tail.poll() is None:
            worker.order("more")
        assert tail.stderr is not None
        assert tail.stderr.read() == b""
        assert tail.returncode == -signal.SIGPIPE


def test_a_trace_file_cannot_be_followed(place: Place) -> None:
    place.write("shop.agentrace", "")

    done = place.do(AGENTRACE, "tail", "--home", "shop.agentrace")

    assert done.code == 2
    assert "a trace file is not being written" in done.err
