"""Reading what a request to Anthropic asks, for an answer or for a count of its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agentrace.testing.answers import Failure
from agentrace.testing.mint import estimate
from agentrace.testing.wire import Ask, Tool

from .errors import missing

_UNANSWERED = (
    "messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)


def asked(body: dict[str, Any], _groups: dict[str, str | None]) -> Ask | Failure:
    """What is asked, or the error for a request without what it needs."""
    lost = next((name for name in ("model", "messages") if not body.get(name)), None)
    if lost is not None:
        return missing(lost)
    messages = [message for message in body["messages"] if isinstance(message, dict)]
    tools = _tools(body.get("tools"))
    forced = _must_call(body.get("tool_choice"), tools)
    wrong = forced if isinstance(forced, Failure) else _unanswered(messages)
    if wrong is not None or isinstance(forced, Failure):
        return wrong or missing("messages")
    last = messages[-1] if messages else {}
    results = [block for block in blocks(last) if block.get("type") == "tool_result"]
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Ask(
        body=body,
        model=str(body["model"]),
        stream=bool(body.get("stream")),
        text="".join(map(_text, blocks(last))),
        role="tool" if results else last.get("role", ""),
        tools=tools,
        must_call=forced,
        schema=wanted.get("schema") or {} if wanted.get("type") == "json_schema" else None,
        limit=body.get("max_tokens"),
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        resumed=any(message.get("role") == "assistant" for message in messages),
        caches=b'"cache_control"' in msgspec.json.encode(body),
        input_tokens=sum(4 + estimate(_size(message)) for message in messages)
        + sum(estimate(len(msgspec.json.encode(part))) for part in (body.get("system"), body.get("tools")) if part),
    )


def answerable(body: dict[str, Any], groups: dict[str, str | None]) -> Ask | Failure:
    """The same of a request that wants an answer, which has to say how long that may be."""
    ask = asked(body, groups)
    return missing("max_tokens") if isinstance(ask, Ask) and ask.limit is None else ask


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message's content, which is a list of blocks or one text."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(block: dict[str, Any]) -> str:
    if block.get("type") == "tool_result":
        return "".join(map(_text, blocks(block)))
    text = block.get("text")
    return text if isinstance(text, str) else ""


def _size(message: dict[str, Any]) -> int:
    said = "".join(map(_text, blocks(message)))
    used = [block.get("input") for block in blocks(message) if block.get("type") == "tool_use"]
    return len(said) + sum(len(msgspec.json.encode(one)) for one in used)


def _tools(offered: Any) -> tuple[Tool, ...]:
    """The tools that the program runs; those of the provider have no schema."""
    own = [tool for tool in offered or () if isinstance(tool, dict) and "input_schema" in tool]
    return tuple(Tool(str(tool.get("name", "")), tool["input_schema"] or {"type": "object"}) for tool in own)


def _must_call(choice: Any, tools: tuple[Tool, ...]) -> tuple[str, ...] | Failure:
    """The tools of which the request demands one; none if the model is free to choose."""
    names = tuple(tool.name for tool in tools)
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "any":
        return names
    if kind != "tool":
        return ()
    name = choice.get("name")
    return (name,) if name in names else Failure(status=400, message=f"Tool '{name}' not found in provided tools")


def _unanswered(messages: list[dict[str, Any]]) -> Failure | None:
    """The error for a tool call whose result is not in the message right behind it."""
    for place, message in enumerate(messages):
        calls = [block.get("id", "") for block in blocks(message) if block.get("type") == "tool_use"]
        behind = messages[place + 1] if place + 1 < len(messages) else {}
        answered = {block.get("tool_use_id") for block in blocks(behind) if block.get("type") == "tool_result"}
        lost = next(_without(calls, answered), None)
        if lost is not None:
            return Failure(status=400, message=_UNANSWERED.format(place=place, id=lost))
    return None


def _without(calls: list[str], answered: set[Any]) -> Iterator[str]:
    return (call for call in calls if call not in answered)
