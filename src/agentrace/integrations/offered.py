"""Tools that a request offers to a model, found among the program's own functions and recorded in place.

Before a request goes out that offers a name for the first time, the program's modules are looked through for functions
which go by that name: by their own, by the one that a module gives them, or by the key under which a module's dict
holds them. If there is none, it may be a method of one class. A function is recorded in the runs that have offered its
name, from that request on, so that a replay of any one run finds the same.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import FrameType, FunctionType, MappingProxyType, ModuleType
from typing import Any, Final, cast

from msgspec import Struct

from agentrace.capture.guard import guarded
from agentrace.capture.inplace import is_recorded, record_in_place
from agentrace.capture.step import Spec
from agentrace.integrations.imports import ImportWatch
from agentrace.integrations.ownership import code_of, function_of, is_own, is_own_function

_MAPPINGS: Final = (dict, OrderedDict, defaultdict, MappingProxyType)
_SEQUENCES: Final = (list, tuple, set, frozenset)
_LONGEST: Final = 1000
"""Of the lists and tuples that are looked through; longer ones are data."""


class _Held(Struct, frozen=True):
    """A function of the program that goes by the name of a tool."""

    tool: str
    function: Any  # a FunctionType: mypy takes that for a method
    owner: type | None = None
    """The class of a method."""

    @property
    def label(self) -> str:
        """``module:qualname``, and the tool's name where it is another."""
        place = f"{self.function.__module__}:{self.function.__qualname__}"
        return place if self.function.__name__ == self.tool else f"{place} as {self.tool}"


class OfferedTools:
    """The functions of one process that are recorded because a request has offered them."""

    def __init__(self, watch: ImportWatch) -> None:
        self._watch = watch
        self._lock = threading.RLock()
        self._names: frozenset[str] = frozenset()
        """Every name that was offered."""
        self._settled: frozenset[str] = frozenset()
        """Those that were looked for."""
        self._missing: dict[str, str] = {}
        """Those that no function goes by, and why."""
        self._found: dict[tuple[str, int, type | None], _Held] = {}
        self._wrapped: set[str] = set()
        self._undo: list[Callable[[], None]] = []
        self._looked_at = (0, 0)

    def install(self) -> None:
        """Look at modules that are imported from now on, too: a tool's may be so when the tool is first called."""
        self._watch.every(self._imported)

    def remove(self) -> None:
        """Put the functions back."""
        with self._lock:
            while self._undo:
                self._undo.pop()()
            self._names = self._settled = frozenset()
            self._looked_at = (0, 0)
            for kept in (self._missing, self._found, self._wrapped):
                kept.clear()

    def forked(self) -> None:
        """In a forked child: another thread may have held the lock, and is no more."""
        self._lock = threading.RLock()

    def wrapped(self) -> Collection[str]:
        """What is recorded, as ``module:qualname``, with `` as NAME`` where the tool goes by another name."""
        return self._wrapped

    def missing(self) -> Mapping[str, str]:
        """The tools that no function was found for, and why."""
        return self._missing

    @guarded
    def offered(self, names: Collection[str]) -> None:
        """A request is about to offer these tools."""
        if self._settled.issuperset(names) and (not self._missing or self._looked_at == _extent()):
            return
        with self._lock:  # whoever offers the same at the same time goes on when they are recorded
            self._names = self._names.union(names)
            self._looked_at = _extent()
            self._look(list(sys.modules.values()))
            self._settled = self._names

    def _imported(self, module: ModuleType) -> None:
        if self._names:
            with self._lock:
                self._look([module])

    def _look(self, modules: Iterable[Any]) -> None:
        own = [module for module in modules if type(module) is ModuleType and is_own(module)]
        for held in _held_in(own, self._names):
            self._found.setdefault((held.tool, id(held.function), held.owner), held)
        running = _running() if self._found else set()
        for name in sorted(self._names):
            fitting, self._missing[name] = _fitting([held for held in self._found.values() if held.tool == name])
            for held in fitting:
                self._record(held, running)
            if fitting:
                del self._missing[name]

    def _record(self, held: _Held, running: Collection[int]) -> None:
        if is_recorded(held.function):
            return
        # What is at work offers itself: it is no tool at the program's boundary but the program, which a replay runs.
        again = "reexecute" if id(code_of(held.function)) in running else ""
        spec = Spec("tool", held.tool, replay=again, offered=held.tool)
        self._undo.append(record_in_place(held.function, spec))
        self._wrapped.add(held.label)


def _extent() -> tuple[int, int]:
    """How much there is to look at."""
    main = sys.modules.get("__main__")
    return len(sys.modules), 0 if main is None else len(vars(main))


def _running() -> Collection[int]:
    """The identities of the code that this thread is in."""
    codes: set[int] = set()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        codes.add(id(frame.f_code))
        frame = frame.f_back
    return codes


def _fitting(found: list[_Held]) -> tuple[list[_Held], str]:
    """Which of what goes by one name is the tool; why none is, if so."""
    functions = [held for held in found if held.owner is None]
    if functions:
        return functions, ""
    if not found:
        return [], "no function that the program's modules hold is called so; decorate it with @agentrace.tool"
    owners = [cast("type", held.owner) for held in found]
    if any(all(issubclass(other, owner) for other in owners) for owner in owners):
        return found, ""
    several = " and ".join(sorted(held.label for held in found))
    return [], f"{several} are methods of that name; decorate the right one with @agentrace.tool"


# --- where functions are held -------------------------------------------------------------------------------


def _held_in(modules: Iterable[ModuleType], names: frozenset[str]) -> Iterator[_Held]:
    for module in modules:
        for attribute, value in list(vars(module).items()):
            kind = type(value)
            if kind in _MAPPINGS:
                yield from _in_mapping(value, names)
            elif kind in _SEQUENCES:
                yield from _in_sequence(value, names)
            elif issubclass(kind, type):
                yield from _in_class(value, module, names)
            else:
                yield from _by_name(attribute, value, names)


def _by_name(given: str, value: Any, names: Collection[str]) -> Iterator[_Held]:
    """A function, by its own name or by the one that it was given."""
    function = function_of(value)
    if function is not None:
        name = function.__name__ if function.__name__ in names else given
        if name in names and is_own_function(function):
            yield _Held(name, function)


def _in_mapping(held: Mapping[Any, Any], names: Collection[str]) -> Iterator[_Held]:
    """``{name: function}``, or something with just one function instead of it."""
    for name in [name for name in names if name in held]:
        value = held[name]
        several = value.values() if type(value) in _MAPPINGS else value if type(value) in _SEQUENCES else [value]
        functions = {id(function): function for function in _own_functions(several)}
        if len(functions) == 1:
            yield _Held(name, functions.popitem()[1])


def _own_functions(held: Collection[Any]) -> Iterator[FunctionType]:
    for value in list(held) if len(held) <= _LONGEST else ():
        function = function_of(value)
        if function is not None and is_own_function(function):
            yield function


def _in_sequence(held: Collection[Any], names: Collection[str]) -> Iterator[_Held]:
    for value in list(held) if len(held) <= _LONGEST else ():
        yield from _by_name("", value, names)


def _in_class(held: type, module: ModuleType, names: frozenset[str]) -> Iterator[_Held]:
    space = type.__getattribute__(held, "__dict__")
    if space.get("__module__") == vars(module).get("__name__"):
        for name in space.keys() & names:
            function = function_of(space[name])
            if function is not None and is_own_function(function):
                yield _Held(name, function, held)
