"""Programs that call ``agentrace.init()`` themselves: however they end, the record says how, and they end as ever."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.place import PYTHON, Place, names_of, status, told

BEGIN = """
import atexit, os, signal, subprocess, sys, threading
import agentrace

@agentrace.tool
def note(what):
    return what

"""

ENDS: dict[str, tuple[str, int, str, int | None]] = {
    "returns": ("", 0, "completed", 0),
    "sys.exit()": ("sys.exit()", 0, "completed", 0),
    "sys.exit(0)": ("sys.exit(0)", 0, "completed", 0),
    "sys.exit(3)": ("sys.exit(3)", 3, "failed", 3),
    "sys.exit with a text": ("sys.exit('no')", 1, "failed", 1),
    "sys.exit in a finally": ("try:\n  sys.exit(3)\nfinally:\n  note('finally')", 3, "failed", 3),
    "a caught sys.exit": ("try:\n  sys.exit(3)\nexcept SystemExit: pass\nnote('later')", 0, "completed", 0),
    "an exception": ("raise KeyError('k')", 1, "failed", 1),
    "an exception while another is handled": ("try:\n  sys.exit(3)\nexcept SystemExit:\n  1 / 0", 1, "failed", 1),
    "an interrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "failed", 130),
    "a termination": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "aborted", 143),
    "a kill": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "interrupted", None),
    "os._exit": ("os._exit(5)", 5, "interrupted", None),
    "shutdown before an exit": ("agentrace.shutdown()\nnote('unrecorded')\nsys.exit(3)", 3, "completed", 0),
    "an exit in a thread": ("t = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()", 0, "completed", 0),
    "without standard streams": ("sys.stdout.close()\nsys.stderr.close()", 0, "completed", 0),
    "in a directory that is gone": ("os.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')", 0, "completed", 0),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("end", ENDS)
def test_the_record_says_how_the_program_ended(end: str, place: Place) -> None:
    body, code, outcome, exit_code = ENDS[end]
    program = place.write("program.py", f"{BEGIN}\nagentrace.init()\nnote('begin')\n{body}\n")

    done = place.do(PYTHON, program)

    record = place.the_run()
    assert done.code == code, done.err
    assert "agentrace:" not in done.err
    assert (status(record), record.trace.run.exit_code) == (outcome, exit_code)
    assert names_of(record)[0] == "note"
    assert record.holes == []


# CPython forgets that an interrupt is ending the process as soon as anybody evaluates a string.
EVALUATIONS = """
def told(event, args):
    if event == "compile" and args[1] == "<string>":
        os.write(2, b"evaluated: %r\\n" % (args[0],))

if os.environ.get("EVALUATE"):
    atexit.register(lambda: eval("1"))
agentrace.init()
atexit.register(sys.addaudithook, told)
for number in range(5):
    with agentrace.run(str(number)):
        note({"api_key": "sk-abcdefghijklmnopqrstuvwx", "address": "fe80::1:2:3", "text": "a" * 5000})
note("implicit")
"""


@pytest.mark.parametrize("end", ["returns", "sys.exit(3)", "an exception", "an interrupt"])
def test_nothing_evaluates_a_string_at_exit(end: str, place: Place) -> None:
    body, code, *_ = ENDS[end]
    program = place.write("program.py", f"{BEGIN}{EVALUATIONS}{body}\n")

    done = place.do(PYTHON, program)
    within = place.run(PYTHON, program)

    assert [one.err.count("evaluated: ") for one in (done, within)] == [0, 0], done.err + within.err
    assert (done.code, within.code) == (code, code)


def test_a_string_that_is_evaluated_at_exit_is_noticed(place: Place) -> None:
    program = place.write("program.py", f"{BEGIN}{EVALUATIONS}")

    done = place.do(PYTHON, program, env={"EVALUATE": "1"})

    assert done.err.count("evaluated: ") == 1


def test_handlers_at_exit_and_threads_that_go_on(place: Place) -> None:
    program = place.write(
        "program.py",
        BEGIN
        + """
atexit.register(note, "registered before")
agentrace.init()
atexit.register(note, "registered after")
begun = threading.Event()

def go_on():
    while True:
        note("thread")
        begun.set()

threading.Thread(target=go_on, daemon=True).start()
begun.wait()
note("main")
""",
    )

    done = place.do(PYTHON, program)

    record = place.the_run()
    outputs = [step.output for step in told(record) if step.status == "ok"]
    assert (done.code, done.err, status(record)) == (0, "", "completed")
    assert "registered after" in outputs
    assert {"main", "thread"} <= set(outputs)
    assert record.holes == []


def test_forks_and_children_know_where_they_come_from(place: Place) -> None:
    place.write("child.py", f"{BEGIN}\nnote('child')\n")
    program = place.write(
        "program.py",
        BEGIN
        + """
agentrace.init()
with agentrace.step("starts"):
    if os.fork() == 0:
        note("forked")
        os._exit(0)
    os.wait()
    subprocess.run([sys.executable, "child.py"], check=True)
note("parent")
""",
    )

    done = place.do(PYTHON, program)

    above, forked, child = place.runs()
    assert (done.code, done.err) == (0, "")
    assert [[step.output for step in told(record, kinds=["tool"])] for record in (above, forked, child)] == [
        ["parent"],
        ["forked"],
        ["child"],
    ]
    for number, record in enumerate((forked, child)):
        parent = record.trace.run.parent
        assert (parent.run_id, parent.step_id, parent.flow) == (above.run_id, 1, f"/starts#0/process:{number}")
    assert (status(above), status(child)) == ("completed", "completed")


def test_a_program_that_records_nothing_leaves_nothing(place: Place) -> None:
    program = place.write("program.py", "import agentrace\nagentrace.init()\nprint('done')\n")

    done = place.do(PYTHON, program)

    assert (done.code, done.out, done.err) == (0, "done\n", "")
    assert not place.store.exists()


FAILS_UNRECORDED = """
    import threading
    import agentrace

    agentrace.init()
    thread = threading.Thread(target=len, args=("",))
    thread.start()
    thread.join()
    raise KeyError("before any step")
"""


def test_a_program_that_fails_before_its_first_step_leaves_no_run_and_no_word_of_ours(place: Place) -> None:
    done = place.do(PYTHON, place.write("program.py", FAILS_UNRECORDED))

    assert (done.code, done.own_words, place.runs()) == (1, [], [])
    assert done.err.count("Traceback") == 1
