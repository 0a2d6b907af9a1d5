"""What type checkers see of settings and errors; it is checked and never run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_type

from agentrace.config import Settings, load, sources
from agentrace.errors import AgentraceError, ConfigError, ReplayDivergence, StoreError

settings = load({"workflow": "checkout", "exit_timeout": 0}, environ={}, cwd=Path("/"))

assert_type(settings, Settings)
assert_type(settings.home, Path)
assert_type(settings.on_error, Literal["warn", "raise"])
assert_type(settings.durability, Literal["process", "power"])
assert_type(settings.tools, tuple[str, ...])
assert_type(settings.workflow, str | None)
assert_type(sources(environ={}, cwd=Path("/")), dict[str, str])
settings.seal = False  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

error: AgentraceError = ConfigError("what happened", do="what to do", slug="config")
assert_type(error.slug, str)
store: AgentraceError = StoreError("what happened")
divergence: BaseException = ReplayDivergence("CALL_CHANGED", "report")
swallowed: Exception = divergence  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
