"""OpenAI's models: their list, and the dated name under which a model answers."""

from __future__ import annotations

import re
from typing import Any

from agentrace.testing.answers import Failure
from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Endpoint

_BASE = r"(?:/v1|/openai/v1|/openai/deployments/(?P<deployment>[^/]+))"

_MODELS = {  # name -> created
    "gpt-4o": 1715367049,
    "gpt-4o-2024-08-06": 1722814719,
    "gpt-4o-mini": 1721172741,
    "gpt-4o-mini-2024-07-18": 1721172717,
    "gpt-4.1": 1744316542,
    "gpt-4.1-2025-04-14": 1744315746,
    "gpt-4.1-mini": 1744318173,
    "gpt-4.1-mini-2025-04-14": 1744317547,
    "gpt-4.1-nano": 1744321707,
    "gpt-4.1-nano-2025-04-14": 1744321025,
    "gpt-5": 1754425777,
    "gpt-5-2025-08-07": 1754075360,
    "gpt-5-nano": 1754426384,
    "gpt-5-nano-2025-08-07": 1754426303,
    "text-embedding-3-small": 1705948997,
    "text-embedding-3-large": 1705953180,
}
_SNAPSHOTS = {name[:-11]: name for name in _MODELS if re.search(r"-\d{4}-\d\d-\d\d$", name)}
_THINKS = re.compile(r"o\d|gpt-[5-9]")


def path(tail: str) -> re.Pattern[str]:
    """The paths that end in ``tail``, on OpenAI and on Azure."""
    return re.compile(_BASE + tail)


def snapshot(model: str) -> str:
    """The name in the answer: a model that is asked for by its family's name answers with its version's."""
    return _SNAPSHOTS.get(model, model)


def thinks(model: str) -> bool:
    """Whether it is one of the models that spend reasoning tokens."""
    return bool(_THINKS.match(model))


def _read(body: dict[str, Any], groups: dict[str, str | None]) -> Ask:
    return Ask(body=body, model=groups.get("model") or "")


def _listed(ask: Ask, _reply: None, _mint: Mint) -> dict[str, Any] | Failure:
    known = {
        name: {"id": name, "object": "model", "created": created, "owned_by": "system"}
        for name, created in _MODELS.items()
    }
    if not ask.model:
        return {"object": "list", "data": list(known.values())}
    return known.get(ask.model) or Failure(
        status=404, param="model", code="model_not_found", message=f"The model '{ask.model}' does not exist"
    )


LISTING = Endpoint("models", "list", "GET", path("/models(?:/(?P<model>.+))?"), _read, _listed)
