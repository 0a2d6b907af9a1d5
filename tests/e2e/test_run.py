"""``agentrace run`` becomes the command: what the program sees, says and ends with is as it is without us."""

from __future__ import annotations

import json
import os
import pty
import sys
import textwrap
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentrace.query import RunRecord
from tests.e2e.place import AGENTRACE, PYTHON, Place, ended, names_of, status, told

TOOL = """
    import sys
    import agentrace

    @agentrace.tool
    def double(n):
        return n * 2

    print(double(int((sys.argv[1:] or [4])[0])))
"""


TOOL_IN_ONE_LINE = "import agentrace; print(agentrace.tool(name='double')(lambda n: n * 2)(4))"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- the command is the process -----------------------------------------------------------------------------

ENDINGS = {
    "by itself": "print('done')",
    "exit code": "import sys; print('out'); sys.exit(7)",
    "exit text": "import sys; sys.exit('no such order')",
    "exit in a thread": "import sys, threading; threading.Thread(target=sys.exit, args=(5,)).start()",
    "exception": "def f():\n    raise ValueError('broken')\ntry:\n    f()\nexcept ValueError as e:\n    raise KeyError(1) from e",
    "interrupt": "raise KeyboardInterrupt",
    "at once": "import os; os.write(1, b'out'); os._exit(9)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "aborted": "import os; os.abort()",
    "broken exit": "import atexit; atexit.register(divmod, 1, 0)",
    "dead thread": "import threading; threading.Thread(target=lambda: 1 / 0, name='t').start()",
    "closed output": "import sys; sys.stdout.close(); sys.exit(3)",
    "syntax": "def f(:",
}


def test_programs_end_as_they_do_without_us(place: Place) -> None:
    programs = [place.write(f"{ending}.py", text) for ending, text in ENDINGS.items()]
    each = place.write("each.sh", 'for program; do python "$program"; echo "ended with $?" >&2; done')

    assert place.run("sh", each, *programs) == place.do("sh", each, *programs)
    assert len(place.runs()) == len(programs)


@pytest.mark.parametrize("ending", ["exit code", "killed"])
def test_the_commands_end_is_the_programs(place: Place, ending: str) -> None:
    program = place.write("program.py", ENDINGS[ending])

    assert place.run(PYTHON, program) == place.do(PYTHON, program)


def test_the_process_and_its_pipes_are_the_programs(place: Place) -> None:
    program = place.write(
        "program.py",
        """
        import os, sys
        sys.stdout.buffer.write(str(os.getpid()).encode() + b" " + sys.stdin.buffer.read()[::-1])
        sys.stderr.buffer.write(b"\\xff\\x00")
        """,
    )

    with place.started(AGENTRACE, "run", PYTHON, program) as process:
        out, err = process.communicate(b"\x00\xfe in", timeout=60)

    assert out == str(process.pid).encode() + b" ni \xfe\x00"
    assert err == b"\xff\x00"


def test_a_terminal_stays_a_terminal(place: Place) -> None:
    program = place.write("program.py", "import sys; print(*[s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)])")
    ours, theirs = pty.openpty()

    with place.started(AGENTRACE, "run", PYTHON, program, stdin=theirs, stdout=theirs) as process:
        process.wait(60)

    assert os.read(ours, 100) == b"True True False\r\n"
    os.close(ours)
    os.close(theirs)


ARGUMENTS = ["--name", "x", "-h", "--", "", "a b", "--home=/nowhere", "\n", "ünï", b"\xff\xfe"]


def test_arguments_are_handed_on_as_they_are(place: Place) -> None:
    program = place.write("program.py", "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])")

    for before in ([], ["--"], ["--name", "given", "--"]):
        done = place.do(AGENTRACE, "run", *before, PYTHON, program, *ARGUMENTS[:-1])
        assert done == place.do(PYTHON, program, *ARGUMENTS[:-1])


def test_an_argument_need_not_be_text(place: Place) -> None:
    program = place.write("program.py", "import os, sys; print(os.fsencode(sys.argv[1]))")

    with place.started("sh", "-c", f"{AGENTRACE} run {PYTHON} {program} \"$(printf '\\377')\"") as process:
        done = ended(process)

    assert (done.code, done.out, done.err) == (0, "b'\\xff'\n", "")
    assert status(place.the_run()) == "completed"


# --- what the program sees ----------------------------------------------------------------------------------

SEEN = """
    import json, os, site, sys, threading
    print(json.dumps({
        "modules": sorted(sys.modules), "path": sys.path, "argv": sys.argv, "orig_argv": sys.orig_argv,
        "environ": dict(os.environ), "cwd": os.getcwd(), "flags": repr(sys.flags),
        "threads": [t.name for t in threading.enumerate()], "hook": sys.excepthook is sys.__excepthook__,
        "trace": [sys.gettrace(), sys.getprofile()],
    }))
"""
"""What a program can see of its process, as JSON."""


def seen(done: Any) -> Any:
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    found["environ"].pop("_", None)  # who was started last by a shell, or by exec
    return found


@pytest.mark.parametrize("paths", [None, ":lib::other:"])
def test_the_program_sees_what_it_sees_without_us(place: Place, paths: str | None) -> None:
    program = place.write("elsewhere/program.py", SEEN)
    variables = {"PYTHONPATH": paths, "PYTHONHASHSEED": "5"}

    without = seen(place.do(PYTHON, program, env=variables))
    within = seen(place.run(PYTHON, program, env=variables))

    more = {name.partition(".")[0] for name in within.pop("modules")} - set(without.pop("modules"))
    assert more <= {"agentrace", "msgspec", "blake3", "typing_extensions", *sys.stdlib_module_names}
    assert within["environ"].pop("AGENTRACE_BOOT")
    assert within == without


IN_PROGRAM = "import sys\nif sys.argv[0].endswith('program.py'):"
"""The command ``agentrace`` is a Python program too, with a ``sitecustomize`` of its own."""


def test_the_environments_own_sitecustomize_runs_once_and_is_the_module(place: Place) -> None:
    place.write("site/sitecustomize.py", f"{IN_PROGRAM} print('site', sys.path[0]); MINE = 1")
    program = place.write("program.py", "import sitecustomize, sys; print(sitecustomize.MINE, sitecustomize.__file__)")
    paths = {"PYTHONPATH": str(place.root / "site")}

    within = place.run(PYTHON, program, env=paths)

    assert within == place.do(PYTHON, program, env=paths)
    assert within.out == f"site {place.root / 'site'}\n1 {place.root / 'site' / 'sitecustomize.py'}\n"


def test_a_broken_sitecustomize_is_told_as_without_us(place: Place) -> None:
    place.write("site/sitecustomize.py", f"{IN_PROGRAM} import no_such_module")
    program = place.write("program.py", "import sys; print('sitecustomize' in sys.modules)")
    paths = {"PYTHONPATH": str(place.root / "site")}

    within = place.run(PYTHON, program, env=paths)

    assert within == place.do(PYTHON, program, env=paths)
    assert "No module named 'no_such_module'" in within.err
    assert status(place.the_run()) == "completed"


HASH = "import os; print(os.environ['PYTHONHASHSEED'], hash('agent'))"


def test_the_users_hash_seed_wins(place: Place) -> None:
    for seed in ("0", "77"):
        within = place.run(PYTHON, "-c", HASH, env={"PYTHONHASHSEED": seed})
        assert within == place.do(PYTHON, "-c", HASH, env={"PYTHONHASHSEED": seed})

    assert [seed_of(record) for record in place.runs()] == ["0", "77"]


def test_an_unset_hash_seed_is_random_and_recorded(place: Place) -> None:
    done = [place.run(PYTHON, "-c", HASH, env={"PYTHONHASHSEED": given}) for given in (None, "random")]

    seeds = [one.out.split()[0] for one in done]
    assert seeds == [seed_of(record) for record in place.runs()]
    assert len(set(seeds)) == 2


def seed_of(record: RunRecord) -> str:
    assert record.trace.run.started is not None
    return record.trace.run.started.hash_seed


# --- interpreters that cannot be recorded -------------------------------------------------------------------


def test_an_isolated_interpreter_is_left_alone_and_told(place: Place) -> None:
    program = place.write("program.py", SEEN)

    done = place.run(PYTHON, "-I", program, env={"PYTHONHASHSEED": "5"})

    assert done.err == "agentrace: this run is not recorded: -I: the interpreter is isolated\n"
    within = seen(replace(done, err=""))
    assert within["modules"] == seen(place.do(PYTHON, "-I", program))["modules"]
    assert place.runs() == []


IMPORTING = {"__future__", "importlib", "importlib._bootstrap", "importlib._bootstrap_external", "warnings"}
"""What it takes to find out that there is no agentrace."""


def test_an_interpreter_without_agentrace_is_left_alone_and_told(place: Place) -> None:
    venv.create(place.root / "bare", with_pip=False, symlinks=True)
    python = place.root / "bare" / "bin" / "python"
    program = place.write("program.py", SEEN)

    without = seen(place.do(python, program, env={"PYTHONHASHSEED": "5"}))
    done = place.run(python, program, env={"PYTHONHASHSEED": "5"})

    told, do = done.err.splitlines()
    assert (
        told == f"agentrace: this run is not recorded: {python} cannot import agentrace (No module named 'agentrace')"
    )
    assert do == "  what to do: install agentrace in the environment of that interpreter"
    within = seen(replace(done, err=""))
    assert within["environ"].pop("AGENTRACE_BOOT")
    assert set(within.pop("modules")) - set(without.pop("modules")) <= IMPORTING
    assert within == without


# --- what can be started ------------------------------------------------------------------------------------

STARTS = {
    "agent.py": "agent",
    "python -X utf8 -m shop.agent": "shop.agent",
    "python -mshop": "shop",
    "python shop": "shop",
    f'python -c "{TOOL_IN_ONE_LINE}"': "python",
    "python - < agent.py": "python",
}


def test_every_way_to_start_python_is_recorded(place: Place) -> None:
    for file in ("agent.py", "shop/agent.py", "shop/__main__.py"):
        place.write(file, TOOL)
    each = place.write("each.sh", "\n".join(f"agentrace run {start}" for start in STARTS))

    done = place.do("sh", each)

    assert (done.code, done.out, done.err) == (0, "8\n" * len(STARTS), "")
    records = place.runs()
    assert [record.trace.run.name for record in records] == list(STARTS.values())
    assert [(status(record), names_of(record)) for record in records] == [("completed", ["double"])] * len(STARTS)


def test_an_executable_script_of_the_working_directory_is_recorded(place: Place) -> None:
    for name, first in (("plain.py", ""), ("shebang.py", f"#!{PYTHON}\n")):
        place.write(name, first + textwrap.dedent(TOOL)).chmod(0o755)

    done = [place.run(command) for command in ("plain.py", "shebang.py", "./shebang.py")]

    assert [(one.code, one.out, one.err) for one in done] == [(0, "8\n", "")] * 3
    assert [names_of(record) for record in place.runs()] == [["double"]] * 3


def test_every_python_that_a_shell_script_starts_is_a_run(place: Place) -> None:
    place.write("agent.py", TOOL)
    script = place.write(
        "script.sh", "set -e\npython agent.py 1 | cat\necho between\npython -m agent 2\nexec python agent.py 3\n"
    )

    done = place.run("sh", script)

    assert (done.code, done.out, done.err) == (0, "2\nbetween\n4\n6\n", "")
    assert [told(record)[0].input for record in place.runs()] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_what_is_no_command_is_told(place: Place) -> None:
    place.write("text", "not a program")
    tries = {
        "no-such-command": "there is no command 'no-such-command'",
        "./no-such-file": "there is no command './no-such-file'",
        "./text": "'./text' cannot be started: Permission denied",
    }

    for command, expected in tries.items():
        done = place.run(command)
        assert (done.code, done.out, done.err.splitlines()[0]) == (2, "", f"error: {expected}")
    missing = place.run("missing.py")
    assert (missing.code, missing.out) == (2, "")
    assert "can't open file" in missing.err


# --- within each other --------------------------------------------------------------------------------------


def test_a_run_within_a_run_is_recorded_once_below_it(place: Place) -> None:
    place.write("agent.py", TOOL)
    outer = place.write(
        "outer.py",
        f"""
        import subprocess
        subprocess.run(["{AGENTRACE}", "run", "--name", "inner", "python", "agent.py", "5"], check=True)
        subprocess.run(["{AGENTRACE}", "ls"], check=True, capture_output=True)
        """,
    )

    done = place.run(AGENTRACE, "run", PYTHON, outer)

    assert (done.code, done.out, done.err) == (0, "10\n", "")
    above, below = place.runs()
    assert [(one.trace.run.name, names_of(one)) for one in (above, below)] == [("outer", []), ("inner", ["double"])]
    assert below.trace.run.parent.run_id == above.run_id


CHILDREN = """
    import json, os, subprocess, sys
    show = "import json, os, sys; print(sys.path[1:3], *map(os.environ.get, ['PYTHONPATH', 'X']), len(os.listdir('/proc/self/fd')))"
    for env in (None, {**os.environ, "PYTHONPATH": "/theirs:", "X": "1"}, {"X": "2"}, {b"X": b"3"}):
        child = subprocess.run([sys.executable, "-c", show], env=env, stdout=-1, text=True, check=True, close_fds=False)
        print(child.stdout.strip())
    for env in ({"X": 1}, {"X=": "1"}, 7):
        try:
            subprocess.run([sys.executable, "-c", show], env=env)
        except Exception as error:
            print(type(error).__name__, error)
"""


def test_children_get_the_environment_that_the_program_gives_them(place: Place) -> None:
    program = place.write("program.py", CHILDREN)

    assert place.run(PYTHON, program) == place.do(PYTHON, program)
