"""What a program may use that is not recorded, or not replayed: websockets of whatever library, clusters."""

from __future__ import annotations

import sys
from typing import Final

WEBSOCKETS: Final = "websocket connections are not recorded"
_CLIENTS: Final = ("websockets.asyncio.client", "websockets.sync.client", "websockets.legacy.client", "websocket._core")
"""Modules that are loaded by whoever is about to open a connection: their libraries load them when first needed."""
_CLUSTER: Final = "jobs of a Dask cluster go to its workers over a network that a replay does not have"
_CLUSTERS: Final = ("distributed.client",)
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
    loaded = ((_CLIENTS, WEBSOCKETS), (_CLUSTERS, _CLUSTER))
    used = {*_seen, *(what for modules, what in loaded for module in modules if module in sys.modules)}
    return sorted(used)
