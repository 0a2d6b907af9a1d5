"""The run of one test: recorded into its trace file, or answered from it.

It begins before the fixtures that belong to this one test are set up, and ends when they are torn down. Fixtures of a
wider scope are outside: which test they are set up for depends on what else is run.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from os import environ
from os.path import relpath
from pathlib import Path
from typing import Final, Literal, Protocol

import pytest

from agentrace import config as configuration
from agentrace import runtime
from agentrace.config import Settings
from agentrace.errors import AgentraceError, ConfigError, ReplayDivergence, ReplayError
from agentrace.pytest_plugin.naming import Marked, marked
from agentrace.pytest_plugin.taking import Recorded, Replayed
from agentrace.query import RunRecord
from agentrace.replay.tape import Divergence

_SETTINGS: Final = pytest.StashKey[Settings]()
_WRITTEN: Final = pytest.StashKey[set[Path]]()

Mode = Literal["replay", "record", "off"]


class Doing(Protocol):
    """What is done with the calls of a test."""

    def begin(self) -> None:
        """From now on."""
        ...

    def body_over(self, error: BaseException | None) -> None:
        """The test's body ended, with an exception or without."""
        ...

    def end(self, passed: bool) -> None:
        """Nothing follows; the process is as it was before."""
        ...


class RunUnderTest:
    """The run of one test, as the fixture ``agentrace_run`` gives it."""

    def __init__(self, item: pytest.Item, mode: Mode, path: Path, make: Callable[[], Doing] | None) -> None:
        self.test = item.nodeid
        """The test, as pytest names it."""
        self.mode = mode
        """What is done: ``replay``, ``record`` or ``off``. With ``--agentrace=record`` a test whose file is there is
        replayed."""
        self.path = path
        """The trace file."""
        self.shown_path = relpath(path, item.config.rootpath)
        """The same as a person reads it; the working directory may have gone."""
        self.refusal: AgentraceError | None = None
        """Why the run cannot begin, or its trace not be written."""
        self.is_told = False
        """Whether its divergence stands in a report."""
        self._make = make
        self._doing: Doing | None = None
        self._resume: Callable[[], None] = lambda: None
        self._passed = True
        self._is_over = False

    # -- what a test may ask ---------------------------------------------------------------------------------------

    @property
    def verdict(self) -> str:
        """``exact``, ``exact_with_caveats`` or ``diverged``, as far as the test has come; empty unless replayed."""
        return self._doing.tape.verdict()[0] if isinstance(self._doing, Replayed) else ""

    @property
    def caveats(self) -> Sequence[str]:
        """What keeps the replay from being called exact, or the codes of its divergences."""
        return self._doing.tape.verdict()[1] if isinstance(self._doing, Replayed) else []

    @property
    def record(self) -> RunRecord | None:
        """The recorded run that answers the test; ``None`` if nothing is replayed."""
        return self._doing.source if isinstance(self._doing, Replayed) else None

    # -- its course ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to record or to answer. Raises ``AgentraceError``, which is kept as the refusal."""
        if self._make is None:
            return
        try:
            self._doing = self._make()
            self._resume = runtime.pause()
            self._doing.begin()
        except AgentraceError as error:
            self.refusal = error
            self._doing = None
            self._resume()
            raise

    def body_over(self, error: BaseException | None) -> None:
        """The body ended. Raises ``ReplayDivergence`` if the run has diverged and nothing else says so."""
        if self._doing is None:
            return
        self._doing.body_over(error)
        if self.divergence is not None and (error is None or isinstance(error, pytest.skip.Exception)):
            raise ReplayDivergence(self.divergence.code, self.divergence.report) from error

    def phase_over(self, passed: bool, *, is_skipped: bool) -> None:
        """A phase of the test (set-up, call, tear-down) has its outcome."""
        if is_skipped and isinstance(self._doing, Recorded):
            passed = self._doing.has_calls  # a replay has to come as far
        self._passed = self._passed and passed

    def end(self) -> None:
        """The test is over. Raises ``ReplayDivergence`` if it has diverged and no report says so."""
        self._end()
        if self.divergence is not None and not self.is_told:
            raise ReplayDivergence(self.divergence.code, self.divergence.report)

    def _end(self) -> None:
        if self._doing is None or self._is_over:
            return
        self._is_over = True
        try:
            self._doing.end(self._passed)
        except AgentraceError as error:
            self.refusal = error
            raise
        finally:
            self._resume()

    def leave(self) -> None:
        """The same where the test was broken off, and what did that is told already."""
        if not self._is_over:
            self._passed = False
            self._end()

    @property
    def divergence(self) -> Divergence | None:
        """The first divergence."""
        return self._doing.tape.latched if isinstance(self._doing, Replayed) else None

    @property
    def called_at(self) -> str:
        """``file:line function`` of the call that diverged."""
        return self._doing.replaying.diverged_at if isinstance(self._doing, Replayed) else ""


def run_of(item: pytest.Item, config: pytest.Config) -> RunUnderTest:
    """The run of a test, in the mode that was asked for."""
    asked: str = config.getoption("agentrace") or config.getini("agentrace")
    try:
        told = marked(item)
    except ConfigError as error:
        return _refused(item, error)
    if asked == "off":
        return RunUnderTest(item, "off", told.path, None)
    written = config.stash.setdefault(_WRITTEN, set())
    if (asked == "refresh" and told.path not in written) or (asked == "record" and not told.path.exists()):
        return RunUnderTest(
            item, "record", told.path, lambda: Recorded(told.path, item.name, _settings(config), written)
        )
    return RunUnderTest(item, "replay", told.path, lambda: _replayed(item, told, config))


def _replayed(item: pytest.Item, told: Marked, config: pytest.Config) -> Replayed:
    if not told.path.exists():
        raise ReplayError(
            f"the test has no trace: there is no {relpath(told.path, config.rootpath)}",
            do=f"record it: pytest {shlex.quote(item.nodeid)} --agentrace=record",
            slug="no-trace",
        )
    return Replayed(told.path, told.manner, _settings(config))


def _refused(item: pytest.Item, error: AgentraceError) -> RunUnderTest:
    def refuse() -> Doing:
        raise error

    return RunUnderTest(item, "off", item.path, refuse)


def _settings(config: pytest.Config) -> Settings:
    """The settings of the directory that pytest runs in, read once."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = configuration.load({}, environ=environ, cwd=config.rootpath)
    return config.stash[_SETTINGS]
