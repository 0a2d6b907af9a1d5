"""Anthropic's models: their list, and the dated name under which a model answers."""

from __future__ import annotations

import re
from typing import Any

from agentrace.testing.answers import Failure
from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Endpoint

_MODELS = {  # name -> shown name, created
    "claude-opus-4-1-20250805": ("Claude Opus 4.1", "2025-08-05T00:00:00Z"),
    "claude-sonnet-4-5-20250929": ("Claude Sonnet 4.5", "2025-09-29T00:00:00Z"),
    "claude-haiku-4-5-20251001": ("Claude Haiku 4.5", "2025-10-15T00:00:00Z"),
    "claude-sonnet-4-20250514": ("Claude Sonnet 4", "2025-05-22T00:00:00Z"),
    "claude-3-7-sonnet-20250219": ("Claude Sonnet 3.7", "2025-02-24T00:00:00Z"),
    "claude-3-5-haiku-20241022": ("Claude Haiku 3.5", "2024-10-22T00:00:00Z"),
}
_SNAPSHOTS = {name[:-9]: name for name in _MODELS}


def snapshot(model: str) -> str:
    """The name in the answer: a model that is asked for by its family's name answers with its version's."""
    return _SNAPSHOTS.get(model.removesuffix("-latest"), model)


def _read(body: dict[str, Any], groups: dict[str, str | None]) -> Ask:
    return Ask(body=body, model=groups.get("model") or "")


def _listed(ask: Ask, _reply: None, _mint: Mint) -> dict[str, Any] | Failure:
    known = {
        name: {"type": "model", "id": name, "display_name": shown, "created_at": created}
        for name, (shown, created) in _MODELS.items()
    }
    if ask.model:
        return known.get(snapshot(ask.model)) or Failure(status=404, message=f"model: {ask.model}")
    names = list(known)
    return {"data": list(known.values()), "has_more": False, "first_id": names[0], "last_id": names[-1]}


LISTING = Endpoint("models", "list", "GET", re.compile(r"/v1/models(?:/(?P<model>.+))?"), _read, _listed)
