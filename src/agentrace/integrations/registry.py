"""The hooks that are put in place when the program imports a library that agentrace knows.

A library's declaration (see ``catalogue``) is loaded when its top-level module is imported, before or after ``init()``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

from agentrace.capture.carriers import replace
from agentrace.capture.guard import fault, say
from agentrace.errors import UntestedVersion
from agentrace.integrations.catalogue import declaration, integration, known_of, library_names
from agentrace.integrations.declaration import Integration, Jobs, Wire
from agentrace.integrations.funnel import funnel
from agentrace.integrations.imports import ImportWatch
from agentrace.integrations.offered import OfferedTools
from agentrace.integrations.tools import ConfiguredTools
from agentrace.integrations.unrecorded import forget, unrecorded, watch_http_client


class Instrumentation:
    """The hooks of one process."""

    def __init__(
        self,
        watch: ImportWatch,
        tools: Mapping[str, Sequence[str]],
        *,
        offered: bool = False,
        answering: bool = False,
    ) -> None:
        """``tools``: patterns by step kind. ``offered``: whether the tools that requests offer are recorded."""
        self._watch = watch
        self._tools = ConfiguredTools(tools, watch)
        self._offered = OfferedTools(watch) if offered else None
        self._answering = answering
        self._versions: dict[str, str] = {}
        self._problems: dict[str, str] = {}

    def install(self) -> None:
        """Hook every known library that is imported already, and the others when they are."""
        forget()
        for name in library_names():
            self._watch.when(name, self._hook(name))
        self._watch.when("http.client", watch_http_client)
        self._tools.install()
        if self._offered is not None:
            self._offered.install()

    def remove(self) -> None:
        """Forget what was seen. The replaced functions themselves are put back by ``carriers.restore_all``."""
        self._tools.remove()
        if self._offered is not None:
            self._offered.remove()

    def forked(self) -> None:
        """This is a forked child."""
        if self._offered is not None:
            self._offered.forked()

    def tools_offered(self) -> Callable[[Collection[str]], None] | None:
        """Who wants to know which tools a request is about to offer."""
        return None if self._offered is None else self._offered.offered

    def main_may_be_ready(self) -> bool:
        """Wrap configured tools of ``__main__``; whether there may be any."""
        return self._tools.main_may_be_ready()

    def versions(self) -> dict[str, str]:
        """Versions of the hooked libraries."""
        return dict(self._versions)

    def tools(self) -> Sequence[str]:
        """Functions that are recorded in place."""
        offered = () if self._offered is None else self._offered.wrapped()
        return sorted({*self._tools.wrapped(), *offered})

    def missing_tools(self) -> dict[str, str]:
        """Tools that were offered and that no function was found for, and why."""
        return {} if self._offered is None else dict(self._offered.missing())

    def problems(self) -> Mapping[str, str]:
        """Libraries that could not be hooked, and why."""
        return self._problems

    def unsupported(self) -> list[str]:
        """What the program used that is not recorded."""
        return [*unrecorded(), *(f"{name} could not be hooked: {why}" for name, why in self._problems.items())]

    def credentials(self) -> dict[str, str]:
        """Variables that clients insist on, for a replay where nothing is sent."""
        needed: dict[str, str] = {}
        for name in library_names():
            found = integration(name)
            if found is not None and not any(other in os.environ for other in found.signed_in_by):
                needed.update(found.credentials)
        return needed

    def _hook(self, name: str) -> Callable[[ModuleType], None]:
        def hook(module: ModuleType) -> None:
            found = declaration(name)
            if found is None or name in self._versions:
                return
            facts = known_of(found, getattr(module, "__version__", None))
            self._versions[name] = facts.installed
            if facts.installed and not facts.supported:
                say(f"agentrace: {UntestedVersion(found.name, facts.installed, found.requires)}")
            try:
                self._put_in_place(found)
            except (AttributeError, KeyError, ImportError, RuntimeError, TypeError) as error:
                self._problems[name] = f"{type(error).__name__}: {error}"
                fault(error)

        return hook

    def _put_in_place(self, found: Integration | Wire | Jobs) -> None:
        if isinstance(found, (Wire, Jobs)):
            found.install(importlib.import_module(found.module))
            return
        for target in found.targets:
            module, _, path = target.partition(":")
            owner: Any = importlib.import_module(module)
            *outer, name = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            replace(owner, found.reader.funnel(owner, name), funnel(found))
            if self._answering:
                for method, make in found.reader.no_wait(owner).items():
                    replace(_home(owner, method), method, make)


def _home(owner: type, method: str) -> type:
    """The class of ``owner`` or above it that defines ``method``."""
    return next(cls for cls in owner.__mro__ if method in vars(cls))
