"""What the JSON of an OpenAI-shaped body says, read without any of our code: the measure for what we read from it."""

from __future__ import annotations

import json
from typing import Any


def told_by(body: bytes) -> dict[str, Any]:
    """Finish reason, text, model, and usage as (input, output, cached, reasoning, written), of a whole body or a stream."""
    told: dict[str, Any] = {"finish": "", "text": "", "model": "", "usage": None}
    choices: dict[int, str] = {}
    for part in _parts(body):
        if "response" in part:
            part = part["response"]
            told["text"] = ""
        told["model"] = part.get("model") or told["model"]
        for choice in part.get("choices", ()):
            told["finish"] = choice.get("finish_reason") or told["finish"]
            choices[choice["index"]] = choices.get(choice["index"], "") + _content(choice)
        for item in part.get("output") or ():
            told["text"] += "".join(content.get("text", "") for content in item.get("content") or ())
        if part.get("object") == "response":
            told["finish"] = (part.get("incomplete_details") or {}).get("reason") or part["status"]
        if part.get("usage"):
            told["usage"] = _usage(part["usage"])
    told["text"] += "".join(choices.values())
    return told


def _content(choice: dict[str, Any]) -> str:
    text = choice.get("text") or (choice.get("message") or choice.get("delta") or {}).get("content")
    return text or ""


def _parts(body: bytes) -> list[Any]:
    try:
        if body.lstrip().startswith((b"data:", b"event:")):
            lines = [line.partition(":")[2] for line in body.decode().splitlines() if line.startswith("data:")]
            return [json.loads(line) for line in lines if line.strip() != "[DONE]"]
        return [json.loads(body)]
    except ValueError:
        return []


def _usage(told: dict[str, Any]) -> tuple[int, int, int, int, int]:
    given = "prompt" if "prompt_tokens" in told else "input"
    made = "completion" if given == "prompt" else "output"
    return (
        told[f"{given}_tokens"],
        told.get(f"{made}_tokens", 0),
        (told.get(f"{given}_tokens_details") or {}).get("cached_tokens") or 0,
        (told.get(f"{made}_tokens_details") or {}).get("reasoning_tokens") or 0,
        (told.get(f"{given}_tokens_details") or {}).get("cache_write_tokens") or 0,
    )
