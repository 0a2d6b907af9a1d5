"""What a program may use that is not recorded: websockets, of whatever library."""

from __future__ import annotations

import sys
from typing import Final

WEBSOCKETS: Final = "websocket connections are not recorded"
_CLIENTS: Final = ("websockets.asyncio.client", "websockets.sync.client", "websockets.legacy.client", "websocket._core")
"""Modules that are loaded by whoever is about to open a connection: their libraries load them when first needed."""
LIBRARIES: Final = ("websockets", "websocket-client")
"""Distributions that do nothing else."""

_seen: set[str] = set()


def seen(what: str) -> None:
    """A wire saw that something unrecorded was begun."""
    _seen.add(what)


def forget() -> None:
    """Another recording begins."""
    _seen.clear()


def unrecorded() -> list[str]:
    """What the program used that is not recorded."""
    used = {*_seen, *(WEBSOCKETS for module in _CLIENTS if module in sys.modules)}
    return sorted(used)
