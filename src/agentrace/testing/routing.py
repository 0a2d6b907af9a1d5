"""Which wire and endpoint a request is for, and what it asks."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from .answers import Failure
from .wire import Ask, Endpoint, Wire, decoded
from .wire_anthropic import ANTHROPIC
from .wire_openai import OPENAI

WIRES: tuple[Wire, ...] = (OPENAI, ANTHROPIC)
"""The wires that a stub speaks; the first one answers for paths that none of them has, if no header says otherwise."""

ENDPOINTS = frozenset(endpoint.name for wire in WIRES for endpoint in wire.endpoints)


@dataclass(frozen=True, slots=True)
class Turn:
    """A request whose answer is due; ``failure`` is the provider's error if nothing can be made of it."""

    wire: Wire
    endpoint: Endpoint
    ask: Ask
    failure: Failure | None


def turn_of(method: str, path: str, body: bytes, headers: Container[str]) -> Turn:
    """What a request is for. ``path`` is without its query, ``headers`` are names in lower case."""
    marked = [wire for wire in WIRES if wire.marked_by and wire.marked_by in headers]
    wires = (*marked, *(wire for wire in WIRES if wire not in marked))
    for wire in wires:
        for endpoint in wire.endpoints:
            found = endpoint.path.fullmatch(path) if endpoint.method == method else None
            if found is not None:
                given: Any = decoded(body) if body or method == "POST" else {}
                readable = isinstance(given, dict)
                asked = endpoint.read(given, found.groupdict()) if readable else wire.unreadable
                return _turn(wire, endpoint, asked)
    return _turn(wires[0], _NOWHERE, wires[0].unknown(method, path))


def _turn(wire: Wire, endpoint: Endpoint, asked: Ask | Failure) -> Turn:
    if isinstance(asked, Failure):
        return Turn(wire, endpoint, Ask(body={}), asked)
    return Turn(wire, endpoint, asked, None)


_NOWHERE = Endpoint(
    name="",
    kind="none",
    method="",
    path=re.compile(r"(?!)"),
    read=lambda body, groups: Ask(body=body),
    whole=lambda ask, content, mint: {},
)
"""The endpoint of a path that no wire has: it is never asked anything, its requests have failed."""
