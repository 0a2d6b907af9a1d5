"""Which call a request was part of, where only the wire was recorded: as a recording of the library would tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from agentrace.capture.step import Spec
from agentrace.integrations.catalogue import integration, library_names
from agentrace.integrations.declaration import Sender, Sent
from agentrace.integrations.funnel import spec_of
from agentrace.integrations.passing import Outgoing, bare
from agentrace.integrations.spoken import spoken

NOT_TOLD: Final = -1
"""An attempt that is not known."""


class Call(Struct, frozen=True):
    """The call that a request was part of."""

    spec: Spec
    input: Any
    sender: Sender | None = None
    """Of a call of a known client; ``None`` for a request that a program made by itself."""
    attempt: int = 0
    """How many requests had been made for it before; ``NOT_TOLD`` where that is not known."""


def call_of(asked: Outgoing, clean: Callable[[str], str]) -> Call:
    """The call behind a request: of a client that says who it is, else as for bare requests. ``clean`` redacts URLs."""
    content = asked.content or b""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in asked.headers}
    sent = Sent(asked.method, asked.path, urlsplit(asked.url).query, headers, content)
    for name, sender in _senders().items():
        found = sender.read_back(sent)
        if found is not None:
            told = found.request
            return Call(spec_of(name, told.kind, told.operation, told.json), told.input, sender, found.attempt)
    meant = spoken(asked.method, asked.path, asked.url, content)
    return Call(*(bare(asked, clean(asked.url)) if meant is None else meant))


@cache
def _senders() -> Mapping[str, Sender]:
    """Those of every library that has one, by its name."""
    found = ((name, integration(name)) for name in library_names())
    return {name: known.sender for name, known in found if known is not None and known.sender is not None}
