"""The messages of Anthropic's Messages API, and of its older completions: blocks of a request or an answer.

Shapes: the Messages API reference, ``system``, ``messages`` and the content blocks of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentrace.integrations.declaration import Asked, Media, Message, ServedCall, ToolCall
from agentrace.integrations.reading import cited, mapping, mappings, media, text_of, written


def asked(request: Any) -> Asked:
    """Where the messages of a request stand. What a container at the provider holds is no message."""
    request = mapping(request)
    system, messages = request.get("system"), request.get("messages")
    parts: list[tuple[str, Sequence[Any]]] = [("system", [system])] if system else []
    if isinstance(messages, list):
        parts.append(("", messages))
    if isinstance(request.get("prompt"), str):
        parts.append(("user", [request["prompt"]]))
    return Asked(parts)


def messages(role: str, item: Any) -> list[Message]:
    """A system prompt, a prompt or an element of ``messages``: each result of a tool first, then what else it says."""
    said = mapping(item)
    role, content = (text_of(said.get("role")), said.get("content")) if not role else (role, item)
    blocks = mappings(content)
    results = [_result(block) for block in blocks if block.get("type") == "tool_result"]
    rest = [block for block in blocks if block.get("type") != "tool_result"]
    return results if results and not rest else [*results, of_blocks(role, content if not blocks else rest)]


def of_blocks(role: str, content: Any) -> Message:
    """What text, or blocks other than results of tools, are as one message."""
    blocks = mappings(content)
    return Message(
        role,
        text=content if isinstance(content, str) else _text(blocks),
        reasoning="".join(text_of(block.get("thinking")) for block in blocks if block.get("type") == "thinking"),
        tool_calls=tuple(
            ToolCall(text_of(block.get("id")), text_of(block.get("name")), block.get("input"))
            for block in blocks
            if block.get("type") == "tool_use"
        ),
        citations=tuple(dict.fromkeys(source for block in blocks for source in cited(block.get("citations")))),
        media=_media(blocks),
        served=_served(blocks),
    )


def _text(blocks: Sequence[Mapping[str, Any]]) -> str:
    return "".join(text_of(block.get("text")) for block in blocks if block.get("type") == "text")


def _result(block: Mapping[str, Any]) -> Message:
    content = block.get("content")
    blocks = mappings(content)
    return Message(
        "tool",
        text=_text(blocks) if blocks else written(content or None),
        tool_call_id=text_of(block.get("tool_use_id")),
        failed=block.get("is_error") is True,
        media=_media(blocks),
    )


_SPOKEN: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "tool_result"})
"""Blocks that are told otherwise."""


def _media(blocks: Sequence[Mapping[str, Any]]) -> tuple[Media, ...]:
    """Images, documents and every other block that is no text, call or result."""
    found: list[Media] = []
    for block in blocks:
        kind = text_of(block.get("type"))
        if kind in _SPOKEN or kind.endswith(("tool_use", "tool_result")):
            continue
        source = mapping(block.get("source"))
        named = source.get("file_id") or block.get("title") or block.get("file_id") or block.get("source")
        if source.get("type") == "text":
            size = len(text_of(source.get("data")).encode("utf-8", "replace"))
            found.append(Media(kind, text_of(source.get("media_type")), size, text_of(named)))
        else:
            found.append(media(kind, source.get("url") or source.get("data"), source.get("media_type"), named))
    return tuple(found)


def _served(blocks: Sequence[Mapping[str, Any]]) -> tuple[ServedCall, ...]:
    """Tools that ran at the provider, each with its result if that is in the same message."""
    kinds = [(text_of(block.get("type")), block) for block in blocks]
    results = {
        text_of(block.get("tool_use_id")): block.get("content")
        for kind, block in kinds
        if kind.endswith("_tool_result") and kind not in _SPOKEN
    }
    calls = [
        ServedCall(
            text_of(block.get("id")),
            text_of(block.get("name")),
            block.get("input"),
            results.pop(text_of(block.get("id")), None),
        )
        for kind, block in kinds
        if kind.endswith("_tool_use")
    ]
    return (*calls, *(ServedCall(call_id, "", None, result) for call_id, result in results.items()))
