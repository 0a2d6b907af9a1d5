"""What is the program's own: its modules and functions, and not the standard library's, an installed one's or ours.

What is asked about is the program's, and may be anything: nothing here calls into it. So types are compared by
identity, because ``isinstance`` asks for ``__class__``, and a proxy answers that by making what it stands for.
"""

from __future__ import annotations

import functools
import os
import sys
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from agentrace.capture.call import is_library

_MAIN: Final = "__main__"
_CACHE: Final = type(functools.cache(lambda: None))


def is_own(module: ModuleType) -> bool:
    """Whether a module belongs to the program; the script does, and what is typed or executed as one."""
    space = vars(module)
    source, name = space.get("__file__"), space.get("__name__")
    if name == _MAIN and not source:
        return True
    if type(source) is not str or type(name) is not str or is_library(source):
        return False
    return (source.endswith(".py") or name == _MAIN) and not _is_installed(name.partition(".")[0])


def function_of(value: Any) -> FunctionType | None:
    """The function that is called when ``value`` is; ``None`` if there is none, or it cannot be known.

    Looked through are bound, static and class methods, and ``functools.partial``, ``cache`` and ``lru_cache``.
    """
    while type(value) is not FunctionType:
        if type(value) in (MethodType, staticmethod, classmethod):
            value = value.__func__
        elif type(value) is functools.partial:
            value = value.func
        elif type(value) is _CACHE:
            value = value.__dict__.get("__wrapped__")
        else:
            return None
    return value


def is_own_function(function: FunctionType) -> bool:
    """Whether the program wrote a function. What a decorator made of one is the program's, if it says what it wraps."""
    if is_library(code_of(function).co_filename):
        return False
    home = sys.modules.get(function.__module__) if type(function.__module__) is str else None
    return type(home) is ModuleType and is_own(home)


def code_of(function: FunctionType) -> CodeType:
    """The code of what is wrapped by whatever decorators."""
    seen = {id(function)}
    while True:
        inner = function_of(function.__dict__.get("__wrapped__"))
        if inner is None or id(inner) in seen:
            return function.__code__
        seen.add(id(inner))
        function = inner


def _is_installed(package: str) -> bool:
    """Whether a package was installed into a directory of any name, as ``pip install --target`` does."""
    module = sys.modules.get(package)
    source = getattr(module, "__file__", None) if type(module) is ModuleType else None
    if type(source) is not str:
        return False
    directory, file = os.path.split(source)
    return package in _installed_in(os.path.dirname(directory) if file.startswith("__init__.") else directory)


@functools.cache
def _installed_in(directory: str) -> frozenset[str]:
    """The top-level modules that the installations recorded in a directory have put there."""
    try:
        kept = [name for name in os.listdir(directory or ".") if name.endswith(".dist-info")]
    except OSError:
        return frozenset()
    return frozenset(name for info in kept for name in _put_there(os.path.join(directory, info, "RECORD")))


def _put_there(record: str) -> set[str]:
    try:
        with open(record, encoding="utf-8", errors="replace") as lines:
            return {line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in lines}
    except OSError:
        return set()
