"""Buffers in memory: what is in them, and how far they were read."""

from __future__ import annotations

import io
from typing import Any

from agentrace.canonical.foreign import Part


def take(part: Part, _: str, value: Any) -> dict[str, Any]:
    """The content goes through redaction, like bytes and texts by themselves."""
    return {"data": part.tree(value.getvalue()), "at": value.tell()}


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """The buffer at the same place."""
    data = fields["data"]
    buffer: Any = io.BytesIO(data) if kind == "bytes-buffer" else io.StringIO(data, newline="")
    buffer.seek(fields["at"])
    return buffer
