"""Bodies of requests that the program makes with calls of its own, and with pauses between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import agentrace
from tests.contract.scenarios import Expected

PICKED = (Expected("tool", "pick", "", "ok", (), ""),) * 2
"""The steps that are taken while such a body is made."""


@agentrace.tool(name="pick")
def _pick(name: str) -> bytes:
    return b"<%b>" % name.encode()


@agentrace.tool(name="pick")
async def _pick_later(name: str) -> bytes:
    await asyncio.sleep(0.001)
    return _pick.__wrapped__(name)  # type: ignore[attr-defined, no-any-return]


def pieces() -> Iterator[bytes]:
    """A body that takes two steps."""
    yield _pick("lamp")
    yield b" and "
    yield _pick("cable")


async def pieces_later() -> AsyncIterator[bytes]:
    """The same with time in between."""
    yield await _pick_later("lamp")
    await asyncio.sleep(0.01)
    yield b" and "
    yield await _pick_later("cable")
