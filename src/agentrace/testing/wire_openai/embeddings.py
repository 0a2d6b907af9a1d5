"""OpenAI's embeddings, as numbers or as base64."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from typing import Any

from agentrace.testing.answers import Failure
from agentrace.testing.mint import Mint, estimate
from agentrace.testing.wire import Ask, Endpoint

from .errors import NO_MODEL
from .models import path

_DIMENSIONS = {"text-embedding-3-large": 3072}


def _read(body: dict[str, Any], groups: dict[str, str | None]) -> Ask | Failure:
    model = body.get("model") or groups.get("deployment")
    given = body.get("input")
    if not model:
        return NO_MODEL
    if not given:
        return Failure(status=400, message="'$.input' is invalid: it must be text or token numbers.")
    several = isinstance(given, list) and not isinstance(given[0], int)
    inputs = tuple(one if isinstance(one, str) else " ".join(map(str, one)) for one in (given if several else [given]))
    return Ask(
        body=body,
        model=str(model),
        text=inputs[-1],
        role="user",
        inputs=inputs,
        dimensions=body.get("dimensions") or _DIMENSIONS.get(str(model), 1536),
        input_tokens=sum(estimate(len(text)) for text in inputs),
    )


def _whole(ask: Ask, vectors: list[tuple[float, ...]], _mint: Mint) -> dict[str, Any]:
    written = map(_base64, vectors) if ask.body.get("encoding_format") == "base64" else map(list, vectors)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(written)],
        "model": ask.model,
        "usage": {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens},
    }


def _base64(vector: tuple[float, ...]) -> str:
    """The vector's little-endian 32-bit floats in base64."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


EMBEDDINGS = Endpoint("embeddings", "embedding", "POST", path("/embeddings"), _read, _whole)
