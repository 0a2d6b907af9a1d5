"""Sampling by run: decided once at the root, followed by everything below, and nothing of what is left out is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentrace
from agentrace.capture import process
from agentrace.capture.runs import place_as_text, place_from
from agentrace.capture.sampling import Unwritten, is_drawn
from agentrace.events import Parent
from agentrace.testing import MemoryRecorder, StubProvider, recorded
from tests.e2e.place import PYTHON, Place, steps_of


@agentrace.tool
def ask(number: int) -> int:
    return number


@agentrace.tool
def numbers(to: int) -> Any:
    yield from range(to)


def runs_of(record: MemoryRecorder) -> list[int]:
    """How many steps each run has that was written."""
    return [len(run.steps) for run in record.runs]


def test_a_run_that_is_left_out_writes_nothing_and_its_calls_are_counted() -> None:
    with recorded(sample_rate=0) as record:
        with agentrace.run("left out") as run:
            assert (run.id, ask(1), list(numbers(3))) == ("", 1, [0, 1, 2])
            current = process.current
            assert current is not None
            (held,) = [one for one in current.runs() if one.steps]
            assert (held.steps, agentrace.status().sampled, agentrace.status().run_id) == (2, False, "")
            agentrace.now()
        assert ask(2) == 2

    assert record.runs == []


def test_some_are_written_and_tell_of_how_many_they_are_one() -> None:
    with recorded(sample_rate=0.25) as record:
        for number in range(400):
            with agentrace.run(f"run {number}"):
                ask(number)

    assert 50 < len(record.runs) < 150
    assert set(runs_of(record)) == {1}
    assert {run.events[0].sample_rate for run in record.runs} == {0.25}


def test_a_run_may_decide_for_itself_unless_it_is_below_another() -> None:
    @agentrace.run("decorated", sample=True)
    def decorated() -> str:
        ask(3)
        return agentrace.carry()

    with recorded(sample_rate=0) as record:
        with agentrace.run("kept", sample=True) as kept:
            ask(1)
            below = agentrace.carry()
            with agentrace.run("left out"):
                outside = agentrace.carry()
        with agentrace.run("job", parent=below) as job:
            ask(2)
        with agentrace.run("job of nothing", parent=outside, sample=True) as nothing:
            ask(4)
        decorated()

    assert runs_of(record) == [1, 1, 1]
    assert kept.id
    assert job.id
    assert not nothing.id
    assert outside.startswith("unsampled:")
    assert [run.events[0].sample_rate for run in record.runs] == [1.0] * 3


def test_with_the_rate_1_everything_is_written_that_does_not_say_otherwise() -> None:
    with recorded() as record:
        with agentrace.run("left out", sample=False), pytest.raises(ZeroDivisionError):
            ask(1 // 0)
        ask(2)

    assert runs_of(record) == [1]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**31), st.text(), st.booleans())
def test_places_are_read_as_they_were_written(run_id: bytes, step: int, flow: str, unwritten: bool) -> None:
    kind = Unwritten if unwritten else Parent
    place = kind(run_id, step, flow)

    read = place_from(place_as_text(place))

    assert (type(read), read.step_id, read.flow) == (type(place), step, flow) or run_id == b""


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_run_that_is_drawn_at_a_rate_is_drawn_at_every_higher_one(ids: list[bytes], one: float, other: float) -> None:
    low, high = sorted((one, other))
    for run_id in ids:
        assert is_drawn(run_id, 1.0)
        assert not is_drawn(run_id, 0.0)
        assert is_drawn(run_id, low) <= is_drawn(run_id, high)


def test_models_of_a_run_that_is_left_out_answer_as_ever() -> None:
    provider = StubProvider(seed=2)
    with provider.serve() as url, recorded(sample_rate=0) as record:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k")
        asked: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}
        whole = client.chat.completions.create(**asked)
        pieces = list(client.chat.completions.create(**asked, stream=True))
        bare = httpx.post(f"{url}/v1/chat/completions", json=asked)
        current = process.current
        assert current is not None
        assert current.implicit().steps == 3

    assert whole.choices[0].message.content
    assert len(pieces) > 1
    assert bare.status_code == 200
    assert record.runs == []


PROGRAM = """
    import multiprocessing, os, subprocess, sys
    import agentrace

    @agentrace.tool
    def ask(n):
        return n

    def below():
        pid = os.fork()
        if not pid:
            ask("fork")
            sys.exit()
        os.waitpid(pid, 0)
        for method in ("fork", "spawn"):
            process = multiprocessing.get_context(method).Process(target=ask, args=(method,))
            process.start(); process.join()
        subprocess.run([sys.executable, __file__, "job", agentrace.carry()], check=True)
        ask("here")

    agentrace.init()
    if __name__ == "__main__":
        if sys.argv[1:2] == ["job"]:
            ask("implicit")
            with agentrace.run("job", parent=sys.argv[2]):
                ask("job")
        else:
            for sample in (True, False, None, None):
                with agentrace.run("root", sample=sample):
                    below()
        agentrace.shutdown()
"""


def test_what_is_below_a_root_goes_with_it_in_other_processes_too(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_SAMPLE_RATE": "0.5"})
    place.do(PYTHON, place.write("program.py", PROGRAM))

    records = {record.run_id: record for record in place.runs()}
    roots = [record for record in records.values() if not record.trace.run.parent.run_id]
    assert 1 <= len(roots) <= 3
    assert all(len(steps_of(record)) == 1 for record in records.values())
    below = [record.trace.run.parent.run_id for record in records.values() if record.trace.run.parent.run_id]
    assert set(below) <= records.keys()
    assert sorted(below) == sorted(root.run_id for root in roots for _ in range(5))


def test_what_somebody_asked_to_record_is_whole(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_SAMPLE_RATE": "0"})
    program = place.write("program.py", "import agentrace\nagentrace.tool(name='t')(lambda n: n)(7)\n")
    recorded = place.run(PYTHON, program)
    again = place.replay("@last", "--", PYTHON, program)

    assert (recorded.code, again.code) == (0, 0), again.err
    assert [len(steps_of(record)) for record in place.runs()] == [1, 1]


def test_what_is_asked_for_inside_a_run_that_is_left_out_is_written(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_SAMPLE_RATE": "0"})
    inner = place.write("inner.py", "import agentrace\nagentrace.tool(name='t')(lambda n: n)(7)\n")
    outer = f"""
        import subprocess, sys, agentrace
        agentrace.init()
        with agentrace.run("outer"):
            subprocess.run([sys.executable, "-m", "agentrace", "run", sys.executable, {str(inner)!r}], check=True)
    """
    done = place.do(PYTHON, place.write("outer.py", outer))

    assert done.code == 0, done.err
    assert [record.trace.run.parent.run_id for record in place.runs()] == [b""]


def test_a_test_with_a_trace_is_whole(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_SAMPLE_RATE": "0"})
    place.write(
        "test_it.py",
        """
        import agentrace
        import pytest

        @agentrace.tool
        def ask(n):
            return n

        @pytest.mark.agentrace
        def test_it():
            with agentrace.run("a part", sample=False):
                assert ask(1) == 1
        """,
    )
    for how in ("record", "replay"):
        done = place.do(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--agentrace={how}", "test_it.py")
        assert done.code == 0, done.out
    assert list(tmp_path.rglob("*.agentrace"))


def test_list_and_tree_say_that_runs_are_sampled(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_SAMPLE_RATE": "0.999999", "COLUMNS": "160"})
    place.do(PYTHON, place.write("program.py", "import agentrace\nagentrace.init()\nagentrace.tool(len)('a')\n"))

    assert "sampled at 1" in place.do(PYTHON, "-m", "agentrace", "ls").out
    assert "sampled at 1" in place.do(PYTHON, "-m", "agentrace", "show").out
    assert '"sample_rate":0.999999' in place.do(PYTHON, "-m", "agentrace", "ls", "--json").out
