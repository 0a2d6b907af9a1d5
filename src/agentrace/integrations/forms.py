"""Forms with files, whose parts stand between boundaries that are drawn anew each time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agentrace.capture.exchange import Header

_BOUNDARY: Final = re.compile(rb'multipart/.*boundary="?([^";]+)', re.IGNORECASE)


def without_boundary(content: bytes, headers: Iterable[Header]) -> bytes:
    """A body as it is compared: of a form without its boundary."""
    for name, value in headers:
        found = _BOUNDARY.match(value) if name.lower() == b"content-type" else None
        if found is not None:
            return content.replace(found[1], b"boundary")
    return content
