"""A recorded run becomes a test that passes as it is written, and fails when its program is another one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Done, Place

AGENT = """
    import os, sys, time
    import agentrace

    @agentrace.tool
    def weather(city):
        if "LIVE" not in os.environ:
            raise RuntimeError("this goes out")
        return {"city": city, "at": time.time_ns()}

    print(weather(sys.argv[1] + os.environ.get("WORD", "")))
    sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write("agent.py", AGENT)
    made.write("package/__init__.py", "")
    made.write("package/agent.py", AGENT)
    return made


def to_test(place: Place, *arguments: str) -> Done:
    return place.do(AGENTRACE, "to-test", *arguments)


def record(place: Place, *command: str) -> None:
    place.run(PYTHON, *command, env={"LIVE": "1"})


def test_what_is_written_passes_from_anywhere_and_tells_a_change(place: Place) -> None:
    record(place, "agent.py", 'Oslo "N"')
    script = to_test(place, "@last")
    record(place, "-m", "package.agent", "Rome", "4")
    module = to_test(place, "@last", "--name", "Rome, failing")
    stored = {path.name for path in (place.store / "segments").iterdir()}

    passing = place.do(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", place.root / "tests", cwd="/")
    failing = place.do(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", env={"WORD": "!"})

    assert (script.code, module.code) == (0, 0), script.err + module.err
    assert "tests/test_agent.py: run it with `pytest tests/test_agent.py`" in script.out
    assert "2 passed" in passing.out, passing.out
    assert "2 failed" in failing.out
    assert "CALL_CHANGED: the program calls weather with other arguments" in failing.out
    assert "[-Rome-][+Rome!+]" in failing.out
    assert {path.name for path in (place.store / "segments").iterdir()} == stored


def test_what_is_written_reads_as_if_somebody_had_written_it(place: Place) -> None:
    record(place, "agent.py", "Oslo")
    to_test(place, "@last", "--out", "checks/agents")

    text = (place.root / "checks" / "agents" / "test_agent.py").read_text()

    ast.parse(text)
    head, rest = text.split("from __future__", 1)
    assert head.startswith('"""`python')
    assert "from __future__" + rest == WRITTEN


WRITTEN = '''\
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRACE = HERE / "traces" / "agent.agentrace"
DIRECTORY = (HERE / "../..").resolve()
COMMAND = [sys.executable, "agent.py", "Oslo"]


def test_agent(tmp_path: Path) -> None:
    """The program makes the recorded calls, which the trace answers without a network, and ends as it did."""
    replay = [sys.executable, "-m", "agentrace", "replay", "--home", str(tmp_path), str(TRACE), "--"]
    done = subprocess.run(
        [*replay, *COMMAND], cwd=DIRECTORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if "agentrace: replay exact" not in done.stderr or done.returncode != 0:
        pytest.fail(done.stderr, pytrace=False)
'''


def test_what_is_there_is_replaced_only_when_told(place: Place) -> None:
    record(place, "agent.py", "Oslo")
    to_test(place, "@last")
    (place.root / "tests" / "test_agent.py").write_text("mine")

    refused = to_test(place, "@last")
    kept = (place.root / "tests" / "test_agent.py").read_text()
    forced = to_test(place, "@last", "--force", "--", "python", "agent.py", "Oslo")

    assert refused.code == 2
    assert "tests/test_agent.py and tests/traces/agent.agentrace are there already" in refused.err
    assert kept == "mine"
    assert forced.code == 0, forced.err
    assert 'COMMAND = [sys.executable, "agent.py", "Oslo"]' in (place.root / "tests" / "test_agent.py").read_text()


def test_a_run_that_no_program_can_repeat_is_refused(place: Place) -> None:
    secret = "sk-proj-" + "q7Tz9mXw4B" * 5
    record(place, "agent.py", secret)

    refused = to_test(place, "@last")
    given = to_test(place, "@last", "--", "python", "agent.py", "Oslo")

    assert refused.code == 2
    assert "a secret was taken out of the command line" in refused.err
    assert secret not in refused.err
    assert given.code == 0, given.err
