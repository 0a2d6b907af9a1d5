"""httpx: the transport of many model clients and tools."""

from __future__ import annotations

from typing import Any

from agentrace.integrations import httpx_family
from agentrace.integrations.declaration import Wire


def install(module: Any) -> None:
    """Intercept its clients."""
    httpx_family.install(module, "httpx")


WIRE = Wire(name="httpx", requires="httpx>=0.27,<1", module="httpx", install=install)
