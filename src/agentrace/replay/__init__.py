"""Replay: the program runs again and its boundary calls are answered from a record.

The package has the name of the public ``agentrace.replay``, so it can be called like that.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return sys.modules["agentrace"].__getattr__("replay")(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
