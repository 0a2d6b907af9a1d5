"""No connection leaves a replay: an audit hook refuses addresses and name look-ups before the system sees them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any, Final

_WATCHED: Final = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


def refuse_network(refuse: Callable[[str], BaseException]) -> Callable[[], None]:
    """From now on every outward connection raises what ``refuse(description)`` gives; returns what allows them again.

    Unix sockets stay allowed: they do not leave the machine. The hook itself cannot be taken away.
    """
    refusing = True

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or not refusing:
            return
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            raise refuse(f"{event} for {args[0]!r}")
        family = getattr(args[0], "family", None)
        if family in (socket.AF_INET, socket.AF_INET6):
            raise refuse(f"{event} to {args[1]!r}")

    def allow() -> None:
        nonlocal refusing
        refusing = False

    sys.addaudithook(hook)
    return allow
