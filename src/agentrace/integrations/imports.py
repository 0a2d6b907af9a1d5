"""Callbacks for when the program imports a module, without importing it ourselves.

A small meta-path finder lets the ordinary finders find a watched module and runs the callbacks right after its code has
run. Modules that are already loaded get their callbacks at once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeAlias, cast

from agentrace.capture.guard import fault

Callback: TypeAlias = Callable[[ModuleType], None]


class ImportWatch:  # a MetaPathFinder by shape: importlib.abc costs more to import than all of this
    """The finder. Installed first on ``sys.meta_path`` by :meth:`install`."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}
        self._everything: list[Callback] = []
        self._finding = threading.local()

    def install(self) -> None:
        """Begin to watch; idempotent."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Watch no more."""
        self._callbacks.clear()
        self._everything.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def when(self, name: str, callback: Callback) -> None:
        """Run ``callback(module)`` when ``name`` is imported, or now if it already is."""
        self._callbacks.setdefault(name, []).append(callback)
        module = sys.modules.get(name)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            _run(callback, module)

    def every(self, callback: Callback) -> None:
        """Run ``callback(module)`` for each module that is imported from now on."""
        self._everything.append(callback)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec with its loader wrapped, for watched modules; ``None`` for all others."""
        callbacks = self._callbacks.get(fullname)
        if callbacks is None and not self._everything:
            return None
        outer = getattr(self._finding, "name", None)
        if outer == fullname:
            return None
        self._finding.name = fullname
        try:
            spec = _find(self, fullname, path, target)
        finally:
            self._finding.name = outer
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = cast("Any", _Loader(spec.loader, [*(callbacks or ()), *self._everything]))
        return spec


def _find(watch: ImportWatch, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is not watch and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


class _Loader:
    """A module's loader that runs callbacks after it, and leaves no trace of itself on the module."""

    def __init__(self, original: Any, callbacks: list[Callback]) -> None:
        self._original = original
        self._callbacks = callbacks

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        spec.loader = self._original
        created: ModuleType | None = self._original.create_module(spec)
        spec.loader = cast("Any", self)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        module.__loader__ = self._original
        self._original.exec_module(module)
        for callback in self._callbacks:
            _run(callback, sys.modules.get(module.__name__, module))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _run(callback: Callback, module: ModuleType) -> None:
    try:
        callback(module)
    except Exception as error:
        fault(error)
