"""Tools that nothing in the program announces: functions named in the settings, wrapped when their module is imported.

``module:pattern`` names functions defined in a module, ``pattern`` alone functions of that name in any module of the
program itself. The functions are recorded in place, so a dict of tools that was built before is covered too. Functions
of the script that is run (``__main__``) exist only once it runs; they are wrapped at the first task or recorded call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import FunctionType, ModuleType
from typing import Final

from agentrace.capture.guard import guarded
from agentrace.capture.inplace import is_recorded, record_in_place
from agentrace.capture.step import Spec
from agentrace.integrations.imports import ImportWatch
from agentrace.integrations.ownership import is_own

_MAIN: Final = "__main__"


class ConfiguredTools:
    """The functions that the ``tools`` and ``retrievers`` settings name."""

    def __init__(self, patterns: Mapping[str, Sequence[str]], watch: ImportWatch) -> None:
        """``patterns``: by step kind."""
        self._watch = watch
        self._named: dict[str, list[tuple[str, str]]] = {}
        self._anywhere: list[tuple[str, str]] = []
        self._wrapped: set[str] = set()
        self._undo: list[Callable[[], None]] = []
        self._names_in_main = 0
        for kind, given in patterns.items():
            for pattern in given:
                module, colon, name = pattern.partition(":")
                if colon:
                    self._named.setdefault(module, []).append((kind, name))
                else:
                    self._anywhere.append((kind, pattern))

    def install(self) -> None:
        """Wrap what is loaded already, and the rest when it is."""
        for name in self._named:
            if name != _MAIN:
                self._watch.when(name, self._wrap_module)
        self.main_may_be_ready()
        if self._anywhere:
            self._watch.every(self._wrap_module)
            for module in list(sys.modules.values()):
                self._look_at(module)

    def main_may_be_ready(self) -> bool:
        """Wrap what is defined in ``__main__`` by now; whether anything there is asked for at all."""
        if not self._anywhere and _MAIN not in self._named:
            return False
        main = sys.modules.get(_MAIN)
        # Asked at every call: the names are looked at again when there are more of them.
        if main is not None and len(vars(main)) != self._names_in_main:
            self._names_in_main = len(vars(main))
            self._look_at(main)
        return True

    def remove(self) -> None:
        """Put the functions back."""
        while self._undo:
            self._undo.pop()()
        self._wrapped.clear()

    def wrapped(self) -> list[str]:
        """What was wrapped, as ``module:name``."""
        return sorted(self._wrapped)

    @guarded
    def _look_at(self, module: ModuleType) -> None:
        # What a program puts into sys.modules need not be a module.
        if isinstance(module, ModuleType):
            self._wrap_module(module)

    def _wrap_module(self, module: ModuleType) -> None:
        name = getattr(module, "__name__", "")
        patterns = list(self._named.get(name, ()))
        if self._anywhere and is_own(module):
            patterns = [*patterns, *self._anywhere]
        if not patterns:
            return
        for attribute, value in list(vars(module).items()):
            if type(value) is not FunctionType or value.__module__ != name or attribute.startswith("__"):
                continue
            kind = next((kind for kind, pattern in patterns if fnmatchcase(attribute, pattern)), None)
            if kind is not None and not is_recorded(value):
                self._undo.append(record_in_place(value, Spec(kind, value.__qualname__)))
                self._wrapped.add(f"{name}:{attribute}")
