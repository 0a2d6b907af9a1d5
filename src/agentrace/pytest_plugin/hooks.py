"""What the pytest plugin does around each test; of a test without a trace it looks at the marks, and that is all."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from agentrace.pytest_plugin.tested import RunUnderTest

FIXTURE: Final = "_agentrace"
"""What makes a test recorded or answered. It is no name that a user's fixture could have by accident: a test that is
marked must never go out because its mark was not seen."""
_RUN: Final = pytest.StashKey["RunUnderTest"]()


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
    """A fixture of a test that has a run: no divergence leaves it that would keep others from being torn down."""
    if fixturedef.scope != "function" or _RUN not in request.node.stash:
        return (yield)
    with importlib.import_module("agentrace.pytest_plugin.containing").contained(fixturedef, "func", request.instance):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The end of the test's body, whatever it came to."""
    run = item.stash.get(_RUN, None)
    if run is None:
        return (yield)
    try:
        with importlib.import_module("agentrace.pytest_plugin.containing").contained(item, "obj"):
            result = yield
    except BaseException as error:
        run.body_over(error)
        raise
    run.body_over(None)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """The run ends with its test, also where something kept its fixture from being torn down."""
    try:
        return (yield)
    finally:
        run = item.stash.get(_RUN, None)
        if run is not None:
            run.leave()


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
