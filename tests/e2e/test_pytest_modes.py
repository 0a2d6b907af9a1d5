"""What each mode of the pytest plugin does to trace files, and what the plugin costs, in runs of the real pytest."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrace.testing import StubProvider
from tests.e2e.place import Place, told
from tests.e2e.pytest_runs import CONFTEST, KEY, failure, outcomes, run_pytest, traces

TOOL = """
    import os, time
    import pytest
    import agentrace

    @agentrace.tool
    def look_up(text):
        if "LIVE" not in os.environ:
            raise RuntimeError("this goes out")
        return f"{text} {time.time_ns()}"

    @pytest.fixture
    def ask():
        return lambda text: look_up(text + os.environ.get("WORD", ""))
"""
FEW = """
    import os
    import pytest

    @pytest.mark.agentrace("a.agentrace")
    def test_a(ask):
        assert "a" in ask("a")

    @pytest.mark.agentrace("b.agentrace")
    def test_b(ask):
        assert "b" in ask("b")
        assert "FAIL" not in os.environ
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with StubProvider(seed=1).serve() as url:
        yield f"{url}/v1"


@pytest.fixture
def few(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    place.write("conftest.py", TOOL)
    place.write("test_few.py", FEW)
    return place


def test_nothing_is_recorded_unless_asked_for(few: Place) -> None:
    missing = run_pytest(few, LIVE="1")
    off = run_pytest(few, "-o", "agentrace=off", LIVE="1")
    wrong = run_pytest(few, "-o", "agentrace=on")

    assert outcomes(missing) == {"test_a": "FAILED", "test_b": "FAILED"}
    assert failure(missing, "test_a") == (
        "the test has no trace: there is no a.agentrace\n"
        "  what to do: record it: pytest test_few.py::test_a --agentrace=record\n"
        "  see docs/errors.md#no-trace\n"
    )
    assert outcomes(off) == {"test_a": "PASSED", "test_b": "PASSED"}
    assert traces(few) == {}
    assert "agentrace = on: it is one of replay, record, refresh, off" in wrong.err


def test_what_fails_is_not_written_and_what_is_there_is_kept(few: Place) -> None:
    live = {"LIVE": "1"}

    first = run_pytest(few, "--agentrace=record", FAIL="1", **live)
    only_a = traces(few)
    second = run_pytest(few, "--agentrace=record", **live)
    both = traces(few)
    third = run_pytest(few, "--agentrace=refresh", FAIL="1", WORD="!", **live)
    refreshed = traces(few)

    assert outcomes(first) == outcomes(third) == {"test_a": "PASSED", "test_b": "FAILED"}
    assert "b.agentrace is not written" in first.out
    assert "b.agentrace is left as it was" in third.out
    assert set(only_a) == {"a.agentrace"}
    assert outcomes(second) == {"test_a": "PASSED", "test_b": "PASSED"}
    assert both["a.agentrace"] == only_a["a.agentrace"]
    assert refreshed["a.agentrace"] != both["a.agentrace"]
    assert refreshed["b.agentrace"] == both["b.agentrace"]
    assert set(few.root.glob("*.tmp")) == set()


def test_the_first_failure_the_last_failed_and_an_interrupt(few: Place) -> None:
    run_pytest(few, "--agentrace=record", LIVE="1")
    few.write("test_few.py", FEW + "\n    def test_c():\n        if 'FAIL' in os.environ: raise KeyboardInterrupt\n")

    stopped = run_pytest(few, "-x", "-p", "cacheprovider", WORD="!")
    again = run_pytest(few, "--lf", "-p", "cacheprovider")
    interrupted = run_pytest(few, "-k", "test_c or test_a", FAIL="1")

    assert outcomes(stopped) == {"test_a": "FAILED"}
    assert outcomes(again) == {"test_a": "PASSED"}
    assert interrupted.code == signal.SIGINT
    assert "1 passed" in interrupted.out
    assert "KeyboardInterrupt" in interrupted.out


def test_the_network_is_refused_and_says_so(few: Place, provider: str) -> None:
    few.write(
        "test_few.py",
        """
        import os, urllib.request, pytest

        @pytest.mark.agentrace("net.agentrace")
        def test_net():
            try:
                urllib.request.urlopen(os.environ["ADDRESS"] + "/models") if "ASK" in os.environ else None
            except BaseException:
                pass

        @pytest.mark.agentrace("net.agentrace", speed="fast")
        def test_mark():
            pass

        def test_reaches_it_without_a_mark():
            assert urllib.request.urlopen(os.environ["ADDRESS"] + "/models").status == 200
        """,
    )
    live = {"ADDRESS": provider, "LIVE": "1"}
    run_pytest(few, "--agentrace=record", **live)

    done = run_pytest(few, ASK="1", **live)

    assert outcomes(done) == {"test_net": "FAILED", "test_mark": "FAILED", "test_reaches_it_without_a_mark": "PASSED"}
    assert "UNPATCHED_NETWORK" in failure(done, "test_net")
    assert "a test with a trace reaches no server" in failure(done, "test_net")
    assert failure(done, "test_mark").startswith("the marker of test_few.py::test_mark is not understood")


def test_a_fixture_that_diverges_at_its_end_keeps_no_other_from_its_own(few: Place) -> None:
    few.write(
        "test_few.py",
        """
        import os, pytest
        over = []

        @pytest.fixture
        def first():
            yield
            over.append("first")

        @pytest.fixture
        def agentrace_run(first, ask):
            yield "a name that is the plugin's, too"
            ask("at the end")

        @pytest.mark.agentrace
        def test_it(agentrace_run):
            pass

        def test_after_it():
            assert over == ["first"]
        """,
    )

    recorded = run_pytest(few, "--agentrace=record", LIVE="1")
    replayed = run_pytest(few)
    diverged = run_pytest(few, WORD="!")

    assert set(outcomes(recorded).values()) == set(outcomes(replayed).values()) == {"PASSED"}
    assert outcomes(diverged)["test_after_it"] == "PASSED"
    assert "ERROR at teardown of test_it" in diverged.out
    assert "ERROR test_few.py::test_it - Failed: CALL_CHANGED: the program calls look_up with other" in diverged.out
    assert "Traceback" not in diverged.out


def test_a_process_that_is_recorded_already_is_recorded_again_afterwards(few: Place) -> None:
    few.write("conftest.py", f"{TOOL}\n    agentrace.init()\n")
    few.write(
        "test_few.py",
        f"""{FEW}
    import agentrace

    def test_c(ask):
        assert "c" in ask("c")

    @pytest.mark.agentrace("a.agentrace")
    def test_replays_by_itself(ask):
        assert "a" in ask("a")
        with pytest.raises(agentrace.AgentraceError, match="recorded already"):
            with agentrace.replay("b.agentrace"):
                pass
        """,
    )
    live = {"LIVE": "1"}

    recorded = run_pytest(few, "--agentrace=record", **live)
    replayed = run_pytest(few, **live)

    assert set(outcomes(recorded).values()) == set(outcomes(replayed).values()) == {"PASSED"}
    said = [step.input["text"] for record in few.runs() for step in told(record)]
    assert said == ["c", "c"]


# --- what it costs ------------------------------------------------------------------------------------------

MANY = """
    import pytest

    def one(ask):
        assert "many" in ask("many")

    for number in range(100):
        def test(ask, _=None):
            one(ask)
        globals()[f"test_{number:03}"] = pytest.mark.agentrace("many.agentrace")(test)
    del test
"""
WATCHING = """

    import json, socket, subprocess, sys, threading, time

    def seen():
        patched = [threading.Thread.start, subprocess.Popen.__init__, OpenAI.__dict__.get("request"), sys.exit]
        return {"threads": threading.active_count(), "patched": [repr(one) for one in patched], "environ": environ()}

    def environ():
        return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}

    def files():
        return len(os.listdir("/proc/self/fd")), len(sys.meta_path)

    @pytest.fixture(scope="session")
    def client(address):
        return OpenAI(base_url=address, api_key="unused", max_retries=0)

    @pytest.fixture
    def ask(client):
        return lambda text: client.chat.completions.create(**message(text)).choices[0].message.content

    took, before_all, after_two = [], seen(), []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item):
        before = time.process_time()
        yield
        took.append(time.process_time() - before)
        if len(took) == 2:
            after_two.append(files())
        return True

    def pytest_sessionfinish():
        left = {name: now for name, now in seen().items() if now != before_all[name]}
        print("\\nLEFT", json.dumps([left, files() != after_two[0]]))
        print("MEDIAN_MS", sorted(took)[len(took) // 2] * 1000)
"""


def test_a_hundred_tests_leave_nothing_behind_and_are_quick(few: Place, provider: str) -> None:
    few.write("test_few.py", MANY)
    few.write("conftest.py", CONFTEST + WATCHING)
    recorded = run_pytest(few, "-s", "--agentrace=record", ADDRESS=provider, OPENAI_API_KEY=KEY)
    replayed = run_pytest(few, "-s")

    assert "100 passed" in recorded.out
    assert "100 passed" in replayed.out
    assert "\nLEFT [{}, false]\n" in recorded.out
    assert "\nLEFT [{}, false]\n" in replayed.out
    found = re.search(r"MEDIAN_MS ([\d.]+)", replayed.out)
    assert found is not None
    assert float(found[1]) < 30


def test_a_run_of_pytest_that_uses_no_trace_loads_nothing(few: Place) -> None:
    few.write("test_few.py", "def test_nothing(): pass\n")
    few.write(
        "conftest.py",
        """
        import sys
        before = {name for name in sys.modules if name.partition(".")[0] in ("agentrace", "msgspec", "blake3", "click")}
        def pytest_sessionfinish():
            print("LOADED", sorted(before | {name for name in sys.modules if name.startswith("agentrace.")}))
        """,
    )

    with_it = run_pytest(few)
    without = run_pytest(few, "-p", "no:agentrace")

    own = ["agentrace", "agentrace.pytest_plugin", "agentrace.pytest_plugin.hooks", "agentrace.version"]
    assert f"LOADED {own}" in with_it.out
    assert "LOADED []" in without.out
    assert with_it.code == without.code == 0
