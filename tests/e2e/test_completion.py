"""Pressing the tab key in real shells: commands, options, runs and trace files."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from agentrace.journal import list_runs
from tests.e2e.place import AGENTRACE, PYTHON, Place
from tests.e2e.screens import Screen, shown
from tests.unit.recorded_runs import Process

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(agentrace completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u; eval "$(agentrace completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "agentrace completion fish | source"),
}
"""How each is started without anybody's settings, and the line of its settings that the help names."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A store with runs, one of which nobody has sealed, and a trace file."""
    place = Place(tmp_path, {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PS1": "$ ", "PROMPT": "$ "})
    process = Process(place.store)
    for number, name in enumerate(["travel", "nightly report", "travel", "trains"]):
        process.run(name, after_ms=number).end(1)
    process.close()
    killed = Process(place.store)
    killed.run("unsealed", number=99)
    killed.die()
    (tmp_path / "shop.agentrace").write_text("")
    return place


def asked(place: Place, line: str, **environ: str) -> list[str]:
    """What bash's script is answered where the line has been typed so far."""
    env = {"COMP_LINE": line, "COMP_WORDBREAKS": " \t\n\"'@><=;|&(:", "_AGENTRACE_COMPLETE": "bash_complete", **environ}
    done = place.do(AGENTRACE, env=env)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def plain(*words: str) -> list[str]:
    return [f"plain,{word}" for word in words]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("agentrace ve", plain("verify")),
        ("agentrace show --i", plain("--io")),
        ("agentrace show ", plain("@last", "trains", "travel", "shop.agentrace")),
        ("agentrace show tra", plain("trains", "travel")),
        ("agentrace show @", plain("@last")),
        ("agentrace show @la", plain("@last")),
        ("agentrace verify travel s", plain("shop.agentrace")),
        ("agentrace import ", plain("shop.agentrace")),
        ("agentrace ls /tm", ["file,/tm"]),
        ("agentrace show ./s", ["file,./s"]),
        ("agentrace rm --status fa", plain("failed")),
        ("agentrace ls --status failed,co", plain("failed,completed")),
        ("agentrace ls --status failed,fa", []),
        ("agentrace ls --kind mod", plain("model")),
        ("agentrace show --kind tool,pl", plain("tool,planner")),
        ("agentrace show --kind pr", plain("process")),
        ("agentrace archive --name tra", plain("trains", "travel")),
        ("agentrace ls --home nowhere --name tra", []),
        ("agentrace run ag", ["file,ag"]),
        ("agentrace replay @last -- pyt", ["file,pyt"]),
        ("agentrace completion f", plain("fish")),
        ("agentrace show --home nowhere tra", []),
        ("agentrace show 'tra", plain("trains", "travel")),
    ],
)
def test_what_can_stand_there_is_told(place: Place, line: str, answers: list[str]) -> None:
    assert asked(place, line) == answers


def test_ids_are_completed_where_one_is_begun(place: Place) -> None:
    runs = [entry.run_id.hex() for entry in list_runs(place.store) if entry.state == "sealed"]

    assert asked(place, f"agentrace show {runs[0][:6]}") == plain(*reversed(runs))
    assert asked(place, f"agentrace show {runs[0]}") == plain(runs[0])


def test_a_tab_changes_nothing_and_a_mistake_is_no_traceback(place: Place) -> None:
    (lane,) = (place.store / "journal").iterdir()

    assert asked(place, "agentrace show uns") == []
    assert asked(place, "agentrace frobnicate --w") == []
    assert asked(place, "agentrace show tra", AGENTRACE_DURABILITY="forever") == []
    assert asked(place, "agentrace show tra", AGENTRACE_HOME=str(place.root / "none")) == []
    (place.store / "format").write_text("9\n")
    assert asked(place, "agentrace show tra") == []

    assert lane.exists()
    assert not (place.store / "derived").exists()
    assert not (place.root / "none").exists()


def test_it_is_quick(place: Place) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert asked(place, "agentrace show tra")
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    place.do(PYTHON, "-c", "import agentrace.cli.show")

    assert min(times) < 0.2 + 2 * (time.perf_counter() - began)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes(place: Place, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command, setting = SHELLS[shell]
    for typed, completed in [
        ("agentrace ver", "agentrace verify"),
        ("agentrace show @la", "agentrace show @last"),
        ("agentrace show trav", "agentrace show travel"),
        ("agentrace show --i", "agentrace show --io"),
        ("agentrace verify sho", "agentrace verify shop.agentrace"),
    ]:
        with Screen(command, place.environ, place.root) as screen:
            screen.type(f"{setting}; echo re''ady\n")
            screen.until("ready")
            screen.type(f"{typed}\t")
            screen.until(lambda _, wanted=completed: any(wanted in text for text in shown(screen.raw)))  # type: ignore[misc]


def test_the_script_of_each_shell_is_printed(place: Place) -> None:
    for shell in SHELLS:
        done = place.do(AGENTRACE, "completion", shell)
        assert (done.code, done.err) == (0, "")
        assert "_AGENTRACE_COMPLETE" in done.out
        assert place.do(AGENTRACE, "completion", env={"SHELL": f"/usr/bin/{shell}"}).out == done.out

    other = place.do(AGENTRACE, "completion", env={"SHELL": "/bin/csh"})
    assert (other.code, other.out) == (2, "")
    assert "Name the shell: bash, zsh, fish." in other.err
