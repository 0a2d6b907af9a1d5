"""Reading what an OpenAI request asks: the parts which chat and responses have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from agentrace.testing.answers import Failure
from agentrace.testing.wire import Tool


def text_of(content: Any) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(part.get("text") or part.get("refusal") or "" for part in content if isinstance(part, dict))


def tools_of(offered: Any) -> tuple[Tool, ...]:
    """The functions among the tools on offer; chat wraps each in a ``function``, responses does not."""
    functions = [tool.get("function", tool) for tool in offered or () if tool.get("type") == "function"]
    return tuple(Tool(one.get("name", ""), one.get("parameters") or {"type": "object"}) for one in functions)


def must_call(choice: Any, tools: tuple[Tool, ...]) -> tuple[str, ...] | Failure:
    """The tools of which the request demands one; none if the model is free to choose."""
    names = tuple(tool.name for tool in tools)
    if choice == "required":
        return names
    if not isinstance(choice, dict) or choice.get("type") != "function":
        return ()
    name = choice.get("function", choice).get("name")
    if name in names:
        return (name,)
    return Failure(status=400, message=f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def schema_of(wanted: Any) -> dict[str, Any] | None:
    """The JSON schema of the answer: {} for any object, None for plain text."""
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_schema", "json_object"):
        return None
    return wanted.get("json_schema", wanted).get("schema") or {}


def size_of(value: Any) -> int:
    """How many characters a part of the request takes as JSON."""
    return len(msgspec.json.encode(value)) if value else 0


def first_missing(needed: Iterable[str], answered: Iterable[str]) -> str | None:
    """The first of the call ids that has no answer."""
    have = set(answered)
    return next((one for one in needed if one not in have), None)
