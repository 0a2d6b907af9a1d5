"""What the JSON of an Anthropic-shaped body says, read without any of our code: the measure for what we read from it."""

from __future__ import annotations

import json
from typing import Any


def told_by(body: bytes) -> dict[str, Any]:
    """Finish reason, text, model, and usage as (input, output, read, reasoning, written), of a whole body or a stream."""
    told: dict[str, Any] = {"finish": "", "text": "", "model": "", "usage": None}
    counts: dict[str, Any] = {}
    for part in _parts(body):
        message = part.get("message") or part
        delta = part.get("delta") or {}
        told["model"] = message.get("model") or told["model"]
        told["finish"] = delta.get("stop_reason") or message.get("stop_reason") or told["finish"]
        told["text"] += part.get("completion") or ""
        told["text"] += "".join(block.get("text", "") for block in message.get("content") or ())
        told["text"] += delta.get("text") or ""
        counts |= {name: n for name, n in (part.get("usage") or message.get("usage") or {}).items() if n is not None}
    return told | {"usage": _usage(counts) if counts else None}


def _parts(body: bytes) -> list[Any]:
    try:
        if body.lstrip().startswith(b"event:"):
            lines = [line.partition(":")[2] for line in body.decode().splitlines() if line.startswith("data:")]
            return [json.loads(line) for line in lines]
        return [json.loads(body)]
    except ValueError:
        return []


def _usage(told: dict[str, Any]) -> tuple[int, int, int, int, int]:
    read, written = told.get("cache_read_input_tokens") or 0, told.get("cache_creation_input_tokens") or 0
    thought = (told.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return told["input_tokens"] + read + written, told["output_tokens"], read, thought, written
