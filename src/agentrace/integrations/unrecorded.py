"""What a program may use that is not recorded, or not replayed: websockets of whatever library, clusters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from agentrace.capture.carriers import replace

WEBSOCKETS: Final = "websocket connections are not recorded"
_CLIENTS: Final = ("websockets.asyncio.client", "websockets.sync.client", "websockets.legacy.client", "websocket._core")
"""Modules that are loaded by whoever is about to open a connection: their libraries load them when first needed."""
CLUSTER: Final = "jobs of a Dask cluster go to its workers over a network that a replay does not have"
LIBRARIES: Final = ("websockets", "websocket-client")
"""Distributions that do nothing else."""

_seen: set[str] = set()


def seen(what: str) -> None:
    """A wire saw that something unrecorded was begun."""
    _seen.add(what)


def watch_clusters(module: Any) -> None:
    """Note when the program becomes the client of a cluster. ``module`` is ``distributed.client``."""

    def noted(original: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            seen(CLUSTER)
            original(self, *args, **kwargs)

        return __init__

    replace(module.Client, "__init__", noted)


def forget() -> None:
    """Another recording begins."""
    _seen.clear()


def unrecorded() -> list[str]:
    """What the program used that is not recorded."""
    used = {*_seen, *(WEBSOCKETS for module in _CLIENTS if module in sys.modules)}
    return sorted(used)
