"""What a request asks for, and whether two requests ask for the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

_MARK: Final = "redacted:"
"""A part that redaction touched says nothing of what stood there."""


class Asked(Struct, frozen=True):
    """A request as far as it says what it wants; headers and bodies hold times, counters and credentials."""

    method: str
    host: str
    """With the port, without user and password."""
    path: str
    query: Sequence[str] = ()

    @property
    def told(self) -> str:
        """As a person reads it."""
        query = f"?{'&'.join(self.query)}" if self.query else ""
        return f"{self.method} {self.host}{self.path}{query}"


def asked(method: str, url: str) -> Asked:
    """What a request for a redacted URL asks for."""
    rest, _, query = url.partition("://")[2].partition("#")[0].partition("?")
    authority, slash, path = rest.partition("/")
    return Asked(method, authority.rpartition("@")[2], f"{slash}{path}", query.split("&") if query else ())


def own(request: Asked, operation: str) -> bool:
    """Whether a request is what a call of this operation is for, and not one that its client makes beside it."""
    end = operation.rpartition(" ")[2].partition(":")[0].strip("/")
    return request.path.rstrip("/").endswith(f"/{end}" if end else "")


def same(recorded: Asked, live: Asked, operation: str, hosts: Collection[str]) -> bool:
    """Whether a live request is a recorded one.

    A host that is not among the ``hosts`` of the record is the same service at another place, as where the base URL
    stands in the environment: then the ends of the paths tell.
    """
    if recorded.method != live.method:
        return False
    if live.host in hosts:
        return recorded.host == live.host and _alike(recorded, live)
    return (own(recorded, operation) and own(live, operation)) or _alike_paths(recorded.path, live.path)


def _alike(recorded: Asked, live: Asked) -> bool:
    touched = {_name(part) for part in (*recorded.query, *live.query) if _MARK in part}
    one, other = ([p for p in request.query if _name(p) not in touched] for request in (recorded, live))
    return one == other and _alike_paths(recorded.path, live.path)


def _alike_paths(one: str, other: str) -> bool:
    if _MARK not in one and _MARK not in other:
        return one == other
    parts, others = one.split("/"), other.split("/")
    return len(parts) == len(others) and all(
        part == another or _MARK in part or _MARK in another for part, another in zip(parts, others, strict=True)
    )


def _name(parameter: str) -> str:
    return parameter.partition("=")[0]
