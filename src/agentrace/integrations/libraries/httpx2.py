"""httpx2: the transport of current provider clients."""

from __future__ import annotations

from typing import Any

from agentrace.integrations import httpx_family
from agentrace.integrations.declaration import Wire


def install(module: Any) -> None:
    """Intercept its clients."""
    httpx_family.install(module, "httpx2")


WIRE = Wire(name="httpx2", requires="httpx2>=2,<3", module="httpx2", install=install)
