"""Tests that have a trace, run by the real pytest in processes of its own: recorded against the stub, then answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrace.archive import TraceFile
from agentrace.query import RunRecord, Runs
from agentrace.testing import StubProvider
from tests.e2e.place import Done, Place, told
from tests.e2e.pytest_runs import CONFTEST, KEY, failure, outcomes, run_pytest, traces

TESTS = """
    import asyncio, multiprocessing, os, subprocess, sys, unittest
    import pytest
    import agentrace
    from conftest import WORD

    pytestmark = pytest.mark.agentrace

    @pytest.mark.agentrace("kept/hello.agentrace")
    def test_hello(ask):
        assert "hello" in ask("hello")

    @pytest.mark.parametrize("city", ["Oslo", "a/b"])
    def test_city(ask, city):
        assert city in ask(city)

    def test_what_the_fixture_gives(agentrace_run, ask):
        ask("one")
        assert agentrace_run.path.name == "test_what_the_fixture_gives.agentrace"
        if agentrace_run.mode == "replay":
            assert agentrace_run.verdict in ("exact_with_caveats", "diverged")
            assert len(agentrace_run.record.trace.steps) == 1
        else:
            assert (agentrace_run.mode, agentrace_run.verdict, agentrace_run.record) == ("record", "", None)

    def test_swallows(ask):
        try:
            ask("swallowed")
        except BaseException:
            pass

    def test_swallows_and_skips(ask):
        try:
            ask("swallowed")
        except BaseException:
            pytest.skip("no model")

    def test_expects_any_exception(ask):
        if not WORD:
            ask("expected")
        else:
            with pytest.raises(Exception):
                ask("expected")

    def test_fails_by_itself(ask):
        try:
            ask("own")
        except BaseException:
            pass
        assert not WORD, "the test's own words"

    def test_asks_less(ask):
        ask("first") if not WORD else None

    def test_skips_after_a_call(ask):
        ask("skips")
        pytest.skip("after a call")

    @pytest.mark.skip(reason="never")
    def test_skipped():
        raise AssertionError

    @pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
    def test_expected_to_fail(ask):
        ask("xfail")
        1 / 0

    class TestClass:
        @pytest.fixture
        def around(self, ask):
            yield ask("before")
            ask("after")

        def test_fixtures_belong_to_it(self, around, ask):
            assert "before" in around
            ask("between")

    class TestMethods:
        @pytest.fixture(autouse=True)
        def given(self, ask):
            self.ask = ask
            self.before = ask("before")
            yield
            ask("after")

        @pytest.fixture
        async def also(self, anyio_backend, ask_async):
            self.also_before = await ask_async("also")
            return self

        @pytest.mark.anyio
        async def test_of_methods(self, also):
            assert also is self
            assert "before" in self.before
            assert "also" in self.also_before

    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _given(self, ask):
            self.ask = ask

        def test_of_unittest(self):
            self.assertIn("unit", self.ask("unit"))

    @pytest.mark.asyncio
    async def test_of_asyncio(ask_async):
        assert [len(answer) > 0 for answer in await asyncio.gather(*map(ask_async, "abc"))] == [True] * 3

    @pytest.fixture(scope="module")
    async def shared_by_anyio(anyio_backend):
        yield "shared"

    @pytest.fixture
    async def asked_by_anyio(anyio_backend, ask_async):
        yield await ask_async("by a fixture")

    @pytest.mark.anyio
    async def test_of_anyio(shared_by_anyio, asked_by_anyio, ask_async):
        assert [len(answer) > 0 for answer in await asyncio.gather(*map(ask_async, "abc"))] == [True] * 3

    @pytest.mark.anyio
    async def test_of_anyio_again(shared_by_anyio, ask_async):
        assert await ask_async("anyio")

    def test_is_one_run_whatever_the_program_opens(ask):
        agentrace.init()
        with agentrace.run("checkout"):
            ask("inside")
        agentrace.shutdown()

    def test_child_processes(ask):
        forked = multiprocessing.get_context("fork").Process(target=ask, args=("forked",))
        forked.start()
        forked.join()
        program = "import conftest, os; print(conftest.OpenAI(base_url=os.environ['ADDRESS'])" \\
            ".chat.completions.create(**conftest.message('started')).choices[0].message.content)"
        started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (forked.exitcode, started.returncode) == (0, 0)
        assert "started" in started.stdout

    def test_whose_directory_goes(ask, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        tmp_path.rmdir()
        assert "nowhere" in ask("nowhere")

    def test_last(ask):
        assert "last" in ask("last")
"""

OWN_FAILURE = {"test_fails_by_itself", "test_child_processes"}
"""Tests that fail by their own words where the program asks something else; the others fail by divergence."""
SKIPPED = {"test_skipped": "SKIPPED", "test_skips_after_a_call": "SKIPPED"}


def record_of(file: Path) -> RunRecord:
    """The root run of a trace file."""
    runs = Runs(TraceFile(file))
    return runs.record(next(runs.roots()).run_id)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with StubProvider(seed=1).serve() as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Place:
    """Tests that were recorded."""
    place = Place(tmp_path_factory.mktemp("project"))
    place.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    place.write("conftest.py", CONFTEST)
    place.write("test_agent.py", TESTS)
    done = run_pytest(place, "--agentrace=record", ADDRESS=provider, OPENAI_API_KEY=KEY)
    assert done.code == 0, done.out
    return place


@pytest.fixture(scope="module")
def diverged(project: Place) -> Done:
    """The same tests where the program asks something else."""
    return run_pytest(project, WORD=" changed")


def test_each_test_has_a_file_and_nothing_else_is_left(project: Place) -> None:
    names = {name.removeprefix("traces/test_agent/") for name in traces(project)}

    assert {
        "kept/hello.agentrace",
        "test_city-Oslo.agentrace",
        "TestClass.test_fixtures_belong_to_it.agentrace",
    } < names
    assert sum(name.startswith("test_city-a_b-") for name in names) == 1
    assert "test_skips_after_a_call.agentrace" in names
    assert "test_skipped.agentrace" not in names
    assert not project.store.exists()


def test_a_file_tells_the_test_and_how_it_ended_and_no_secret(project: Place) -> None:
    folder = project.root / "traces" / "test_agent"
    passed, failed = (record_of(folder / f"{name}.agentrace") for name in ("test_city-Oslo", "test_expected_to_fail"))

    assert passed.trace.run.started is not None
    assert passed.trace.run.started.name == "test_city[Oslo]"
    assert (passed.trace.run.status, failed.trace.run.status) == ("completed", "failed")
    assert failed.trace.run.failure is not None
    assert failed.trace.run.failure.type == "builtins:ZeroDivisionError"
    assert [step.input["messages"][0]["content"] for step in told(passed)] == ["Oslo"]
    assert KEY not in repr([*passed.events, *failed.events])


@pytest.mark.parametrize("arguments", [("-n2",), ("-o", "asyncio_mode=auto", "-p", "no:randomly")])
def test_replayed_without_key_and_provider(project: Place, arguments: tuple[str, ...]) -> None:
    before = traces(project)

    done = run_pytest(project, *arguments)

    assert done.code == 0, done.out
    assert set(outcomes(done).values()) == {"PASSED", "XFAIL"}
    assert "2 skipped" in done.out.splitlines()[-1] or "3 skipped" in done.out.splitlines()[-1]
    assert traces(project) == before
    assert not project.store.exists()


def test_a_divergence_is_the_failure_of_its_test_and_of_no_other(project: Place, diverged: Done) -> None:
    done, found = diverged, outcomes(diverged)

    assert done.code == 1
    assert {name for name, outcome in found.items() if outcome != "FAILED"} == set()
    assert "ERROR" not in found.values()
    assert failure(done, "test_last") == LAST.format(root=project.root)
    for name in found.keys() - OWN_FAILURE - {"test_asks_less", "test_expected_to_fail"}:
        shown = failure(done, name)
        assert shown.startswith(("CALL_CHANGED", "CALL_MISSING")), shown
        assert "Traceback" not in shown
    assert failure(done, "test_asks_less").startswith("CALL_MISSING: the program ended, but the recorded run went on")


LAST = """\
CALL_CHANGED: the program calls openai.chat.completions with other arguments than the recorded run
  expected: model openai.chat.completions (step 1) at {root}/conftest.py:17 ask.<locals>.<lambda>
    with {{'model': 'gpt-4o', 'messages': [{{'role': 'user', 'content': 'last'}}]}}
  observed: model openai.chat.completions (step 1) in /openai.chat.completions#0
    with {{'model': 'gpt-4o', 'messages': [{{'role': 'user', 'content': 'last changed'}}]}}
  differs:
    $.messages[0].content: 'last [+changed+]'
  likely cause: unknown: the code and the input are the recorded ones, as far as that is known
  what to do: look at what the program read since: files, the clock, random numbers, shared state of threads
  called at: {root}/conftest.py:17 ask.<locals>.<lambda>
  trace: traces/test_agent/test_last.agentrace
  if this is how it should be, record it anew: pytest test_agent.py::test_last --agentrace=refresh
"""


def test_the_tests_own_failure_comes_first(diverged: Done) -> None:
    shown = failure(diverged, "test_fails_by_itself")

    own, _, beside = shown.partition("agentrace: the test had diverged from its trace")
    assert "AssertionError: the test's own words" in own
    assert "CALL_CHANGED" not in own.partition("E       AssertionError")[2]
    assert "CALL_CHANGED: the program calls openai.chat.completions" in beside
