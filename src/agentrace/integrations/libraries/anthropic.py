"""anthropic: messages, token counts, batches and everything else of its client's request funnel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentrace.integrations.anthropic_messages import asked, messages, of_blocks
from agentrace.integrations.declaration import Dialogue, Facts, Integration, Message, Shape, ToolResult, Usage
from agentrace.integrations.reading import count, mappings, parsed
from agentrace.integrations.stainless import StainlessReader, StainlessSender


def facts(request: Any, responses: Sequence[Any]) -> Facts:
    """What a call meant, from the request's JSON and the response's JSON or stream events.

    Shapes: the Messages API reference, object ``message`` and the events ``message_start``, ``content_block_*`` and
    ``message_delta``; and the older ``completion``.
    """
    request = request if isinstance(request, Mapping) else {}
    message = _answered(responses)
    said = of_blocks("assistant", mappings(message.get("content")))
    usage = message.get("usage")
    return Facts(
        model=message.get("model") or str(request.get("model") or ""),
        finish_reason=message.get("stop_reason") or "",
        text=said.text,
        usage=_usage(usage) if isinstance(usage, Mapping) and usage else None,
        tool_calls=list(said.tool_calls),
        tool_results=[
            ToolResult(str(block.get("tool_use_id", "")), block.get("content"))
            for said in mappings(request.get("messages"))
            for block in mappings(said.get("content"))
            if block.get("type") == "tool_result"
        ],
    )


def answer(responses: Sequence[Any]) -> Sequence[Message]:
    """What the model said, as far as it came; nothing where there is no answer."""
    message = _answered(responses)
    return [of_blocks("assistant", message["content"])] if message.get("content") else []


def offered(request: Any) -> Sequence[str]:
    """The tools of a request that run where it comes from: the program's own, and ``bash`` and others that Anthropic
    has described. Those whose results the provider makes itself are left out."""
    tools = mappings(request.get("tools")) if isinstance(request, Mapping) else []
    names = [tool.get("name") for tool in tools if not str(tool.get("type", "")).startswith(_THEIRS)]
    return [name for name in names if isinstance(name, str)]


_THEIRS: Final = ("web_search_", "web_fetch_", "code_execution_", "tool_search_", "mcp_")
"""What the types of tools begin with that run at the provider."""


def _answered(responses: Sequence[Any]) -> Mapping[str, Any]:
    parts = mappings(responses)
    return _streamed(parts) if any(part.get("type") == "message_start" for part in parts) else _whole(parts)


def _whole(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The message of an answer in one piece; a completion, also one in events, is made one."""
    completed = [part for part in parts if isinstance(part.get("completion"), str)]
    if completed:
        return {**completed[-1], "content": [{"type": "text", "text": "".join(p["completion"] for p in completed)}]}
    return next((part for part in reversed(parts) if part.get("type") == "message"), {})


_GROWING: Final = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")}
"""Pieces of a stream: the block that they are of, and its field."""


def _streamed(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The message that the events of a stream make, as far as they came. Their counts of tokens are running totals."""
    message: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    pieces: dict[Any, list[str]] = {}
    for part in parts:
        kind, place, delta = part.get("type"), part.get("index"), part.get("delta") or {}
        if kind == "message_start":
            message = dict(part.get("message") or {})
        elif kind == "content_block_start":
            blocks[place] = dict(part.get("content_block") or {})
        elif kind == "content_block_delta" and delta.get("type") in _GROWING:
            of, field = _GROWING[delta["type"]]
            block = blocks.setdefault(place, {"type": of})
            block[field] = (block.get(field) or "") + (delta.get(field) or "")
        elif kind == "content_block_delta" and delta.get("type") == "citations_delta":
            block = blocks.setdefault(place, {"type": "text"})
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        elif kind == "content_block_delta" and delta.get("type") == "input_json_delta":
            pieces.setdefault(place, []).append(delta.get("partial_json") or "")
        elif kind == "message_delta":
            message["stop_reason"] = delta.get("stop_reason") or message.get("stop_reason")
            told = {name: count for name, count in (part.get("usage") or {}).items() if count is not None}
            message["usage"] = {**(message.get("usage") or {}), **told}
    for place, texts in pieces.items():
        if "".join(texts):
            blocks.setdefault(place, {})["input"] = parsed("".join(texts))
    message["content"] = [block for _, block in sorted(blocks.items(), key=lambda item: str(item[0]).zfill(8))]
    return message


def _usage(usage: Mapping[str, Any]) -> Usage:
    """The tokens of an answer. ``input_tokens`` leave out what the cache was read or written for, writes for five
    minutes and for an hour are one sum, and those of a compaction on the provider's side stand beside the rest."""
    told = [usage, *(one for one in mappings(usage.get("iterations")) if one.get("type") == "compaction")]
    output = sum(count(one, "output_tokens") for one in told)
    thought = min(output, count(usage.get("output_tokens_details"), "thinking_tokens"))
    return Usage(
        input_fresh=sum(count(one, "input_tokens") for one in told),
        cache_read=sum(count(one, "cache_read_input_tokens") for one in told),
        cache_write=sum(_written(one) for one in told),
        output_visible=output - thought,
        reasoning=thought,
    )


def _written(usage: Mapping[str, Any]) -> int:
    by_life = usage.get("cache_creation")
    apart = count(by_life, "ephemeral_5m_input_tokens") + count(by_life, "ephemeral_1h_input_tokens")
    return count(usage, "cache_creation_input_tokens") or apart


_READER: Final = StainlessReader(kinds={"/messages": "model", "/complete": "model"}, root="/v1/")

INTEGRATION = Integration(
    name="anthropic",
    requires="anthropic>=0.40,<3",
    targets=("anthropic._base_client:SyncAPIClient.request", "anthropic._base_client:AsyncAPIClient.request"),
    reader=_READER,
    facts=facts,
    facts_version="2",
    dialogue=Dialogue(asked, messages, answer),
    offered=offered,
    sender=StainlessSender("anthropic", "Anthropic", _READER),
    shapes=(Shape("/messages", {"model": (str,), "messages": (list,), "max_tokens": (int,)}),),
    credentials={"ANTHROPIC_API_KEY": "replayed-without-a-key"},
    signed_in_by=("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_FEDERATION_RULE_ID"),
)
