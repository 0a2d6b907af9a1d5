"""The pytest plugin ``agentrace``: a test's calls are recorded into a trace file, and answered from it afterwards.

Loaded by every pytest that has agentrace beside it, so all but these hooks is loaded by name when a test uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from agentrace.pytest_plugin.tested import RunUnderTest

MODES: Final = ("replay", "record", "refresh", "off")
FIXTURE: Final = "_agentrace"
"""What makes a test recorded or answered. It is no name that a user's fixture could have by accident: a test that is
marked must never go out because its mark was not seen."""
_RUN: Final = pytest.StashKey["RunUnderTest"]()

_MARKER = (
    "agentrace(path=None, *, order='recorded', speed=0): answer the test's model, tool and retriever calls from a "
    "trace file (by default traces/MODULE/TEST.agentrace beside the test's file), without a connection; "
    "--agentrace=record writes it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--agentrace`` and its setting."""
    told = (
        "replay: answer marked tests from their trace files (the default); record: write the files that are missing; "
        "refresh: write those of the chosen tests anew; off: run live and touch no file"
    )
    group = parser.getgroup("agentrace", "recorded runs of agents")
    group.addoption("--agentrace", dest="agentrace", choices=MODES, default=None, help=told)
    parser.addini("agentrace", f"what --agentrace is unless it is given: {', '.join(MODES)}", default="replay")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and a setting that can be used."""
    config.addinivalue_line("markers", _MARKER)
    if config.getini("agentrace") not in MODES:
        raise pytest.UsageError(f"agentrace = {config.getini('agentrace')}: it is one of {', '.join(MODES)}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Put the fixture before all others that belong to this one test, so that what they do is in the record."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:
        return
    if _RUN in item.stash:  # of an earlier try, where a plugin runs tests again
        del item.stash[_RUN]
    if FIXTURE not in names and item.get_closest_marker("agentrace") is None:
        return
    others = [name for name in names if name != FIXTURE]
    known: dict[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    wider = sum(1 for name in others if name in known and known[name][-1].scope != "function")
    # A list of its own: the tests of one parametrized function share theirs.
    item.fixturenames = [*others[:wider], FIXTURE, *others[wider:]]  # type: ignore[attr-defined]


@pytest.fixture
def _agentrace(request: pytest.FixtureRequest) -> Generator[RunUnderTest]:
    """From here to the end of the test its calls are recorded, or answered."""
    tested = importlib.import_module("agentrace.pytest_plugin.tested")
    run: RunUnderTest = tested.run_of(request.node, request.config)
    request.node.stash[_RUN] = run
    run.begin()
    yield run
    run.end()


@pytest.fixture
def agentrace_run(_agentrace: RunUnderTest) -> RunUnderTest:
    """The run of this test: its ``mode``, ``path``, ``verdict``, ``caveats``, and the ``record`` that answers it."""
    return _agentrace


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """An async fixture of a test that has a run: no divergence may end the task in which other fixtures live."""
    if fixturedef.scope != "function" or _RUN not in request.node.stash:
        return (yield)
    with importlib.import_module("agentrace.pytest_plugin.tested").contained(fixturedef, "func"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The end of the test's body, whatever it came to."""
    run = item.stash.get(_RUN, None)
    if run is None:
        return (yield)
    try:
        with importlib.import_module("agentrace.pytest_plugin.tested").contained(item, "obj"):
            result = yield
    except BaseException as error:
        run.body_over(error)
        raise
    run.body_over(None)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A divergence as the failure of its test."""
    report = yield
    run = item.stash.get(_RUN, None)
    if run is not None:
        importlib.import_module("agentrace.pytest_plugin.telling").tell(run, report, call.excinfo)
    return report
