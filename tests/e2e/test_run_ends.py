"""However a recorded program ends, its end is its own, and what it had done by then is there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from agentrace.events import RUN_STEP, ExecutionAborted
from agentrace.query import RunRecord
from agentrace.testing import Reply, StubProvider
from tests.e2e.place import AGENTRACE, PYTHON, Done, Place, ended, names_of, status, steps_of, told

WORKING = """
    import asyncio, multiprocessing, sys, threading, time
    import agentrace

    @agentrace.tool
    def fetch(n):
        return [n] * 10

    @agentrace.tool
    def hang(n):
        print("ready", flush=True)
        time.sleep(600)

    def many(count):
        for n in range(count):
            fetch(n)

    if __name__ == "__main__":
        threads = [threading.Thread(target=many, args=(50,)) for _ in range(3)]
        child = multiprocessing.get_context("fork").Process(target=many, args=(50,))
        for one in (*threads, child):
            one.start()
        for one in (*threads, child):
            one.join()
        try:
            hang(0)
        finally:
            print("leaving", flush=True)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def stopped(place: Place, *command: object, by: Any) -> Done:
    """A program of ``WORKING``'s sort that is stopped while it hangs."""
    with place.started(*command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        by(process)
        return ended(process)


def to_the_group(number: signal.Signals) -> Any:
    return lambda process: os.killpg(process.pid, number)


def failure_of(record: RunRecord) -> str:
    failure = record.trace.run.failure
    return "" if failure is None else failure.type


def test_what_was_finished_survives_a_kill(place: Place) -> None:
    program = place.write("program.py", WORKING)

    done = stopped(place, AGENTRACE, "run", PYTHON, program, by=to_the_group(signal.SIGKILL))

    assert (done.code, done.out, done.err) == (-signal.SIGKILL, "", "")
    above, below = place.runs()
    assert (status(above), status(below)) == ("interrupted", "completed")
    *finished, hanging = told(above)
    assert (hanging.name, hanging.status) == ("hang", "running")
    assert sorted(step.output[0] for step in finished) == sorted([*range(50)] * 3)
    assert [step.output for step in told(below)] == [[n] * 10 for n in range(50)]
    checked = place.do(AGENTRACE, "verify", "--all")
    assert (checked.code, checked.out.count("ok ")) == (0, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_as_without_us(place: Place, number: signal.Signals) -> None:
    program = place.write("program.py", WORKING)

    without = stopped(place, PYTHON, program, by=to_the_group(number))
    within = stopped(place, AGENTRACE, "run", PYTHON, program, by=to_the_group(number))

    assert (within.code, within.out) == (without.code, without.out) == (-number, LAST_WORDS[number])
    assert within.err.splitlines()[-1:] == without.err.splitlines()[-1:]
    record = place.runs()[0]
    assert status(record) == {signal.SIGINT: "failed", signal.SIGTERM: "aborted", signal.SIGHUP: "interrupted"}[number]
    assert len(names_of(record)) == 151
    assert place.do(AGENTRACE, "verify", "--all").code == 0


LAST_WORDS = {signal.SIGINT: "leaving\n", signal.SIGTERM: "", signal.SIGHUP: ""}


def test_an_interrupt_is_told(place: Place) -> None:
    program = place.write("program.py", WORKING)

    stopped(place, AGENTRACE, "run", PYTHON, program, by=to_the_group(signal.SIGINT))

    record = place.runs()[0]
    assert (record.trace.run.exit_code, failure_of(record)) == (130, "builtins:KeyboardInterrupt")
    assert steps_of(record)[-1].status == "failed"


def test_a_termination_is_told(place: Place) -> None:
    program = place.write("program.py", WORKING)

    stopped(place, AGENTRACE, "run", PYTHON, program, by=lambda process: process.terminate())

    record = place.runs()[0]
    (aborted,) = [event for event in record.events if isinstance(event, ExecutionAborted)]
    assert (aborted.step_id, aborted.by, aborted.code) == (RUN_STEP, "signal", "SIGTERM")
    assert record.trace.run.exit_code == 143


OWN_HANDLERS = """
    import os, signal, sys, time
    import agentrace

    def stop(number, frame):
        tidy("up")
        os.write(1, b"tidied\\n")
        sys.exit(4)

    @agentrace.tool
    def tidy(what):
        return what

    signal.signal(signal.SIGTERM, stop)
    os.write(1, b"ready\\n")
    time.sleep(600)
"""


def test_the_programs_own_signal_handler_is_its_own(place: Place) -> None:
    program = place.write("program.py", OWN_HANDLERS)

    within = stopped(place, AGENTRACE, "run", PYTHON, program, by=lambda process: process.terminate())

    assert (within.code, within.out, within.err) == (4, "tidied\n", "")
    record = place.the_run()
    assert (status(record), record.trace.run.exit_code, names_of(record)) == ("failed", 4, ["tidy"])


LEAVING = """
    import multiprocessing, os, signal, sys
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    def child(how):
        note(how)
        if how == "terminated":
            os.kill(os.getpid(), signal.SIGTERM)
        if how == "raised":
            raise KeyError(how)
        if how == "exited":
            sys.exit(6)
        if how == "stayed":
            try:
                sys.exit(7)
            except SystemExit:
                pass
        if how == "left":
            os._exit(5)

    def start(process):
        try:
            raise LookupError("the parent's own")
        except LookupError:
            process.start()

    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            for how in ("returned", "raised", "exited", "stayed", "left", "terminated"):
                process = multiprocessing.get_context(method).Process(target=child, args=(how,))
                start(process)
                process.join()
                print(method, how, process.exitcode)
"""


def test_child_processes_end_as_without_us_and_are_told_apart(place: Place) -> None:
    program = place.write("program.py", LEAVING)

    within = place.run(PYTHON, program)

    assert within == place.do(PYTHON, program)
    above, *below = place.runs()
    assert status(above) == "completed"
    ends = [(told(one)[0].output, status(one), one.trace.run.exit_code, failure_of(one)) for one in below]
    assert (
        ends
        == [
            ("returned", "completed", 0, ""),
            ("raised", "failed", 1, "builtins:KeyError"),
            ("exited", "failed", 6, ""),
            ("stayed", "completed", 0, ""),
            ("left", "interrupted", None, ""),
            ("terminated", "aborted", 143, ""),
        ]
        * 3
    )


LATE_CHILD = """
    import multiprocessing
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    def child():
        agentrace.init()
        note("child")
        raise KeyError("child")

    if __name__ == "__main__":
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        print(process.exitcode)
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="such a child leaves without any handler at exit")
def test_a_child_that_begins_to_record_itself_tells_how_it_ended(place: Place) -> None:
    done = place.do(PYTHON, place.write("program.py", LATE_CHILD))

    record = place.the_run()
    assert (done.code, done.out, done.own_words) == (0, "1\n", [])
    assert (status(record), record.trace.run.exit_code, failure_of(record)) == ("failed", 1, "builtins:KeyError")


REEXECUTED = """
    import os, sys
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    note(sys.argv[1:])
    if not sys.argv[1:]:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, __file__, "again"])
    print("again")
"""


def test_a_program_that_becomes_another_is_recorded_as_both(place: Place) -> None:
    program = place.write("program.py", REEXECUTED)

    done = place.run(PYTHON, program)

    assert (done.code, done.out, done.err) == (0, "again\n", "")
    assert [(status(one), told(one)[0].output) for one in place.runs()] == [("completed", []), ("completed", ["again"])]


STREAMING = """
    import sys
    import openai

    client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-test", max_retries=0)
    print(client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "?"}]).choices[0].message.content, flush=True)
    for chunk in client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "?"}], stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, flush=True)
"""


def test_of_a_stream_that_stalls_all_that_came_survives_a_kill(place: Place) -> None:
    place.write("stream.py", STREAMING)
    provider = StubProvider()
    provider.answer(Reply(text="whole"))
    provider.answer(Reply(text="onetwothree", pieces=("one", "two", "three"), chunk_delay=0.3))

    with provider.serve() as url, place.started(AGENTRACE, "run", PYTHON, "stream.py", f"{url}/v1") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == [b"whole\n", b"one\n", b"two\n"]
        while b"two" not in arrived(place.the_run()):
            assert process.poll() is None
        process.kill()
        ended(process)

    record = place.the_run()
    whole, stalled = steps_of(record)
    assert (whole.status, stalled.status) == ("ok", "running")
    assert b"whole" in arrived(record, whole.id)
    assert b"two" in arrived(record, stalled.id)
    assert record.holes == []


def arrived(record: RunRecord, step_id: int = 2) -> bytes:
    """The body of a step's answer, as far as it is in the record."""
    return b"".join(b"".join(exchange.body) for exchange in record.exchanges(step_id))


EXITS = {
    "exit(5)": 5,
    "quit(6)": 6,
    "import sys; sys.exit(7)": 7,
    "exit('no such order')": 1,
    "exit()": 0,
    "exit(0)": 0,
    "raise ValueError('no')": 1,
    "try: exit(8)\nexcept SystemExit: pass": 0,
    "def f(:": 1,
}


@pytest.mark.parametrize("text", EXITS)
def test_the_exit_code_that_is_told_is_the_programs(place: Place, text: str) -> None:
    program = place.write("program.py", text)

    within = place.run(PYTHON, program)

    assert within == place.do(PYTHON, program)
    record = place.the_run()
    code = EXITS[text]
    assert (within.code, record.trace.run.exit_code) == (code, code)
    assert status(record) == ("failed" if code else "completed")
    assert (f"exit code {code}" in place.do(AGENTRACE, "show").out.splitlines()[0]) == (code > 0)
    assert (f"exit code {code}" in place.do(AGENTRACE, "ls").out) == (code > 1 or text == "exit('no such order')")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nofile.py"], 2),
        (["sub/nofile.py", "--verbose"], 2),
        (["-u", "nofile.py"], 2),
        (["empty"], 1),
        (["-m", "no_such_module"], 1),
        (["-c", "exit(4)"], 4),
        (["-c", "pass"], 0),
        (["-"], 0),
    ],
)
def test_a_program_that_cannot_be_opened_failed(place: Place, arguments: list[str], code: int) -> None:
    (place.root / "empty").mkdir()

    within = place.run(PYTHON, *arguments)

    assert within == place.do(PYTHON, *arguments)
    record = place.the_run()
    assert (within.code, record.trace.run.exit_code) == (code, code)
    assert status(record) == ("failed" if code else "completed")
