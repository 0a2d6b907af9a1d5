"""What ``agentrace run`` hears of a program, and values of libraries from one process to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.events import Logged, Scored
from tests.e2e.place import PYTHON, Place, names_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


TALKING = """
    import io, logging, multiprocessing, sys
    import agentrace

    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")

    @agentrace.tool
    def weigh(box):
        print("weighing", box)
        logging.info("%s is heavy", box)
        agentrace.score("care", 0.5)
        return len(box)

    def packer():
        print("packer at work", flush=True)

    if __name__ == "__main__":
        print("half a line", end=" ")
        sys.stdout.flush()
        child = multiprocessing.get_context("fork").Process(target=packer)
        child.start()
        child.join()
        print("and its end")
        print(weigh("big"), file=sys.stderr)
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), write_through=True)
        weigh("small")
        print("last", end="")
"""


def test_what_a_program_says_is_kept_and_still_said(place: Place) -> None:
    program = place.write("agent.py", TALKING)
    plain = place.do(PYTHON, program, env={"AGENTRACE_DISABLED": "1"})

    heard = place.run("--logs", "info", "--output", "stdout", PYTHON, program)

    assert (heard.code, heard.out, heard.err) == (plain.code, plain.out, plain.err)
    run, child = place.runs()
    assert [(event.step_id, event.logger, event.message) for event in run.events if isinstance(event, Logged)] == [
        (0, "<stdout>", "half a line and its end"),
        (1, "<stdout>", "weighing big"),
        (1, "root", "big is heavy"),
        (2, "<stdout>", "weighing small"),
        (2, "root", "small is heavy"),
        (0, "<stdout>", "last"),
    ]
    assert [event.step_id for event in run.events if isinstance(event, Scored)] == [1, 2]
    assert [event.message for event in child.events if isinstance(event, Logged)] == ["packer at work"]
    again = place.replay(run.run_id.hex(), "--", PYTHON, program)
    assert again.code == 0, again.err


WITH_ARRAYS = """
    import sys
    import agentrace
    if "late" not in sys.argv:
        import numpy

    @agentrace.tool
    def embed(text):
        import numpy
        print("asked")
        return numpy.full((2, 3), len(text), "f4")

    print(embed("parcel").tolist())
"""


def test_arrays_are_answered_where_the_program_has_their_library(place: Place) -> None:
    program = place.write("agent.py", WITH_ARRAYS)
    first = place.run(PYTHON, program)
    record = place.the_run()

    again = place.replay(record.run_id.hex(), "--", PYTHON, program)
    late = place.replay(record.run_id.hex(), "--", PYTHON, program, "late")

    assert names_of(record) == ["embed"]
    assert again.out == first.out.removeprefix("asked\n") != ""
    assert late.code == 3
    assert "OUTPUT_UNDECODABLE" in late.err
    assert "has not imported numpy" in late.err
    assert "import numpy before the call is answered" in late.err
