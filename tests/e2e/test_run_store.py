"""A store that is full, missing, read-only or shared: the program goes on, and what is lost is told once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentrace.query import UNREADABLE, RunRecord
from tests.e2e.place import AGENTRACE, PYTHON, Done, Place, ended, status, told

FETCHING = """
    import os
    import agentrace

    @agentrace.tool
    def fetch(n):
        return bytes([n % 251]).hex() + os.urandom(1500).hex()

    print(sum(len(fetch(n)) for n in range(1000)))
"""
OUT = "3002000\n"
LOSS = "agentrace: events are being lost, the program goes on: "


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def may_mount() -> bool:
    """Whether a process may have file systems of its own here."""
    tried = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(tried, capture_output=True).returncode == 0


def on_a_small_disk(place: Place, size: str, *commands: str) -> Done:
    """Run a shell script in a directory whose ``store`` is a file system of this size, copied to ``kept`` at the end."""
    mount = f"mkdir -p store && mount -t tmpfs -o size={size} none store"
    script = "\n".join([f"{mount} || exit 99", *commands, "code=$?", "cp -r store kept", "exit $code"])
    return place.do("unshare", "--mount", "sh", "-c", script)


needs_mounts = pytest.mark.skipif(not may_mount(), reason="mounting is not permitted here")


@needs_mounts
@pytest.mark.parametrize(("size", "runs"), [("16k", 0), ("64k", 1), ("900k", 1)])
def test_a_full_disk_costs_events_and_nothing_else(place: Place, size: str, runs: int) -> None:
    program = place.write("program.py", FETCHING)

    done = on_a_small_disk(place, size, f"{AGENTRACE} run {PYTHON} {program}")

    assert (done.code, done.out) == (0, OUT)
    assert [line.startswith(LOSS) for line in done.own_words] == [True]
    assert "No space left on device" in done.err
    records = Place(place.root, {"AGENTRACE_HOME": str(place.root / "kept")}).runs()
    assert [told_truly(record) for record in records] == [True] * runs


def told_truly(record: RunRecord) -> bool:
    """What can be read is right, and where something is missing the run says so."""
    steps = [step for step in told(record) if step.status == "ok"]
    readable = [step for step in steps if UNREADABLE not in step.output]
    whole = len(readable) == 1000 and status(record) == "completed" and not record.trace.run.lost
    said = "incomplete" in record.trace.run.health or status(record) == "interrupted"
    return (whole or said) and all(step.output.startswith(f"{step.input['n'] % 251:02x}") for step in readable)


def test_a_limit_on_file_sizes_costs_nothing_but_events(place: Place) -> None:
    program = place.write("program.py", FETCHING)

    done = place.do("sh", "-c", f"ulimit -f 1000; {AGENTRACE} run {PYTHON} {program}")

    assert (done.code, done.out) == (0, OUT)
    assert all(line.startswith(LOSS) for line in done.own_words)
    assert len(done.own_words) <= 1
    assert told_truly(place.the_run())


def test_a_store_that_cannot_be_made_is_told_once(place: Place) -> None:
    program = place.write("program.py", FETCHING)
    place.write("file", "in the way")

    done = place.run(PYTHON, program, env={"AGENTRACE_HOME": str(place.root / "file" / "store")})

    assert (done.code, done.out) == (0, OUT)
    assert done.own_words == [f"{LOSS}[Errno 20] Not a directory: '{place.root}/file/store'"]


@needs_mounts
def test_a_read_only_store_is_told_once(place: Place) -> None:
    program = place.write("program.py", FETCHING)

    done = on_a_small_disk(place, "1m", "mount -o remount,ro store", f"{AGENTRACE} run {PYTHON} {program}")

    assert (done.code, done.out) == (0, OUT)
    assert len(done.own_words) == 1
    assert done.own_words[0].startswith(LOSS)
    assert "Read-only file system" in done.own_words[0]


NOWHERE = {"HOME": "/proc/nowhere", "TMPDIR": "/proc/nowhere", "AGENTRACE_HOME": None, "AGENTRACE_DEBUG": None}


@pytest.mark.parametrize("command", [("run", PYTHON), ()], ids=["agentrace run", "init"])
def test_a_process_that_can_write_nowhere_is_told_once(place: Place, command: tuple[str, ...]) -> None:
    program = place.write(
        "agent.py",
        """
        import agentrace
        agentrace.init()
        @agentrace.tool
        def lookup(order):
            return order + 1
        print(lookup(1), lookup(2))
    """,
    )
    start = [AGENTRACE, *command] if command else [PYTHON]

    done = place.do(*start, program, cwd="/proc", env=NOWHERE)

    assert (done.code, done.out) == (0, "2 3\n")
    assert len(done.own_words) == 1
    assert "events are being lost, the program goes on" in done.own_words[0]
    assert "Traceback" not in done.err


def test_a_program_that_must_be_recorded_is_not_started_without(place: Place) -> None:
    program = place.write("program.py", FETCHING)
    place.write("file", "in the way")
    variables = {"AGENTRACE_HOME": str(place.root / "file" / "store"), "AGENTRACE_ON_ERROR": "raise"}

    done = place.run(PYTHON, program, env=variables)

    assert (done.code, done.out) == (2, "")
    assert done.own_words[0].startswith("agentrace: the program is not started: ")


def test_twenty_runs_at_once_share_a_store(place: Place) -> None:
    program = place.write(
        "program.py",
        """
        import sys
        import agentrace

        @agentrace.tool
        def fetch(n):
            return [sys.argv[1], n]

        print(sum(fetch(n)[1] for n in range(200)))
        """,
    )
    each = place.write(
        "each.sh", f"for n in $(seq 20); do {AGENTRACE} run --name $n {PYTHON} {program} $n & done; wait"
    )

    with place.started("sh", each) as process:
        for _ in range(3):  # readers seal what has ended while others still write
            assert place.do(AGENTRACE, "ls").code == 0
        done = ended(process)

    assert (done.out, done.err) == ("19900\n" * 20, "")
    records = {record.trace.run.name: record for record in place.runs()}
    assert sorted(records, key=int) == [str(n) for n in range(1, 21)]
    for name, record in records.items():
        assert status(record) == "completed"
        assert [step.output for step in told(record)] == [[name, n] for n in range(200)]
    checked = place.do(AGENTRACE, "verify", "--all")
    assert (checked.code, checked.out.count("ok ")) == (0, 20)
