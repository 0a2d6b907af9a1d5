"""What a program may use that is not recorded, or not replayed: websockets, the standard library's HTTP, clusters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from agentrace.capture import process
from agentrace.capture.call import call_site
from agentrace.capture.carriers import replace
from agentrace.capture.guard import fault

WEBSOCKETS: Final = "websocket connections are not recorded"
HTTP_CLIENT: Final = "requests through http.client or urllib.request are not recorded outside tools"
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


def watch_http_client(module: ModuleType) -> None:
    """See what the program itself asks for through ``module``, which is ``http.client``."""
    replace(module.HTTPConnection, "connect", _connecting)  # others that are built on it have their own


def _connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: Any) -> Any:
        recording = process.current
        try:
            step = None if recording is None else recording.enclosing()
            is_told = step is not None and step.spec.answered
            if recording is not None and not is_told and call_site(sys._getframe(1)):
                seen(HTTP_CLIENT)
        except Exception as error:
            fault(error)
        return original(self)

    return connect


def forget() -> None:
    """Another recording begins."""
    _seen.clear()


def unrecorded() -> list[str]:
    """What the program used that is not recorded."""
    used = {*_seen, *(WEBSOCKETS for module in _CLIENTS if module in sys.modules)}
    return sorted(used)
