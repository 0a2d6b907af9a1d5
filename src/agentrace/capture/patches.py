"""``--patch``: the time, UUIDs and random numbers that the program itself asks for, recorded without a change to it.

The functions of the standard library are replaced by ones that look at their caller: for a module of the program they
record (and on a replay answer), for every library they are what they were. Event loops and ``time.monotonic`` keep
their clocks.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import Any, Final

from agentrace.capture import process
from agentrace.capture.call import is_library
from agentrace.capture.carriers import replace
from agentrace.capture.values import recorded_value

TIME: Final = ("time", "time_ns")
DATETIME: Final = ("now", "utcnow", "today")
DRAWS: Final = (
    *("random", "uniform", "triangular", "randint", "randrange", "getrandbits", "randbytes", "gauss"),
    *("normalvariate", "lognormvariate", "expovariate", "vonmisesvariate", "gammavariate", "betavariate"),
    *("paretovariate", "weibullvariate"),
)
"""Functions of ``random`` that return a number or bytes."""
CHOICES: Final = ("choice", "choices", "sample", "shuffle")
"""Functions of ``random`` that choose among the caller's objects: recorded is which, by position."""

_undo: list[Callable[[], None]] = []


def patch_time(module: ModuleType) -> None:
    """``module`` is ``time``."""
    for name in TIME:
        replace(module, name, functools.partial(_valued, "now", f"time.{name}"))


def patch_datetime(module: ModuleType) -> None:
    """``module`` is ``datetime``. The class stays the same object, so its methods are replaced in its own namespace."""
    import ctypes

    cls = module.datetime
    namespace = gc.get_referents(cls.__dict__)[0]

    def put(name: str, value: Any) -> None:
        namespace[name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))

    for name in DATETIME:
        original = cls.__dict__.get(name)
        if name == "today":  # inherited from ``date``, where it stays for dates
            original = original or module.date.__dict__[name]
        bound = getattr(cls, name)
        put(name, classmethod(_valued_method(cls, name, bound, original)))
        _undo.append(functools.partial(put, name, original))


def patch_uuid(module: ModuleType) -> None:
    """``module`` is ``uuid``."""
    replace(module, "uuid4", functools.partial(_valued, "uuid4", "uuid.uuid4"))


def patch_random(module: ModuleType) -> None:
    """``module`` is ``random``. Objects of ``random.Random`` are the program's own and stay as they are."""
    for name in DRAWS:
        replace(module, name, functools.partial(_valued, "random", f"random.{name}"))
    for name in CHOICES:
        replace(module, name, functools.partial(_chosen, name))


KINDS: Final[dict[str, tuple[tuple[str, Callable[[ModuleType], None]], ...]]] = {
    "time": (("time", patch_time), ("datetime", patch_datetime)),
    "uuid": (("uuid", patch_uuid),),
    "random": (("random", patch_random),),
}
"""By what ``--patch`` is given: modules, and what is to be done once they are imported."""


def restore_types() -> None:
    """Take back what is not taken back by ``carriers.restore_all``."""
    while _undo:
        _undo.pop()()


def _valued(source: str, label: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*args: Any, **kwargs: Any) -> Any:
        if process.current is None or not _is_own(sys._getframe(1)):
            return original(*args, **kwargs)
        value = original(*args, **kwargs)  # also on a replay: the generator goes on as it did
        return recorded_value(source, label, lambda: value)

    return asked


def _valued_method(cls: type, name: str, bound: Callable[..., Any], original: Any) -> Callable[..., Any]:
    def asked(asked_of: type, *args: Any, **kwargs: Any) -> Any:
        if process.current is None or asked_of is not cls or not _is_own(sys._getframe(1)):
            return original.__get__(None, asked_of)(*args, **kwargs)
        return recorded_value("now", f"datetime.{name}", lambda: bound(*args, **kwargs))

    asked.__name__ = name
    return asked


def _chosen(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def asked(population: Any, *args: Any, **kwargs: Any) -> Any:
        if process.current is None or not _is_own(sys._getframe(1)) or not isinstance(population, Sequence):
            return original(population, *args, **kwargs)
        places = list(range(len(population)))
        drawn = original(places, *args, **kwargs)  # draws from the generator exactly as it would for the objects
        found = recorded_value("random", f"random.{name}", lambda: places if name == "shuffle" else drawn)
        if name == "shuffle":
            population[:] = [population[place] for place in found]  # type: ignore[index]
            return None
        return population[found] if name == "choice" else [population[place] for place in found]

    return asked


_own: dict[str, bool] = {}


def _is_own(frame: FrameType) -> bool:
    """Whether the program's own code asks, and no library."""
    file = frame.f_code.co_filename
    found = _own.get(file)
    if found is None:
        found = _own[file] = not is_library(file)
    return found
