"""No connection leaves a replay: an audit hook refuses addresses and name look-ups before the system sees them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any, Final

_WATCHED: Final = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


_refusals: Final[list[Callable[[str], BaseException]]] = []
"""What to raise, of every replay that is going on; the innermost is the last."""
_hooked = False


def refuse_network(refuse: Callable[[str], BaseException]) -> Callable[[], None]:
    """From now on every outward connection raises what ``refuse(description)`` gives; returns what allows them again.

    Unix sockets stay allowed: they do not leave the machine.
    """
    global _hooked

    def refusal(what: str) -> BaseException:
        return refuse(what)

    def allow() -> None:
        if refusal in _refusals:
            _refusals.remove(refusal)

    _refusals.append(refusal)
    if not _hooked:  # one for the whole process, since a hook can never be taken away
        _hooked = True
        sys.addaudithook(_hook)
    return allow


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event not in _WATCHED:
        return
    for refuse in _refusals[-1:]:
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            raise refuse(f"{event} for {args[0]!r}")
        if getattr(args[0], "family", None) in (socket.AF_INET, socket.AF_INET6):
            raise refuse(f"{event} to {args[1]!r}")
